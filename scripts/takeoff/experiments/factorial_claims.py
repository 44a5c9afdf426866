"""The claims that the factorial experiment judges: that batch norm speeds training, and how it goes with dropout."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any

from takeoff.experiments.chance import chance_of
from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.factorial_cells import Options, tuned_arms
from takeoff.statistics.chance import chance_line, near_perfect
from takeoff.statistics.verdicts import Part, product_of
from takeoff.study.arms import Arm, make_arm
from takeoff.study.model import Level, Study

if TYPE_CHECKING:
    import pandas as pd

SHARE = 0.95
"""Of the plain arm's mean validation accuracy: the height that both arms' curves must reach."""
RESPONSES = {"test_accuracy": "points", "test_accuracy_log_odds": "log-odds"}
"""What the interaction of dropout and batch norm is judged on, and its unit."""
CLAIMS = (
    Claim(
        name="batch-norm-speeds-training",
        statement="Batch norm speeds training.",
        source="Ioffe & Szegedy 2015, ICML",
        quantity="how many times as many epochs, and seconds, a ReLU network without dropout needs without batch norm "
        "as with it to reach 95% of the validation accuracy that it has without (fixed on tuning seeds)",
        criterion="supported where the intervals of both ratios lie above 1; contradicted where either lies below",
        published="2.3 times fewer steps (31.0 against 13.3 million) with batch norm alone; 14 times only with six "
        "other changes",
        figure="factorial-speed-up",
        published_value=31.0 / 13.3,
    ),
    Claim(
        name="dropout-and-batch-norm-do-not-add-up",
        statement="Dropout and batch norm do not simply add up: beside batch norm, dropout helps less or harms.",
        source="Mishkin, Sergievskiy & Matas 2017, CVIU; Li, Chen, Hu & Yang 2018",
        quantity="the interaction of dropout and batch norm in ReLU networks (half the difference of differences) on "
        "test accuracy, in points and in log-odds",
        criterion="supported where both intervals lie below 0, contradicted where either lies above; undecided where "
        "an arm is at chance or within two standard errors of perfect, or where an arm with dropout fits its own "
        "training images worse, by more than the study's margin, than the arm without it does test images: it was not "
        "trained enough",
        published="given batch norm, dropout 0.5 cost 1.4 points and dropout 0.2 brought 1.4 (Mishkin 2017); dropout "
        "cost a DenseNet 8.8 points, 77.4 to 68.6 (Li 2018)",
        figure="factorial-interaction",
    ),
)


def speed_pair(study: Study, arms: Sequence[Arm]) -> tuple[Arm, Arm] | str:
    """The arms of ReLU without dropout, plain and with batch norm, all other factors at their baselines; or why
    there are none.
    """
    pair = []
    for norm in ("none", "batch"):
        asked: dict[str, Level] = {"activation": "relu", "dropout": 0, "norm": norm}
        levels = {name: asked.get(name, factor.baseline) for name, factor in study.factors.items()}
        arm = make_arm(study, levels)
        if any(arm.levels[name] != level for name, level in asked.items()):
            return "the study has no ReLU networks without dropout both with and without batch norm"
        pair += [one for one in arms if one.name == arm.name]
    if len(pair) < 2:
        return "the study trains no two ReLU networks without dropout that differ in batch norm alone"
    return pair[0], pair[1]


def quartet(study: Study, arms: Sequence[Arm]) -> dict[tuple[bool, bool], list[str]] | str:
    """The ReLU arms by (batch norm?, dropout?), as many in each of the four groups; or why there are none."""
    if len(arms) < 2 ** len(study.factors):
        return "of a fraction of the cells, the interaction at ReLU alone cannot be told from others"
    groups: dict[tuple[bool, bool], list[str]] = {}
    for arm in arms:
        if arm.network.activation == "relu":
            groups.setdefault((arm.network.norm == "batch", arm.network.dropout > 0), []).append(arm.name)
    if len(groups) < 4:
        return "the study does not cross batch norm with dropout in ReLU networks"
    return groups


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """What the tables, read back, say of each of `CLAIMS`."""
    arms, test = tuned_arms(study, options), chance_of(card, study)
    pair, groups = speed_pair(study, arms), quartet(study, arms)
    speed, interaction = CLAIMS
    return [
        Finding(speed.name, reason=pair)
        if isinstance(pair, str)
        else replace(
            _speed(tables["speed_up"], tables["step_seconds"], chance_line(*test)),
            arms=tuple(arm.name for arm in pair),
        ),
        Finding(interaction.name, reason=groups)
        if isinstance(groups, str)
        else _interaction(tables["runs"], groups, test, study.margin),
    ]


def _speed(crossings: "pd.DataFrame", steps: "pd.DataFrame", line: float) -> Finding:
    """Of the tables `speed_up` and `step_seconds`; `line` is the accuracy up to which a network guesses."""
    claim = CLAIMS[0].name
    threshold = float(crossings["threshold"].iloc[0]) if len(crossings) else nan
    if isnan(threshold):
        return Finding(
            claim, reason="the plain arm has no tuning runs, so that no accuracy to reach was fixed"
        )
    if threshold <= line or (crossings["ratio"].isna()).any():
        return Finding(
            claim, reason="the plain network does no better than guessing, so there is nothing to reach"
        )
    censored = (bool(crossings["batch_norm_censored"].any()), bool(crossings["plain_censored"].any()))
    slack = (inf if censored[0] else 0.0, inf if censored[1] else 0.0)
    words = f"to {100 * threshold:.1f}% validation accuracy, plain over batch norm"
    epochs = Part.of(f"epochs {words}", crossings["ratio"], (1, inf), ratio=True, slack=slack)
    seconds = seconds_part(f"seconds {words}", epochs, steps)
    reasons = []
    for name, flag in zip(("batch norm", "plain"), censored, strict=True):
        if flag:
            lost = int(crossings[f"{name.replace(' ', '_')}_censored"].sum())
            bound = "the ratio is at most this" if name == "batch norm" else "the ratio is at least this"
            reasons.append(f"{lost} of {len(crossings)} {name} runs never got there: {bound}")
    if not len(steps):
        reasons.append("the seconds per step were not measured")
    return Finding(claim, (epochs, seconds), "; ".join(reasons))


def seconds_part(label: str, epochs: Part, steps: "pd.DataFrame") -> Part:
    """The ratio of seconds: of epochs, times that of seconds per step over the blocks of `step_seconds`."""
    if not len(steps):
        return Part(label, nan, nan, nan, (1, inf), ratio=True, slack=(inf, inf))
    return product_of(label, epochs, Part.of("seconds per step", steps["ratio"], (1, inf), ratio=True))


def by_norm(
    runs: "pd.DataFrame", groups: dict[tuple[bool, bool], list[str]], response: str
) -> "tuple[pd.Series, pd.Series]":
    """Dropout's effect on `response` without and with batch norm, a value per seed; the mean over other factors."""
    wide = runs.pivot(index="seed", columns="arm", values=response)
    wide = wide[[arm for arms in groups.values() for arm in arms]].dropna()
    without, given = (
        wide[groups[norm, True]].mean(axis=1) - wide[groups[norm, False]].mean(axis=1)
        for norm in (False, True)
    )
    return without, given


def _interaction(
    runs: "pd.DataFrame", groups: dict[tuple[bool, bool], list[str]], test: tuple[float, int], margin: float
) -> Finding:
    claim, reasons = CLAIMS[1].name, []
    chance, images = test
    for arm in (arm for arms in groups.values() for arm in arms):
        accuracy = float(runs.loc[runs["arm"] == arm, "test_accuracy"].mean())
        if accuracy <= chance_line(chance, images):
            reasons.append(f"{arm} is at chance")
        elif near_perfect(accuracy, images):
            reasons.append(f"{arm} is within two standard errors of perfect")
    mean = runs.groupby("arm")[["train_accuracy", "test_accuracy"]].mean()
    for norm in (False, True):
        fits = mean.loc[groups[norm, True], "train_accuracy"].mean()
        without = mean.loc[groups[norm, False], "test_accuracy"].mean()
        if fits < without - margin:
            reasons.append(
                f"with{'' if norm else 'out'} batch norm, dropout gets {100 * fits:.0f}% of the training images "
                f"right, fewer than of the test images without it ({100 * without:.0f}%): not trained enough"
            )
    slack = (inf, inf) if reasons else (0.0, 0.0)
    parts = []
    for response, unit in RESPONSES.items():
        without, given = by_norm(runs, groups, response)
        if not len(without):
            return Finding(claim, reason="no seed is in all the arms compared")
        scale = 100 if unit == "points" else 1
        values = scale * (given - without) / 2
        label = f"dropout × batch norm at ReLU, {unit}"
        parts.append(Part.of(label, values, (-inf, 0), slack=slack, unit=unit))
    compared = tuple(arm for arms in groups.values() for arm in arms)
    return Finding(claim, tuple(parts), "; ".join(reasons), compared)
