"""How much computation did it take, and on what? This study's trainings at the rates of old and new machines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from takeoff.errors import TakeoffError
from takeoff.experiments import factorial
from takeoff.experiments.claims import Claim, Finding
from takeoff.study.arms import AnyArm, Arm
from takeoff.study.loading import check
from takeoff.study.model import Study
from takeoff.study.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

TITLE = "How much computation, on what?"
TABLES = ("rates", "blocks", "times", "search")
FIGURES = {
    "rates": "Operations per second",
    "times": "The same trainings on each machine",
    "search": "What a search finds, by hours",
}
MILLION = (10**5.5, 10**6.5)
"""What "a million times" is, to the nearest power of ten."""
HOURS, DAYS = 100, 10
"""At 100 times the speed a month is 7 hours, a working day; at 10 times it is still 3 days."""
CLAIMS = (
    Claim(
        name="million-times-faster",
        statement="Modern hardware is a million times faster",
        source="told, of the machines of the 1980s and a GPU",
        quantity="GPU's sustained training rate over 1 MFLOP/s",
        criterion="supported between 10^5.5 and 10^6.5 times; contradicted outside",
        published="1 MFLOP/s against 10 TFLOP/s, which is ten million times",
        figure="compute-rates",
        scope="gpu",
    ),
    Claim(
        name="months-became-hours",
        statement="Training that took weeks or months takes hours",
        source="told",
        quantity="this study's time on one CPU thread over its time on the GPU",
        criterion="supported above 100 times, where a month becomes 7 hours; "
        "contradicted below 10 times, where it is still 3 days",
        published="weeks or months against hours; a month is 730 hours",
        figure="compute-times",
        scope="gpu",
    ),
)


class Options(Settings):
    """What a study may set below `compute`: nothing so far."""


def arms(study: Study, options: Options) -> list[AnyArm]:
    """The cells of the factorial: the trainings whose computation is told."""
    given = study.experiments.get("factorial") or {}
    return list(factorial.arms(study, check(factorial.Options, given, "experiments.factorial")))


def timed(study: Study, options: Options) -> list[Arm]:
    """No arm: the measured rates are of the study's network; to ask at all has the machine measured."""
    return []


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; rates are floating-point operations per second.

    - `rates`: a row per measured setting (device, threads, precision): the sustained rate of forward and backward
      pass with its t interval over blocks, the rate of a matrix product (`ceiling`), their ratio (`share`, over
      paired blocks), and the rate over 0.1, 1 and 10 MFLOP/s; without numbers where a setting was left out, with
      the reason in `note`.
    - `blocks`: a row per such setting and block.
    - `times`: a row per machine, measured or a `reference`: the time that the trainings of the factorial's cells
      take at its rate, in seconds and in words, and how many it makes in a day. The operations are counted:
      images processed times those of forward and backward pass, over final and tuning runs.
    - `search`: a row per machine and k: the validation accuracy of the best of k of these runs, in random order:
      its mean, and where it lies in 90% of all orders; and the hours that k runs take on average.

    Raises:
        TakeoffError: the machine was not measured, or a run does not say how much it computed.

    """
    from takeoff.experiments.chance import chance_of
    from takeoff.experiments.compute_tables import measured, search_table, times_table, trainings

    if results.speed is None or not (results.speed["kind"] == "training").any():
        raise TakeoffError("speed.csv: no rate of this machine; scripts/probe.py measures it")
    rates, blocks = measured(results.speed)
    made = trainings(results.runs, results.tuning, chance_of(results.card, study)[0])
    return {
        "rates": rates,
        "blocks": blocks,
        "times": times_table(rates, made),
        "search": search_table(rates, made),
    }


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """What the GPU's rate says of both claims; without a GPU, what the CPU's is."""
    from takeoff.experiments.compute_claims import findings

    return findings(tables)


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """Rates with their ceilings, the trainings' time on each machine, and what a search finds by hours."""
    from takeoff.experiments.compute_figures import draw_rates, draw_search, draw_times

    yield "rates", *draw_rates(study, tables)
    yield "times", *draw_times(study, tables)
    yield "search", *draw_search(study, tables)
