"""Do older methods plateau with data while larger networks go on? Every method at sizes over 1.5 decades."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from takeoff.experiments.claims import Finding
from takeoff.experiments.scaling_claims import CLAIMS
from takeoff.experiments.scaling_sizes import Options, members, rate_lender
from takeoff.study.arms import AnyArm
from takeoff.study.model import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

RESTS_ON = ("sizes", "smallest_share", "widths")
"""Options that decide a claim, beside the study's margin."""
TITLE = "Do older methods plateau with data while larger networks go on?"
TABLES = ("runs", "fits", "gains", "differences", "agreement", "order")
FIGURES = {
    "curves": "Error by training images",
    "gains": "What twice the data brings",
    "differences": "Width, features and networks, by data",
    "agreement": "Do other images order the methods alike?",
}


def arms(study: Study, options: Options) -> list[AnyArm]:
    """Every method at every size, and the network that lends its rate where none of these is tuned."""
    lender = rate_lender(study, options)
    return [*([lender] if lender else []), *(member.arm for member in members(study, options))]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; errors, accuracies and their differences are fractions.

    - `runs`: a row per method, size (`train_samples`, validation included) and seed: test error and accuracy,
      validation accuracy, how it was tuned, `flops` of its training; `disjoint`: whether the seeds up to this one
      share no training image at this size. A run that diverged counts as chance.
    - `fits`: a row per method: the columns of `statistics.scaling.COLUMNS` (slope, gain per doubling over the last
      two doublings, and the law err = alpha m^−beta + gamma), validation and test accuracy at the full size, and
      which method is the `best` of its kind there by validation accuracy; `chance` is an accuracy. Where every seed
      sees the same images at the full size, that size counts as one draw in the law.
    - `gains`: a row per method and seed with every size: its gain per doubling and its slope.
    - `differences`: a row per quantity and seed: what the claims about width, features and networks are judged by
      (`value`), and the same in log-odds (`log_odds`), in which chance and perfection bend it less.
    - `agreement`: a row per size: the columns of `statistics.agreement.COLUMNS` over disjoint draws, `share` of the
      images to draw from that a draw trains on, and which methods have too few draws (`left_out`).
    - `order`: the agreement at the smallest size less that at the largest with three disjoint draws, jackknifed over
      the draws of both: one row, without numbers where there is nothing to compare.

    Raises:
        TakeoffError: a run is missing, or the card does not count its images.

    """
    from takeoff.experiments import scaling_agreement as agreed
    from takeoff.experiments import scaling_tables as made
    from takeoff.experiments.chance import chance_of

    test, pool = chance_of(results.card, study), agreed.pool_of(results.card, study)
    runs = agreed.with_disjoint(made.member_runs(members(study, options), results.runs, test), study, pool)
    return {
        "runs": runs,
        "fits": made.fits(runs, test, shared=agreed.same_images(runs["train_samples"].max(), study, pool)),
        "gains": made.gains(runs, test[1]),
        "differences": made.differences(runs, test[1]),
        "agreement": agreed.agreement_by_size(runs, study, pool),
        "order": agreed.order_table(runs),
    }


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """What the tables, read back, say of each of `CLAIMS`."""
    from takeoff.experiments.chance import chance_of
    from takeoff.experiments.scaling_claims import findings

    return findings(study, tables, chance_of(card, study))


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """Error by size with fits, gains per doubling, the claims' differences, and agreement by size."""
    from takeoff.experiments import scaling_figures as drawn
    from takeoff.experiments.scaling_curves import draw_curves

    yield "curves", *draw_curves(study, tables)
    yield "gains", *drawn.draw_gains(study, tables)
    yield "differences", *drawn.draw_differences(study, tables)
    yield "agreement", *drawn.draw_agreement(study, tables)


__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge"]
