"""The figures' common look, and how they are saved: the same bytes for the same numbers."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

from takeoff.common.files import atomic_path
from takeoff.common.tables import write_csv

P = ParamSpec("P")
R = TypeVar("R")

COLOURS: list[str] = sns.color_palette("colorblind").as_hex()
"""Told apart with any colour vision; figures never lean on colour alone."""
ACTIVATION_COLOURS = {"relu": COLOURS[0], "tanh": COLOURS[1], "sigmoid": COLOURS[2], "gelu": COLOURS[4]}
"""The same in every figure."""
INK, MUTED, FAINT = "#222222", "#767676", "#c8c8c8"
"""Text; what stands back; what is only context."""
PUBLISHED = COLOURS[3]
"""Of published values."""
STYLE: dict[str, Any] = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("paper"),
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#ececec",
    "legend.frameon": False,
    "text.color": INK,
    "figure.dpi": 100,
    "svg.hashsalt": "takeoff",  # else the ids in an SVG differ from one drawing to the next
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw with the common style, and leave the caller's as it was."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float, title: str, subtitle: str) -> Figure:
    """A figure of so many inches, wider if its words need it: its question, and what is to be known below."""
    width = max(width, text_width(title, 12) + 0.25, text_width(subtitle) + 0.25)
    figure = Figure(figsize=(width, height), layout="constrained")
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        # Words stay a little away from the edges.
        engine.set(rect=(0.1 / width, 0, 1 - 0.18 / width, 1 - 0.56 / height))
    # A title has the user's words, in which a dollar is no mathematics.
    figure.text(0.1 / width, 1 - 0.08 / height, title, size=12, weight="bold", va="top", parse_math=False)
    figure.text(0.1 / width, 1 - 0.33 / height, subtitle, size=8.5, color=MUTED, va="top")
    return figure


def text_width(text: str, size: float = 8.5, weight: str = "bold") -> float:
    """How many inches a line of text takes; in bold a little more than plain."""
    font = FontProperties(family=STYLE["font.family"], weight=weight, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


@styled
def save_pictures(figure: Figure, stem: Path) -> None:
    """Write `figure` as `<stem>.png` (200 dpi) and `.svg`."""
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        with atomic_path(stem.with_name(stem.name + suffix)) as temporary:
            figure.savefig(temporary, dpi=200, metadata=metadata)
        figure.set_layout_engine(None)  # the second file keeps the layout, which takes longer than drawing


def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> None:
    """Write `figure`, and the `numbers` drawn in it as `<stem>.csv`."""
    save_pictures(figure, stem)
    write_csv(numbers, stem.with_name(stem.name + ".csv"))
