"""The factorial experiment by its commands, from made-up runs to figures."""

import json

import pandas as pd
from takeoff.experiments.factorial.design import Design, Options
from takeoff.judging.claims import criteria, load_claims
from unit.factorial_runs import make_results, make_study
from unit.measured import CARD


def write_results(folder, study):
    """A results folder as training leaves it, with the card in it."""
    results = make_results(study)
    for arm in Design(study, Options()).arms():
        place = folder / "arms" / arm.name
        place.mkdir(parents=True)
        for name, table in (("runs", results.runs), ("curves", results.curves)):
            table[table["arm"] == arm.name].to_parquet(place / f"{name}.parquet")
        tried = results.tuning[results.tuning["arm"] == arm.name].drop(columns="arm").to_dict("records")
        made = {"block": 0, "learning_rate": 0.1, "at_edge": arm.network.dropout > 0, "untuned": False, "runs": tried}
        (place / "learning_rate.json").write_text(json.dumps({"choices": [made]}))
    (folder / "card.json").write_text(json.dumps(CARD))
    planned = criteria(load_claims(), study, {"factorial": Options()})
    (folder / "criteria.json").write_text(json.dumps(planned))


def test_commands_from_runs_to_figures(tmp_path, command):
    study = make_study(tmp_path)
    write_results(tmp_path, study)
    common = ["--study", tmp_path / "study.json"]
    out = ["--data", tmp_path, "--results", tmp_path, "--out", tmp_path / "factorial"]
    command.done("analyse", "experiment", "factorial", *common, *out)
    factorial = Design(study, Options())
    written = sorted(p.stem for p in (tmp_path / "factorial").glob("*.csv"))
    assert written == sorted([*factorial.tables(), "choices", "measured"])
    cells = pd.read_csv(tmp_path / "factorial" / "cells.csv")
    assert cells["at_edge"].tolist() == [False, True] * 4
    figures = tmp_path / "figures"
    drawing = ["draw", "factorial", *common, "--results", tmp_path, "--out", figures]
    command.done(*drawing)
    expected = [f"factorial-{name}.{kind}" for name in factorial.figures() for kind in ("svg", "png", "csv")]
    assert sorted(p.name for p in figures.iterdir()) == sorted(expected)

    (tmp_path / "arms" / "relu" / "curves.parquet").write_text("cut")
    (tmp_path / "factorial" / "cells.csv").unlink()
    (tmp_path / "arms" / "tanh" / "learning_rate.json").write_text("{")
    for message, line in (
        ("learning_rate.json: not valid JSON", ("analyse", "experiment", "factorial", *common, *out)),
        ("experiments: race is not switched on", ("analyse", "experiment", "race", *common, *out)),
        ("cells.csv", drawing),
    ):
        assert message in command.refused(*line)
