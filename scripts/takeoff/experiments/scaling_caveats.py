"""What the intervals of the scaling experiment leave out: images that draws share, settings lent from other sizes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from takeoff.experiments.scaling_bounds import Cell
from takeoff.experiments.scaling_methods import listed, method_words

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

SAME_IMAGES = "at the full size every seed sees the same images"
OPTIMISATION_ONLY = "the interval holds optimisation noise only, not sampling noise"
ONE_RATE = "the rate tuned for the one of width 1× on all images, which favours that width and that size"
KINDS = {"older": "older methods", "network": "networks"}


def ends(tables: "Tables") -> tuple[int, int]:
    """The smallest and the full size."""
    sizes = tables["runs"]["train_samples"]
    return int(sizes.min()), int(sizes.max())


def same_images(tables: "Tables") -> bool:
    """Whether all images there are make the full size, so that every seed trains on the same ones."""
    agreement = tables["agreement"]
    share = agreement.loc[agreement["train_samples"] == agreement["train_samples"].max(), "share"]
    return float(share.iloc[0]) >= 1


def copies(tables: "Tables") -> list[str]:
    """The methods that err alike in every seed at the full size, where all see the same images: deterministic ones."""
    if not same_images(tables):
        return []
    runs = tables["runs"]
    errors = runs[runs["train_samples"] == ends(tables)[1]].groupby("method", sort=False)["test_error"]
    return [str(method) for method, part in errors if len(part) > 1 and part.nunique() == 1]


def sampling_words(tables: "Tables", cells: Sequence[Cell]) -> list[str]:
    """What an interval over seeds of a comparison of `cells` leaves out, since seeds share images at the full size."""
    full = ends(tables)[1]
    methods = list(dict.fromkeys(cell.method for cell in cells if cell.size == full))
    if not methods:
        return []
    if not same_images(tables):
        at = tables["runs"]["train_samples"].eq(full) & tables["runs"]["method"].isin(methods)
        apart = tables["runs"].loc[at, "disjoint"].astype(bool).all()
        overlap = "at the full size seeds share images: the interval holds a part of the sampling noise only"
        return [] if apart else [overlap]
    noise = OPTIMISATION_ONLY
    if any(cell.size != full for cell in cells):
        noise = noise.replace("the interval holds", "the interval holds, of that size,")
    same = [method_words(method) for method in methods if method in copies(tables)]
    alike = [f"the same in every seed there: {listed(same)}"] if same else []
    return [f"{SAME_IMAGES}: {noise}", *alike]


def lent_words(tables: "Tables", cells: Sequence[Cell]) -> list[str]:
    """Which of the compared `cells` take their settings from another size; kinds that are alike together."""
    runs = tables["runs"]
    borrowed = runs["borrowed"].astype(bool)
    lent = set(runs.loc[borrowed, ["method", "train_samples"]].itertuples(index=False, name=None))
    kinds: dict[tuple[str, str], list[str]] = {}
    untuned: list[str] = []
    for kind, name in KINDS.items():
        of_kind = runs["kind"] == kind
        methods = set(runs.loc[of_kind, "method"])
        at = sorted({c.size for c in cells if c.method in methods and (c.method, c.size) in lent})
        if at:
            tuned = sorted(runs.loc[of_kind & ~borrowed, "train_samples"].unique())
            if not tuned:
                untuned.append(f"{name} take {ONE_RATE}")
                continue
            alone = tuned == [ends(tables)[1]]
            where = "the full size" if alone else f"{sizes_words(tuned)} images"
            taken = "that setting" if alone else "the nearest of these settings"
            kinds.setdefault((where, f"{taken} at {sizes_words(at)} images"), []).append(name)
    return [
        f"{' and '.join(names)} are tuned at {where} alone, and take {taken}"
        for (where, taken), names in kinds.items()
    ] + untuned


def tuned_words(runs: "pd.DataFrame") -> str:
    """Where each kind is tuned, for a subtitle: `older methods at 40 and 1,297, networks at 1,297`, or
    `…, networks not, they take one rate`.
    """
    own = runs[~runs["borrowed"].astype(bool)]
    at = {kind: sorted(own.loc[own["kind"] == kind, "train_samples"].unique()) for kind in KINDS}
    return ", ".join(
        f"{name} at {sizes_words(at[kind])}" if at[kind] else f"{name} not, they take one rate"
        for kind, name in KINDS.items()
    )


def sizes_words(sizes: Sequence[float]) -> str:
    """As in `40 and 1,297`."""
    return listed([f"{int(size):,}" for size in sizes])
