"""The moment experiment's tables: what every run got wrong, errors per method, and the ratio of the best two."""

from collections.abc import Mapping
from math import exp
from typing import NamedTuple

import numpy as np
import pandas as pd

from takeoff.data.card import Card
from takeoff.experiments.answers import right_answers
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.moment.design import NETWORKS, Design
from takeoff.experiments.scaling.methods import method_words
from takeoff.statistics.chance import collapsed
from takeoff.statistics.clustered import crossed_mean, log_ratio
from takeoff.statistics.contrasts import Floats


class Response(NamedTuple):
    """What counts as right: the image's class is among so many guesses."""

    words: str
    guesses: int
    column: str
    """How the runs' columns of it begin: `_accuracy`, and `_correct`, packed bits, 1 where the answer is right."""

    def error_of_guessing(self, chance: float) -> float:
        """The error of guessing; `chance` is the accuracy of one guess."""
        return 1 - min(1.0, self.guesses * chance)


RESPONSES = {"top1": Response("top-1", 1, "test"), "top5": Response("top-5", 5, "test_top5")}
TOP5_CLASSES = 10
"""With more classes the top-5 error is judged; of ten a guess is among the first five half of the time."""
NETWORK_WORDS = {"network-2012": "network: ReLU, dropout", "network-modern": "network: ReLU, batch norm"}
KEPT = ("learning_rate", "at_edge", "untuned", "seconds", "flops", "notes")
METHODS = "method kind response error ci_low ci_high freedom n_seeds n_images validation_accuracy chosen guess"
RATIO = "response network rival ratio ci_low ci_high log_ratio error freedom n_seeds n_images judged"
ByResponse = Mapping[str, Floats]
"""(seeds, images): 1 where the run is wrong; of a run that diverged, how often a guess is."""


def analyse(moment: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; errors and accuracies are fractions.

    - `methods`: a row per method and response (`top1`, `top5`): its test error with a 95% interval over seeds and
      images, mean validation accuracy, whether it is the `chosen` one of its kind, and the error of guessing. Chosen is
      the one with the highest mean validation accuracy, the first of equals.
    - `ratio`: a row per response: the chosen network's error over the chosen older method's, with a 95% interval over
      the seeds of both and images; its logarithm, that one's standard error and degrees of freedom; which is `judged`.
    - `runs`: a row per method and seed.

    A TakeoffError says that a run's record of the test images does not fit them.
    """
    chance = chance_of(results.card, moment.study)
    tables, wrong = [], {}
    for method, arm in moment.methods.items():
        own = results.runs[results.runs["arm"] == arm.name].sort_values("seed")
        wrong[method] = {name: _wrong(own, response, chance) for name, response in RESPONSES.items()}
        tables.append(_runs(method, own, wrong[method], chance))
    runs = pd.concat(tables, ignore_index=True)
    methods = _methods(runs, wrong, chance[0])
    classes = len(Card(results.card).images_per_class("test"))
    return {"methods": methods, "ratio": _ratio(methods, wrong, classes), "runs": runs}


def words_of(method: str) -> str:
    """A method as a reader would name it."""
    return NETWORK_WORDS.get(method) or method_words(method)


def _kind(method: str) -> str:
    return "network" if method in NETWORKS else "older"


def _wrong(runs: pd.DataFrame, response: Response, chance: tuple[float, int]) -> Floats:
    """What each run of an arm got wrong, (seeds, images)."""
    guess = 1 - response.error_of_guessing(chance[0])
    return 1 - right_answers(runs, response.column, guess, chance[1], "moment")


def _runs(method: str, runs: pd.DataFrame, wrong: ByResponse, chance: tuple[float, int]) -> pd.DataFrame:
    """A row per run of a method."""
    diverged, validated = runs["diverged"].astype(bool), runs["validation_accuracy"].astype(float)
    place = {"method": method, "kind": _kind(method), "seed": runs["seed"], "diverged": diverged}
    table = pd.DataFrame({**place, "validation_accuracy": validated.where(~diverged, chance[0])})
    table = table.assign(**{f"{name}_error": errors.mean(axis=1) for name, errors in wrong.items()})
    table["collapsed"] = collapsed(1 - table["top1_error"], diverged, *chance)
    return table.join(runs.reindex(columns=[*KEPT, "arm"])).astype({"learning_rate": float})


def _methods(runs: pd.DataFrame, wrong: Mapping[str, ByResponse], chance: float) -> pd.DataFrame:
    validated = runs.groupby("method", sort=False)["validation_accuracy"].mean()
    chosen = {str(found.idxmax()) for _, found in validated.groupby(_kind)}
    rows = []
    for method, by_response in wrong.items():
        for name, errors in by_response.items():
            estimate, guess = crossed_mean(errors), RESPONSES[name].error_of_guessing(chance)
            error = (estimate.value, *np.clip(estimate.interval(), 0, 1), estimate.freedom)
            choice = (validated[method], method in chosen)
            rows.append((method, _kind(method), name, *error, *errors.shape, *choice, guess))
    return pd.DataFrame(rows, columns=METHODS.split())


def _ratio(methods: pd.DataFrame, wrong: Mapping[str, ByResponse], classes: int) -> pd.DataFrame:
    """A row per response; the runs of both methods are of the same seeds, in order."""
    chosen = methods[methods["chosen"]].drop_duplicates("method").set_index("kind")["method"]
    pair = chosen["network"], chosen["older"]
    rows, judged = [], "top5" if classes > TOP5_CLASSES else "top1"
    for name in RESPONSES:
        errors, others = (wrong[method][name] for method in pair)
        found = log_ratio(errors, others)
        ratio = [exp(value) for value in (found.value, *found.interval())]
        rows.append((name, *pair, *ratio, *found, *errors.shape, name == judged))
    return pd.DataFrame(rows, columns=RATIO.split())
