"""The moment experiment's tables: what every run got wrong, errors per method, and their ratio; and its finding."""

from collections.abc import Mapping
from math import exp, inf, isfinite
from typing import NamedTuple

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.moment import HALVED, NETWORKS, NOT_HALVED, TOP5_CLASSES
from takeoff.experiments.scaling_methods import method_words
from takeoff.statistics.chance import chance_line, collapsed
from takeoff.statistics.clustered import crossed_mean, log_ratio
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.verdicts import Part

BITS = {"top1": "test_correct", "top5": "test_top5_correct"}
"""Response → the runs' column of packed bits."""
ACCURACIES = {"top1": "test_accuracy", "top5": "test_top5_accuracy"}
RESPONSE_WORDS = {"top1": "top-1", "top5": "top-5"}
NETWORK_WORDS = {"network-2012": "network: ReLU, dropout", "network-modern": "network: ReLU, batch norm"}
KEPT = ("learning_rate", "at_edge", "untuned", "seconds", "flops")
TOP1_PUBLISHED = 37.5 / 45.7
"""Of top-1 errors on ILSVRC-2010: network over Fisher vectors (Krizhevsky 2012, table 1)."""


class Wrong(NamedTuple):
    """What a method's runs got wrong."""

    seeds: tuple[int, ...]
    errors: dict[str, Floats]
    """Response → (seeds, images): 1 where it is wrong; of a run that diverged, how often a guess is."""

    def of(self, seeds: list[int], response: str) -> Floats:
        """The errors of these seeds, (seeds, images)."""
        return self.errors[response][[self.seeds.index(seed) for seed in seeds]]


def words_of(method: str) -> str:
    """A method as a reader would name it."""
    return NETWORK_WORDS.get(method) or method_words(method)


def read_runs(
    names: Mapping[str, str], given: pd.DataFrame, test: tuple[float, int]
) -> tuple[pd.DataFrame, dict[str, Wrong]]:
    """A row per method and seed, and what the runs of each method got wrong.

    Args:
        names: arm → method.
        given: the runs.
        test: chance on the test images, and their number.

    Raises:
        TakeoffError: a method has no run, or a run's record does not fit the test images or its accuracy.

    """
    tables, wrong = [], {}
    chance = {"top1": test[0], "top5": min(1.0, 5 * test[0])}
    for arm, method in names.items():
        rows = given[given["arm"] == arm].sort_values("seed")
        if rows.empty:
            raise TakeoffError(f"moment: arm {arm} has no run; train it")
        diverged = rows["diverged"].eq(True).tolist()
        errors = {}
        for response, column in BITS.items():
            found = []
            for lost, bits, accuracy, seed in zip(
                diverged, rows[column], rows[ACCURACIES[response]], rows["seed"], strict=True
            ):
                guessed = np.full(test[1], 1 - chance[response])
                found.append(
                    guessed if lost else _errors(bits, accuracy, test[1], f"{arm}, seed {seed}: {column}")
                )
            errors[response] = np.array(found)
        wrong[method] = Wrong(tuple(rows["seed"].tolist()), errors)
        table = pd.DataFrame(
            {"method": method, "kind": _kind(method), "seed": rows["seed"], "diverged": diverged}
        )
        table["validation_accuracy"] = (
            rows["validation_accuracy"].astype(float).where(~table["diverged"], test[0])
        )
        for response in BITS:
            table[f"{response}_error"] = errors[response].mean(axis=1)
        table["collapsed"] = collapsed(1 - table["top1_error"], table["diverged"], *test)
        tables.append(table.assign(**{name: rows.get(name, np.nan) for name in KEPT}, arm=arm))
    return pd.concat([table.astype({"learning_rate": float}) for table in tables], ignore_index=True), wrong


def _errors(bits: object, accuracy: float, images: int, source: str) -> Floats:
    """Of packed bits, (images,): 1 where the run is wrong."""
    if not isinstance(bits, bytes) or len(bits) != -(-images // 8):
        size = f"{8 * len(bits)} images" if isinstance(bits, bytes) else "nothing"
        raise TakeoffError(f"moment: {source} records {size}, not {images} test images; train the arm again")
    right = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=images).astype(float)
    if abs(right.mean() - accuracy) > 0.5 / images:
        raise TakeoffError(
            f"moment: {source} has {right.mean():.4f} right, but the run's accuracy is {accuracy:.4f}; "
            "train the arm again"
        )
    return 1 - right


def _kind(method: str) -> str:
    return "network" if method in NETWORKS else "older"


def methods_table(runs: pd.DataFrame, wrong: Mapping[str, Wrong], chance: float) -> pd.DataFrame:
    """A row per method and response: error with its interval, and whether the method is the chosen one of its kind: the
    one with the highest mean validation accuracy, the first of equals. `guess` is the error of guessing.
    """
    validated = runs.groupby("method", sort=False)["validation_accuracy"].mean()
    chosen = {str(found.idxmax()) for _, found in validated.groupby(_kind)}
    guesses, rows = {"top1": 1 - chance, "top5": max(0.0, 1 - 5 * chance)}, []
    for method, found in wrong.items():
        for response, errors in found.errors.items():
            estimate = crossed_mean(errors)
            low, high = estimate.interval()
            ends = max(low, 0.0) if isfinite(low) else low, min(high, 1.0) if isfinite(high) else high
            counts = len(found.seeds), errors.shape[1], validated[method], method in chosen, guesses[response]
            rows.append((method, _kind(method), response, estimate.value, *ends, estimate.freedom, *counts))
    names = (
        "method kind response error ci_low ci_high freedom n_seeds n_images validation_accuracy chosen guess"
    )
    return pd.DataFrame(rows, columns=names.split())


def ratio_table(methods: pd.DataFrame, wrong: Mapping[str, Wrong], classes: int) -> pd.DataFrame:
    """A row per response: the chosen network's error over the chosen older method's, over the seeds of both."""
    chosen = methods[methods["chosen"]].drop_duplicates("method").set_index("kind")["method"]
    network, rival = chosen["network"], chosen["older"]
    seeds = sorted(set(wrong[network].seeds) & set(wrong[rival].seeds))
    if not seeds:
        raise TakeoffError(
            f"moment: {network} and {rival} have no seed in common; train both with the study's seeds"
        )
    rows, judged = [], "top5" if classes > TOP5_CLASSES else "top1"
    for response in BITS:
        errors, others = wrong[network].of(seeds, response), wrong[rival].of(seeds, response)
        found = log_ratio(errors, others)
        low, high = found.interval()
        counts = len(seeds), errors.shape[1], response == judged
        rows.append((response, network, rival, exp(found.value), exp(low), exp(high), *found, *counts))
    names = "response network rival ratio ci_low ci_high log_ratio error freedom n_seeds n_images judged"
    return pd.DataFrame(rows, columns=names.split())


def finding(claim: Claim, tables: Mapping[str, pd.DataFrame], test: tuple[float, int]) -> Finding:
    """What the judged ratio says; `test` is chance on the test images, and their number."""
    ratios, methods = tables["ratio"], tables["methods"]
    row = ratios[ratios["judged"].astype(bool)].iloc[0]
    network, rival = str(row["network"]), str(row["rival"])
    pair = f"{words_of(network)} over {words_of(rival)}"
    if not isfinite(row["log_ratio"]):
        return Finding(claim.name, reason=f"{pair}: one of the two made no error, so that there is no ratio")
    reasons, top1 = [], methods[methods["response"] == "top1"].set_index("method")["error"]
    guessing = bool((1 - top1[[network, rival]] <= chance_line(*test)).all())
    if guessing:
        reasons.append("both only guess")
    if row["response"] == "top1":
        reasons.append(
            "top-1 is judged, since of so few classes five guesses say little; "
            f"published for top-1: {TOP1_PUBLISHED:.2f}"
        )
    part = Part(
        f"{RESPONSE_WORDS[row['response']]} error, {pair}",
        float(row["log_ratio"]),
        float(row["error"]),
        float(row["freedom"]),
        (0, HALVED),
        ((NOT_HALVED, inf),),
        ratio=True,
        slack=(inf, inf) if guessing else (0.0, 0.0),
    )
    return Finding(claim.name, (part,), "; ".join(reasons))
