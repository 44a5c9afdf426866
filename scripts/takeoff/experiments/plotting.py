"""The figures' common look, their words for levels, and how they are saved: the same bytes for the same
numbers.

Import it where a figure is drawn, never where the workflow is planned: matplotlib and pandas take a second.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

from takeoff.files import atomic_path
from takeoff.statistics.tables import level_text, write_csv

P = ParamSpec("P")
R = TypeVar("R")

COLOURS = "#0173b2 #de8f05 #029e73 #d55e00 #cc78bc #ca9161 #fbafe4 #949494 #ece133 #56b4e9".split()
"""Seaborn's "colorblind", told apart with any colour vision; figures never lean on colour alone."""
ACTIVATION_COLOURS = {"relu": COLOURS[0], "tanh": COLOURS[1], "sigmoid": COLOURS[2], "gelu": COLOURS[4]}
"""The same in every figure."""
INK, MUTED, FAINT = "#222222", "#767676", "#c8c8c8"
"""Text; what stands back; what is only context."""

# Seaborn's "whitegrid" at the size of "paper", without the second that importing it takes.
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.linewidth": 1.0,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "xtick.bottom": False,
    "ytick.left": False,
    "xtick.major.size": 4.8,
    "ytick.major.size": 4.8,
    "xtick.major.width": 1.0,
    "ytick.major.width": 1.0,
    "xtick.minor.size": 3.2,
    "ytick.minor.size": 3.2,
    "xtick.minor.width": 0.8,
    "ytick.minor.width": 0.8,
    "legend.fontsize": 8.8,
    "legend.title_fontsize": 9.6,
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


def new_figure(
    width: float,
    height: float,
    title: str,
    subtitle: str,
    *,
    constrained: bool = True,
) -> Figure:
    """A figure of so many inches, wider if its words need it: its question, and what is to be known below."""
    width = max(width, text_width(title, 12) + 0.25, text_width(subtitle) + 0.25)
    figure = Figure(figsize=(width, height), layout="constrained" if constrained else None)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - 0.56 / height))
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


_WORDS = {
    "relu": "ReLU",
    "gelu": "GELU",
    "batch": "batch norm",
    "local": "local response norm",
    "plain": "plain pooling",
    "overlapping": "overlapping pooling",
    "flip-crop": "flips, crops",
    "flip-crop-colour": "flips, crops, colour",
    "by-activation": "initialisation by activation",
    "gaussian-0.01": "N(0, 0.01) initialisation",
    "xavier": "Xavier initialisation",
    "he": "He initialisation",
}


def level_words(factor: str, level: object) -> str:
    """A level as a reader would name it.

    >>> [level_words(*pair) for pair in (("norm", "none"), ("dropout", 0.5), ("activation", "relu"))]
    ['no norm', 'dropout 0.5', 'ReLU']
    """
    text = level_text(level)
    if text == "none" or (factor == "dropout" and text == "0"):
        return f"no {factor.replace('_', ' ')}"
    if factor in {"dropout", "width"}:
        return f"{factor} {text}{'×' * (factor == 'width')}"
    if factor == "train_samples":
        return f"{int(text):,} images" if text.isdigit() else f"{text} images"
    if factor in {"activation", "norm", "response_norm", "pooling", "augmentation", "initialisation"}:
        return _WORDS.get(text, text)
    return f"{factor.replace('_', ' ')} {text}"


def switch_words(factor: str, baseline: object, treatment: object) -> str:
    """A factor as what is done: `batch norm`, or `ReLU instead of tanh`."""
    before, after = level_words(factor, baseline), level_words(factor, treatment)
    if before.startswith("no "):
        return after
    shared = factor.replace("_", " ")
    return f"{after} instead of {before.removeprefix(shared).removesuffix(shared).strip()}"
