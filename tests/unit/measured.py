"""A made-up study and results, what an experiment measures of its claims, checked against `config/claims.yaml`, and
what is judged and drawn from it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from takeoff.common.tables import write_csv
from takeoff.experiments.analysis import read_back
from takeoff.experiments.base import Drawing, Experiment, FixedCriterion, Results
from takeoff.judging.claims import load_claims
from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Judgement, Part, Verdict, judge_claim, judge_parts
from takeoff.study.loading import load_study
from takeoff.study.model import Study

FACTORS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
    "dropout": {"baseline": 0, "treatment": 0.5},
}
CARD = {"images": {"train": 800, "test": 500}, "images_per_class": {"train": [80] * 10, "test": [50] * 10}}


def made_up(folder: Path, **changes: Any) -> Study:
    """A study of four epochs and four seeds; `changes` replace its keys."""
    content = {"title": "Made up", "dataset": {"name": "digits", "resolution": 8}, "recipe": {"epochs": 4}}
    content |= {"tuning": {"learning_rates": [0.01, 0.1]}, "seeds": 4, "factors": FACTORS, "experiments": {"race": {}}}
    path = folder / "study.json"
    path.write_text(json.dumps(content | {"budget": {"runs": 9999, "core_hours": 9}} | changes))
    return load_study(path)


def results(card: Any = CARD, speed: Iterable | None = None, **rows: Iterable) -> Results:
    """Results of tables, or of their rows; what is not given is empty."""
    tables = {name: pd.DataFrame(rows.pop(name, ())) for name in ("runs", "curves", "tuning", "probes")}
    assert not rows
    return Results(card=card, speed=None if speed is None else pd.DataFrame(speed), **tables)


def lose(whole: Results, arm: str, seed: int) -> Results:
    """The same results, but of this run, which diverged, nothing could be scored."""
    runs = whole.runs.copy()
    lost = (runs["arm"] == arm) & (runs["seed"] == seed)
    runs.loc[lost, [name for name in runs if name.endswith(("_accuracy", "_correct"))]] = None
    runs.loc[lost, "diverged"] = True
    return replace(whole, runs=runs)


def analysed(experiment: Experiment[Any], whole: Results, folder: Path) -> dict[str, pd.DataFrame]:
    """The tables as a reader of their files has them."""
    tables = experiment.analyse(whole)
    assert tuple(tables) == experiment.tables()
    return reread(tables, folder)


def reread(tables: Mapping[str, pd.DataFrame], folder: Path) -> dict[str, pd.DataFrame]:
    """The tables as a reader of their files has them."""
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    return {name: read_back(folder / f"{name}.csv") for name in tables}


def name_of(experiment: Experiment[Any]) -> str:
    """As its folder is called."""
    return type(experiment).__module__.split(".")[-2]


def measured(
    experiment: Experiment[Any], tables: Mapping[str, pd.DataFrame], card: Mapping[str, Any] = CARD
) -> dict[str, list[Measure]]:
    """By claim, what the experiment measures: all parts of each, in their order, or why none could be."""
    found: dict[str, list[Measure]] = {}
    for one in experiment.measure(tables, dict(card)):
        found.setdefault(one.claim, []).append(one)
    claims = load_claims().of(name_of(experiment))
    assert list(found) == [claim.name for claim in claims]
    for claim in claims:
        own = found[claim.name]
        if [one.part for one in own] == [""]:
            assert own[0].reason
            continue
        assert {one.part: one.unit for one in own} == {key: part.unit for key, part in claim.parts.items()}
        assert [one.part for one in own] == list(claim.parts)
    return found


def judged(measures: Sequence[Measure], margin: float = 0.01) -> list[Judgement]:
    """The parts of a claim as a family of their own."""
    parts = load_claims().claims[measures[0].claim].parts
    return judge_parts([Part(one, parts[one.part].criterion(margin)) for one in measures])


def verdict(measures: Sequence[Measure], margin: float = 0.01) -> Verdict:
    """That of the claim, were it alone in its study."""
    return judge_claim(judged(measures, margin))[0]


def fixed(name: str, margin: float = 0.01) -> dict[str, FixedCriterion]:
    """The criteria of an experiment's claims as drawing gets them."""
    return {
        claim.name: FixedCriterion(
            {key: part.criterion(margin) for key, part in claim.parts.items()}, claim.published_value
        )
        for claim in load_claims().of(name)
    }


def drawn(experiment: Experiment[Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Drawing]:
    """Its figures, all that it says it has, by name; with the claims' criteria, and before that without."""
    for criteria in ({}, fixed(name_of(experiment))):
        found = {one.name: one for one in experiment.draw(tables, criteria)}
        assert list(found) == list(experiment.figures())
        assert all(len(one.numbers) for one in found.values())
    return found
