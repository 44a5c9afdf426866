"""A made-up study, what an experiment measures of its claims, checked against `config/claims.yaml`, and what is judged
from it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from takeoff.common.tables import write_csv
from takeoff.experiments.analysis import read_back
from takeoff.experiments.base import Experiment, FixedCriterion
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


def made_up(folder: Path, **changes: Any) -> Study:
    """A study of four epochs and four seeds; `changes` replace its keys."""
    content = {"title": "Made up", "dataset": {"name": "made-up", "resolution": 8}, "recipe": {"epochs": 4}}
    content |= {"tuning": {"learning_rates": [0.01, 0.1]}, "seeds": 4, "factors": FACTORS, "experiments": {"race": {}}}
    path = folder / "study.json"
    path.write_text(json.dumps(content | {"budget": {"runs": 9999, "core_hours": 9}} | changes))
    return load_study(path)


def reread(tables: Mapping[str, pd.DataFrame], folder: Path) -> dict[str, pd.DataFrame]:
    """The tables as a reader of their files has them."""
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    return {name: read_back(folder / f"{name}.csv") for name in tables}


def measured(
    name: str, experiment: Experiment[Any], tables: Mapping[str, pd.DataFrame], card: Mapping[str, Any]
) -> dict[str, list[Measure]]:
    """By claim, what the experiment of this name measures: all parts of each, in their order, or why none could be."""
    found: dict[str, list[Measure]] = {}
    for one in experiment.measure(tables, dict(card)):
        found.setdefault(one.claim, []).append(one)
    claims = load_claims().of(name)
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
