"""Maps: a cell per pair of levels, its number written in it, on seaborn's heatmap."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def draw_map(
    axes: Axes,
    values: pd.DataFrame,
    words: pd.DataFrame,
    framed: pd.DataFrame,
    *,
    bar: bool = False,
    bar_label: str = "",
) -> None:
    """Draw percentages, a row per level up and a column per level along; NaN leaves a cell empty.

    `words` stand in the cells, with a frame where `framed`; both have the shape of `values`. With `bar` the scale is
    drawn beside the map, with its quantity and unit, `bar_label`.
    """
    written = {"annot": words, "fmt": "", "annot_kws": {"size": 8.5}}
    scale = {"label": bar_label} if bar else None
    sns.heatmap(values, ax=axes, vmin=0, vmax=100, cmap="cividis", cbar=bar, cbar_kws=scale, **written)
    axes.invert_yaxis()
    for text in axes.texts:
        x, y = (int(place) for place in text.get_position())
        if framed.iat[y, x]:
            frame = Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False, ec=text.get_color(), lw=1.6)
            axes.add_patch(frame)
    axes.tick_params(length=0, rotation=0)
    axes.set(xlabel="", ylabel="")
