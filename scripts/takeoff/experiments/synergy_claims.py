"""The claims of the synergy experiment: that data alone was not enough, and no factor alone, but all together."""

from math import inf
from typing import TYPE_CHECKING, Any

from takeoff.experiments.claims import Claim, Finding
from takeoff.statistics.verdicts import Part
from takeoff.study.model import Study

if TYPE_CHECKING:
    import pandas as pd

ALONE = {
    "none": ("little", "little", False),
    "data": ("much", "little", False),
    "computation": ("little", "much", False),
    "algorithms": ("little", "little", True),
    "all": ("much", "much", True),
}
"""Data, computation, and whether algorithms are the modern ones: no factor, each alone, and all."""
CLAIMS = (
    Claim(
        name="data-alone-not-enough",
        statement='Data alone was not enough ("just more data").',
        source="told often, no figure",
        quantity="half of the whole gain in test accuracy, from little data, little computation and plain networks "
        "(the study's first plain activation) to much of both and modern networks, minus the gain from data alone; "
        "points",
        criterion="supported where the interval of half the whole gain − the gain from data alone lies above 0 and the "
        "whole gain's own does too; contradicted where the first lies below 0",
        published="",
        figure="synergy-shares",
        scope="much data",
    ),
    Claim(
        name="no-factor-alone-was-enough",
        statement="No factor alone was enough; all together were.",
        source="told often, no figure",
        quantity="test accuracy minus that of the best tuned older method on the same data, chosen on validation "
        "images: with data, computation or algorithms alone, and with all; points",
        criterion="enough is more than the best older method; supported where the three intervals of a factor alone "
        "lie below 0 and that of all together above 0, contradicted where any lies on the other side",
        published="",
        figure="synergy-shares",
        scope="much data",
    ),
)


SAME_IMAGES = (
    "with much data every seed sees the same images: of these cells the interval holds optimisation noise only, not "
    "sampling noise"
)


def cell(runs: "pd.DataFrame", factor: str, plain: str) -> "pd.Series":
    """Test accuracy by seed of the networks with one of `ALONE`, against networks with the activation `plain`."""
    data, computation, modern = ALONE[factor]
    at = (runs["data"] == data) & (runs["computation"] == computation)
    own = runs[at & (runs["algorithms"] == ("modern" if modern else plain))]
    return own.set_index("seed")["test_accuracy"]


def older(runs: "pd.DataFrame", data: str) -> "pd.Series":
    """Test accuracy by seed of the older method chosen at a size."""
    at = (runs["algorithms"] == "older") & (runs["data"] == data) & runs["chosen"].astype(bool)
    return runs[at].set_index("seed")["test_accuracy"]


def same_images(study: Study, card: dict[str, Any]) -> bool:
    """Whether much data are all images there are, so that every seed trains on the same ones."""
    asked = study.dataset.train_samples
    return isinstance(asked, str) or asked >= int(card.get("images", {}).get("train", asked + 1))


def findings(runs: "pd.DataFrame", plain: str, borrowed: str = "", *, same: bool = False) -> list[Finding]:
    """The findings from `runs`, read back.

    Args:
        runs: the table.
        plain: the activation of the networks at the baseline.
        borrowed: what must be said of their rates.
        same: whether every seed trains on the same images where data are much.

    """
    none, data, everything = (100 * cell(runs, factor, plain) for factor in ("none", "data", "all"))
    whole = (everything - none).dropna()
    missing = (0.5 * (everything - none) - (data - none)).dropna()
    # Half of no gain is nothing to fall short of; that there is a gain cannot contradict the claim.
    parts = [
        Part.of(f"half the whole gain − data alone ({plain})", missing, (0, inf), unit="points"),
        Part.of(f"the whole gain ({plain})", whole, (0, inf), contradicts=(), unit="points"),
    ]
    leads = []
    for factor in ("data", "computation", "algorithms", "all"):
        lead = 100 * (cell(runs, factor, plain) - older(runs, ALONE[factor][0])).dropna()
        together = factor == "all"
        words = "all together" if together else f"{factor} alone"
        label = f"{words} − the best older method ({plain})"
        leads.append(Part.of(label, lead, (0, inf) if together else (-inf, 0), unit="points"))
    chosen = {
        size: str(runs.loc[(runs["data"] == size) & runs["chosen"].astype(bool), "method"].iloc[0])
        for size in ("little", "much")
    }
    rivals = f"best older method: {chosen['little']} on little data, {chosen['much']} on much"
    reasons = [f"against plain networks with {plain}", borrowed, SAME_IMAGES if same else ""]
    alike = ""
    if same and len(set(older(runs, "much"))) == 1 < len(older(runs, "much")):
        alike = f"{chosen['much']} is the same in every seed there"
    return [
        Finding(CLAIMS[0].name, tuple(parts), _joined(reasons)),
        Finding(CLAIMS[1].name, tuple(leads), _joined([*reasons, alike, rivals])),
    ]


def _joined(reasons: list[str]) -> str:
    return "; ".join(filter(None, reasons))
