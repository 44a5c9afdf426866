"""A place where claims of two made-up experiments are judged by the command, and what both measured."""

import json
import sys
from dataclasses import replace

import judge
import pandas as pd
import yaml
from takeoff.common.files import write_json
from takeoff.common.tables import write_csv
from takeoff.experiments.registry import enabled
from takeoff.figures import style
from takeoff.judging.claims import criteria, load_claims
from takeoff.statistics.measures import Measure, measures_table
from takeoff.study.loading import load_study
from unit.made_up_claims import RATIOS, stated

SIDES = {"quantity": "the gain", "unit": "points", "supports": {"above": 0}}
SECONDS = {"quantity": "the ratio", "unit": "ratio", "supports": {"above": 0, "below": 1}, "family": "times"}
MADE_UP = {
    "scopes": {"much data": {"train_samples": 40_000, "study": "cifar10"}},
    "claims": {
        "faster": stated("faster", rests_on=["error"]),
        "cheaper": stated("cheaper", parts={"seconds": SECONDS}),
        "both": stated("both", parts={"gap": SIDES, "error": SIDES}),
        "gpu": stated("gpu"),
        "large": stated("large", "moment", {"gain": SIDES}, scope="much data"),
        "small": stated("small", "moment", {"gain": SIDES | {"supports": {"above": "margin"}}}),
    },
}


def race(faster=RATIOS, cheaper=(1.2, 1.3, 1.25, 1.28), zero=(-1.0, 1.0, 0.5, -0.5), **changes):
    """What the race measured of its claims."""
    return [
        Measure.missing("gpu", "no GPU was measured"),
        replace(Measure.of("faster", "epochs", "epochs", faster, "ratio", reason="not seconds"), **changes),
        Measure.of("cheaper", "seconds", "seconds", cheaper, "ratio"),
        Measure.of("both", "gap", "gap", cheaper, "points"),
        Measure.of("both", "error", "error", zero, "points"),
    ]


def moment(gain=(2.0, 2.2, 1.8)):
    return [Measure.of(name, "gain", "gain", gain, "points") for name in ("large", "small")]


def judging_place(monkeypatch, tmp_path, write_study):
    """A place with claims of two experiments, `race` and `moment`, and what both measured."""
    results, data, path = tmp_path / "results", tmp_path / "data", tmp_path / "claims.yaml"
    data.mkdir()
    (data / "card.json").write_text(json.dumps({"images": {"train": 50_000, "test": 10}}))

    def state(content):
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def measured(**measures):
        for name, own in measures.items():
            write_csv(measures_table(own), results / name / "measured.csv")

    def run(experiments=None, drawn=False, claims=path, more=(), **changes):
        """Judge, and return both tables; what is planned first has its criteria written down."""
        if not drawn:
            monkeypatch.setattr(style, "save", lambda *_: None)
        switched = {"race": None, "moment": {}} if experiments is None else experiments
        changes = {"dataset": dataset("all")} | changes
        study = write_study(experiments=switched, **changes)
        fixed = results / "criteria.json"
        if run.planned and not fixed.exists():
            options = {name: one.options for name, one in enabled(load_study(study), "study").items()}
            write_json(fixed, criteria(load_claims(claims), load_study(study), options))
        line = ["--study", study, "--data", data, "--results", results, "--claims", claims]
        monkeypatch.setattr(sys, "argv", ["judge.py", *map(str, [*line, *more, "--out", tmp_path / "out"])])
        judge.main()
        tables = [
            pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False, na_values=[""])
            for name in ("claims", "claims_parts")
        ]
        return [table.set_index("claim", drop=False) for table in tables]

    state(MADE_UP)
    measured(race=race(), moment=moment())
    run.results, run.data, run.out, run.claims, run.planned = results, data, tmp_path / "out", path, True
    run.state, run.measured = state, measured
    return run


def dataset(samples):
    return {"name": "digits", "resolution": 8, "train_samples": samples}


def changed(claim, **changes):
    """The made-up claims, one with other keys."""
    claims = MADE_UP["claims"]
    return MADE_UP | {"claims": claims | {claim: claims[claim] | changes}}
