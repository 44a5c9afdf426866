"""The table that judges the claims, by the command, of made-up experiments."""

import json
import sys
from types import ModuleType

import judge
import numpy as np
import pandas as pd
import pytest
from numpy import inf
from scipy import stats
from takeoff.errors import TakeoffError
from takeoff.experiments import plotting, registry
from takeoff.experiments.claims import Finding
from takeoff.experiments.judging import undecided_words
from takeoff.statistics.verdicts import Part, judge_parts
from takeoff.study.settings import Settings
from unit.made_up_claims import RATIOS, claim

pytestmark = pytest.mark.usefixtures("no_collection")
DESIGN = "claim,source,statement,quantity,estimate,ci_low,ci_high,criterion,verdict,published,experiment,figure,reason"
PARTS = "claim,part,unit,n,estimate,ci_low,ci_high,level,supports,contradicts,p_value,p_adjusted,verdict"


def fake(monkeypatch, name, claims, find):
    """An experiment that judges its claims by `find`, given its only table, `values`."""
    module = ModuleType(f"takeoff.experiments.{name}")

    class Options(Settings):
        line: float = 2.0

    module.Options, module.TABLES, module.FIGURES, module.CLAIMS = Options, ("values",), {}, tuple(claims)
    module.judge = lambda study, options, tables, card: find(tables["values"], options, card)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def place(monkeypatch, tmp_path, write_study):
    """A place with two experiments, `race` and `scaling`, of which a study may switch on either."""

    def race(values, options, card):
        faster = Part.of("epochs", values["faster"], (options.line, inf), ratio=True)
        cheaper = Part.of("seconds", values["cheaper"], (-inf, 1), ratio=True)
        both = (Part.of("gap", values["cheaper"], (0, inf)), Part.of("error", values["zero"], (0, inf)))
        return [
            Finding("gpu", reason="no GPU was measured"),
            Finding("faster", (faster,), "epochs, not seconds"),
            Finding("cheaper", (cheaper,), arms=("arm2",)),
            Finding("both", both, arms=()),
        ]

    names = ("faster", "cheaper", "both")
    claims = [*map(claim, names), claim("gpu", "gpu")]
    large = [claim("large", "much data"), claim("small")]
    monkeypatch.setattr(registry, "EXPERIMENTS", ("race", "silent", "scaling"))
    fake(monkeypatch, "race", claims, race)
    fake(monkeypatch, "silent", [], None)
    fake(
        monkeypatch,
        "scaling",
        large,
        lambda values, *_: [
            Finding(n, (Part.of("gain", values["gain"], (0, inf)),)) for n in ("large", "small")
        ],
    )
    results, data = tmp_path / "results", tmp_path / "data"
    for name in ("race", "scaling"):
        (results / name).mkdir(parents=True)
        tuned_to([False, False]).to_csv(results / name / "choices.csv", index=False)
    table = {"faster": RATIOS, "cheaper": [1.2, 1.3, 1.25, 1.28], "zero": [-1.0, 1.0, 0.5, -0.5]}
    pd.DataFrame(table).to_csv(results / "race" / "values.csv", index=False)
    pd.DataFrame({"gain": [1.0, 1.1, 0.9]}).to_csv(results / "scaling" / "values.csv", index=False)
    criteria = {one.name: f"{one.criterion} [margin 0.01]" for one in (*claims, *large)}
    (results / "criteria.json").write_text(json.dumps(criteria))
    data.mkdir()
    (data / "card.json").write_text(json.dumps({"images": {"train": 50_000, "test": 10}}))

    def run(experiments=None, drawn=False, **changes):
        if not drawn:
            monkeypatch.setattr(plotting, "save", lambda *_: None)
        switched = {"race": None, "scaling": {}} if experiments is None else experiments
        study = write_study(experiments=switched, **changes)
        line = ["--study", study, "--data", data, "--results", results, "--out", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", ["judge.py", *map(str, line)])
        judge.main()
        read = [
            pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False, na_values=[""])
            for name in ("claims", "claims_parts")
        ]
        return read[0].set_index("claim", drop=False), read[1].set_index("claim", drop=False)

    run.results, run.data, run.out = results, data, tmp_path / "out"
    return run


def tuned_to(edges, lenders=(), untuned=False):
    """`choices.csv` of so many arms, `arm0` and on, tuned to their grid's edge or not, the last by these lenders."""
    arms = [f"arm{i}" for i in range(len(edges))]
    choosers = [*arms[: len(arms) - len(lenders)], *lenders]
    table = {"arm": arms, "learning_rate": 0.1, "chosen_by": choosers, "at_edge": edges, "untuned": untuned}
    return pd.DataFrame(table)


def dataset(samples):
    return {
        "name": "digits",
        "resolution": 8,
        "archive": None,
        "sha256": None,
        "classes": None,
        "train_samples": samples,
        "test_samples": "all",
        "validation_fraction": 0.2,
    }


def test_what_must_be_known_of_tuning_is_told_with_each_tested_claim(place):
    # arm3 took what arm0 chose, and arm4's rate was fixed.
    tuned_to([True, False, True, True, True], ["arm0", None]).to_csv(
        place.results / "race" / "choices.csv", index=False
    )
    tuned_to([True] * 6, untuned=True).to_csv(place.results / "scaling" / "choices.csv", index=False)
    claims, _ = place(dataset=dataset("all"))
    words = "2 of 3 tuned arms chose at the edge of the grid: arm0, arm2"
    assert claims.loc["faster", "reason"].startswith(f"epochs, not seconds; {words}")
    assert "1 of 1 tuned arms chose at the edge of the grid: arm2" in claims.loc["cheaper", "reason"]
    assert "edge" not in claims.loc["gpu", "reason"]
    assert "edge" not in claims.loc["both", "reason"]
    for words in ("chose at the edge of the grid", "had no reason for the choice"):
        assert (
            f"6 of 6 tuned arms {words}: arm0, arm1, arm2, arm3 and 2 more" in claims.loc["small", "reason"]
        )


def test_a_criterion_that_changed_after_planning_is_told(place):
    path = place.results / "criteria.json"
    fixed = json.loads(path.read_text())
    path.write_text(json.dumps(fixed | {"faster": "supported above 1"}))
    claims, _ = place(dataset=dataset("all"))
    assert claims.loc["faster", "reason"].startswith(
        "its criterion, or a number that it rests on, was changed"
    )
    assert "was changed" not in claims.loc["cheaper", "reason"]
    claims, _ = place(dataset=dataset("all"), margin=0.02)
    assert "was changed" in claims.loc["cheaper", "reason"]
    path.unlink()
    with pytest.raises(TakeoffError, match=r"criteria\.json: there is no such file; `scripts/plan\.py"):
        place(dataset=dataset("all"))


def test_every_claim_has_a_row(place, capsys):
    claims, parts = place(dataset=dataset("all"))
    assert ",".join(claims.columns) == DESIGN
    assert ",".join(parts.columns) == PARTS
    assert list(claims.index) == ["faster", "cheaper", "both", "gpu", "large", "small"]
    assert claims["verdict"].to_dict() == {
        "faster": "supported",
        "cheaper": "contradicted",
        "both": "undecided",
        "gpu": "not tested",
        "large": "supported",
        "small": "supported",
    }
    assert (claims["experiment"] == ["race"] * 4 + ["scaling"] * 2).all()
    assert claims.loc["faster", ["source", "statement", "published", "figure"]].to_list() == [
        "Someone 1989",
        "faster holds",
        "6×",
        "race-ratios",
    ]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[0].startswith("supported    faster: 3.04× [")
    assert printed[3] == "not tested   gpu: no GPU was measured"


def test_numbers_are_in_the_quantitys_own_units(place):
    claims, parts = place(dataset=dataset("all"))
    faster = parts.loc["faster"]
    assert faster["estimate"] == pytest.approx(stats.gmean(RATIOS))
    test = stats.ttest_1samp(np.log(RATIOS), np.log(2))
    assert faster["p_value"] == pytest.approx(test.pvalue)
    expected = np.exp(test.confidence_interval(1 - faster["level"]))
    assert faster[["ci_low", "ci_high"]].to_list() == pytest.approx(list(expected))
    shown = claims.loc["faster", ["estimate", "ci_low", "ci_high"]]
    assert shown.to_list() == faster[["estimate", "ci_low", "ci_high"]].to_list()
    assert faster[["supports", "contradicts"]].to_list() == ["(2, inf)", "(-inf, 2)"]
    assert len(parts) == 6  # two of `both`, none of `gpu`
    assert parts["level"].min() == pytest.approx(0.05 / 6)  # all of the study share the error rate


def test_reasons_say_which_part_decides(place):
    claims, parts = place()
    assert claims.loc["both", "estimate"] == pytest.approx(0)  # the open part, not the first
    assert claims.loc["both", "reason"].startswith(
        "1 of 2 parts hold; shown: error; the interval does not lie"
    )
    assert list(parts.loc["both", "verdict"]) == ["supported", "undecided"]
    assert claims.loc["faster", "reason"] == "epochs, not seconds; it rests on 4 values"
    assert claims.loc["cheaper", "reason"] == "it rests on 4 values"


def test_an_experiment_that_is_off_is_named_with_how_to_run_it(place):
    claims, parts = place({"scaling": {}}, dataset=dataset("all"))
    off = claims[claims["experiment"] == "race"]
    assert (off["verdict"] == "not tested").all()
    assert (
        off["reason"]
        == "experiment race is not switched on in this study: add `race: {}` below `experiments` in its file"
    ).all()
    assert off[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert list(parts.index) == ["large", "small"]
    assert parts["level"].max() == 0.05  # only what is tested shares it


def test_little_data_tests_no_claim_about_much(place):
    for samples, images in ((10_000, "10,000"), ("all", "39,999")):
        if samples == "all":
            (place.data / "card.json").write_text(json.dumps({"images": {"train": 39_999}}))
        claims, parts = place(dataset=dataset(samples))
        assert claims.loc["large", "verdict"] == "not tested"
        assert f"this study has {images};" in claims.loc["large", "reason"]
        assert "cifar10" in claims.loc["large", "reason"]
        assert claims.loc["small", "verdict"] == "supported"
        assert "large" not in parts.index
    (place.data / "card.json").write_text(json.dumps({"images": {"train": 40_000}}))
    assert place(dataset=dataset("all"))[0].loc["large", "verdict"] == "supported"


def test_options_reach_the_criterion(place):
    claims, _ = place({"race": {"line": 4.0}})
    assert claims.loc["faster", "verdict"] == "contradicted"


def test_one_seed_is_too_few(place):
    table = pd.DataFrame({"faster": [9.0], "cheaper": [0.5], "zero": [1.0]})
    table.to_csv(place.results / "race" / "values.csv", index=False)
    claims, parts = place({"race": {}})
    assert (claims.loc[["faster", "cheaper", "both"], "verdict"] == "undecided").all()
    assert claims.loc["faster", "reason"] == "epochs, not seconds; too few seeds for an interval"
    assert parts[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)


def test_what_the_user_can_put_right(place):
    (place.results / "scaling" / "values.csv").unlink()
    with pytest.raises(TakeoffError, match=r"scaling/values\.csv: .*analyse\.py experiment scaling --study"):
        place()
    place({"race": {}})
    (place.results / "race" / "values.csv").write_text("")
    with pytest.raises(TakeoffError, match=r"race/values\.csv: not a table"):
        place({"race": {}})
    with pytest.raises(TakeoffError, match=r"experiments\.rice: no such experiment; did you mean race"):
        place({"rice": {}})
    (place.data / "card.json").write_text("{}")
    with pytest.raises(TakeoffError, match=r"card\.json: images\.train"):
        place()
    (place.data / "card.json").unlink()
    with pytest.raises(TakeoffError, match=r"card\.json: there is no such file"):
        place()


@pytest.mark.parametrize(
    "findings", [[], ["small"], ["large", "small", "small"], ["large", "small", "other"]], ids=len
)
def test_an_experiment_judges_each_of_its_claims_once(place, monkeypatch, findings):
    module = sys.modules["takeoff.experiments.scaling"]
    monkeypatch.setattr(module, "judge", lambda *_: [Finding(name, reason="none") for name in findings])
    with pytest.raises(RuntimeError, match=r"scaling\.py: judge must give one finding for each claim"):
        place()


def test_no_two_claims_share_a_name(place, monkeypatch):
    monkeypatch.setattr(sys.modules["takeoff.experiments.silent"], "CLAIMS", (claim("small"),))
    with pytest.raises(RuntimeError, match="two claims are called small"):
        place({"race": {}})


def test_the_same_results_give_the_same_bytes(place):
    written = []
    for _ in range(2):
        place(drawn=True)
        files = sorted(path for path in place.out.rglob("*") if path.is_file())
        written.append({path.relative_to(place.out).as_posix(): path.read_bytes() for path in files})
    assert written[0] == written[1]
    names = ["claims.csv", "claims_parts.csv", *(f"figures/claims.{end}" for end in ("csv", "png", "svg"))]
    assert sorted(written[0]) == sorted(names)


@pytest.mark.parametrize(
    ("values", "slack", "words"),
    [
        ([0.3] * 3, (0, 0), "all 3 values are equal: no spread, and too few for a sign test"),
        ([0.1] * 10, (0, 0), "the interval does not lie on one side of the criterion"),
        ([0.3] * 3, (inf, 0), "only a bound is known"),
        ([0.3], (0, 0), "too few seeds for an interval"),
    ],
)
def test_why_a_part_is_undecided(values: list[float], slack: tuple[float, float], words: str) -> None:
    (judgement,) = judge_parts([Part.of("x", values, (0.1, inf), slack=slack)])
    assert judgement.verdict == "undecided"
    assert undecided_words(judgement) == words
