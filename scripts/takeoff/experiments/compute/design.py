"""How much computation did it take, and on what? This study's trainings at the rates of old and new machines."""

from takeoff.common.gpus import any_gpu
from takeoff.experiments.base import Experiment
from takeoff.experiments.factorial.design import Design as Factorial
from takeoff.study.arms import AnyArm
from takeoff.study.loading import check
from takeoff.study.settings import Settings

MILLION, MONTHS = "million-times-faster", "months-became-hours"
HOW = "run the study on a machine with a GPU, with device: auto or device: cuda"


class Options(Settings):
    """What a study may set below `compute`: nothing so far."""


class Design(Experiment[Options]):
    """The trainings of the factorial, whose operations are counted, at the rate of every machine."""

    title = "How much computation, on what?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Rates and their blocks, the trainings' time on each machine, and what a search finds."""
        return ("rates", "blocks", "times", "search")

    def figures(self) -> dict[str, str]:
        """Rates, times, and searches."""
        return {
            "rates": "Operations per second",
            "times": "The same trainings on each machine",
            "search": "What a search finds, by hours",
        }

    def arms(self) -> list[AnyArm]:
        """The cells of the factorial."""
        given = self.study.experiments.get("factorial") or {}
        factorial = Factorial(self.study, check(Factorial.Options, given, "experiments.factorial"))
        return [*factorial.tuned_arms, *factorial.fixed_arms]

    def untestable(self) -> dict[str, str]:
        """Both claims without a GPU here, which is looked for as the workflow does."""
        reason = f"no GPU was measured: {HOW}"
        return {} if any_gpu() else {MILLION: reason, MONTHS: reason}

    def reads_speed(self) -> bool:
        """The rates are in `speed.csv`, of the study's network: no arm is timed."""
        return True
