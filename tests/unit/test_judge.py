"""The tables that judge the claims, by the command: of made-up claims and measures, and of our own claims."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy import inf
from scipy import stats
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json
from takeoff.experiments.analysis import analysed
from takeoff.experiments.base import Experiment
from takeoff.judging.judge import COLUMNS, PART_COLUMNS, undecided_words
from takeoff.statistics.verdicts import judge_parts
from takeoff.study.arms import make_arm
from takeoff.study.loading import load_study
from takeoff.study.settings import Settings
from unit.judging_place import MADE_UP, SECONDS, SIDES, changed, dataset, judging_place, race
from unit.made_up_claims import EPOCHS, RATIOS, part


@pytest.fixture
def place(monkeypatch, tmp_path, write_study):
    return judging_place(monkeypatch, tmp_path, write_study)


# Tables ------------------------------------------------------------------------------------------------


def test_every_claim_has_a_row(place, capsys):
    claims, parts = place()
    assert list(claims.columns) == COLUMNS
    assert list(parts.columns) == PART_COLUMNS
    assert list(claims.index) == list(MADE_UP["claims"])
    verdicts = ["supported", "contradicted", "undecided", "not tested", "supported", "supported"]
    assert claims["verdict"].to_list() == verdicts
    assert (claims["experiment"] == ["race"] * 4 + ["moment"] * 2).all()
    words = ["Someone 1989", "faster holds", "6×", "race-ratios"]
    assert claims.loc["faster", ["source", "statement", "published", "figure"]].to_list() == words
    assert "above 2" in claims.loc["faster", "criterion"]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[0].startswith("supported    faster: 3.04× [")
    assert printed[3] == "not tested   gpu: no GPU was measured"


def test_numbers_are_in_the_quantitys_own_units(place):
    _, parts = place()
    faster = parts.loc["faster"]
    assert faster["estimate"] == pytest.approx(stats.gmean(RATIOS))
    assert faster["p_value"] == pytest.approx(stats.ttest_1samp(np.log(RATIOS), np.log(2)).pvalue)
    assert faster[["supports", "contradicts", "family"]].to_list() == ["(2, inf)", "(-inf, 2)", "results"]
    assert parts["n"].to_list() == [4, 4, 4, 4, 3, 3]  # two parts of `both`, none of `gpu`
    assert parts.loc["small", "supports"] == "(1, inf)"  # the margin, in points


def test_a_family_of_times_moves_no_other_interval(place):
    before, parts = place()
    results = parts["family"] == "results"
    assert parts.loc[results, "level"].min() == pytest.approx(0.8 * 0.05 / 4)  # the first look, four claims
    assert parts.loc["cheaper", "level"] == pytest.approx(0.8 * 0.05)
    place.measured(race=[one if one.part != "seconds" else race(cheaper=[0.5, 3])[2] for one in race()])
    after, again = place()
    assert (before.loc["cheaper", "verdict"], after.loc["cheaper", "verdict"]) == ("contradicted", "undecided")
    pd.testing.assert_frame_equal(again[results], parts[results])


def test_reasons_say_which_part_decides(place):
    claims, parts = place()
    assert claims.loc["both", "estimate"] == pytest.approx(0)  # the open part, not the first
    assert claims.loc["both", "reason"].startswith("1 of 2 parts hold; shown: error; the interval does not lie")
    assert list(parts.loc["both", "verdict"]) == ["supported", "undecided"]
    assert claims.loc["faster", "reason"] == "not seconds"


def test_a_veto_keeps_estimate_and_interval(place):
    place.measured(race=race(veto="any", reason="not tuned"))
    claims, parts = place()
    vetoed = parts.loc["faster"]
    assert (vetoed["verdict"], vetoed["veto"], vetoed["p_value"]) == ("undecided", "any", 1)
    assert claims.loc["faster", "reason"] == "not tuned; no verdict may rest on it"
    at_level = stats.ttest_1samp(np.log(RATIOS), 0).confidence_interval(1 - vetoed["level"])
    shown = claims.loc["faster", ["estimate", "ci_low", "ci_high"]].to_list()
    assert shown == pytest.approx([stats.gmean(RATIOS), *np.exp(at_level)])


def test_the_same_results_give_the_same_bytes(place):
    written = []
    for _ in range(2):
        place(drawn=True)
        files = sorted(path for path in place.out.rglob("*") if path.is_file())
        written.append({path.relative_to(place.out).as_posix(): path.read_bytes() for path in files})
    assert written[0] == written[1]
    tables = ["claims.csv", "claims_parts.csv", "files.json"]
    names = [*tables, *(f"figures/claims.{end}" for end in ("csv", "png", "svg"))]
    assert sorted(written[0]) == sorted(names)


# Criteria ----------------------------------------------------------------------------------------------


def test_criteria_keep_numbers(place):
    place()
    fixed = json.loads((place.results / "criteria.json").read_text())
    assert list(fixed) == list(MADE_UP["claims"])
    epochs = {"supports": [2, None], "contradicts": [[None, 2]], "family": "results"}
    assert fixed["faster"]["parts"] == {"epochs": epochs}
    assert fixed["faster"]["options"] == {"error": 0.25}
    assert fixed["small"]["parts"]["gain"]["supports"] == [1, None]
    assert fixed["large"]["scope"] == {"train_samples": 40_000, "study": "cifar10"}
    assert {one["margin"] for one in fixed.values()} == {0.01}


@pytest.mark.parametrize(
    ("claims", "options", "marked"),
    [
        (MADE_UP, {}, set()),
        (changed("faster", parts={"epochs": EPOCHS | {"supports": {"above": 2.02}}}), {}, {"faster"}),
        (changed("cheaper", parts={"seconds": SECONDS | {"family": "results"}}), {}, {"cheaper"}),
        (changed("both", parts={"gap": SIDES, "error": SIDES | {"contradicts": []}}), {}, {"both"}),
        (changed("faster", published_value=5.0, source="Someone else"), {}, set()),
        (MADE_UP, {"error": 0.2525}, {"faster"}),
        (MADE_UP, {"width": 0.5}, set()),
        (MADE_UP, {"margin": 0.0101}, {"faster", "cheaper", "both", "large", "small"}),
    ],
)
def test_a_number_changed_after_planning_marks_its_claim(place, capsys, claims, options, marked):
    place()
    capsys.readouterr()
    place.state(claims)
    margin = options.get("margin", 0.01)
    options = {name: value for name, value in options.items() if name != "margin"}
    found, _ = place({"race": options, "moment": {}}, margin=margin)
    words = "its criterion, or a number that it rests on, was changed"
    assert set(found.index[found["reason"].str.contains(words, na=False)]) == marked
    printed = [line for line in capsys.readouterr().out.splitlines() if line.endswith("after planning)")]
    assert {line.split()[1] for line in printed} == {f"{name}:" for name in marked}


# What is not tested ------------------------------------------------------------------------------------


def test_an_experiment_that_is_off_is_named_with_how_to_run_it(place):
    claims, parts = place({"moment": {}})
    off = claims[claims["experiment"] == "race"]
    assert (off["verdict"] == "not tested").all()
    why = "experiment race is not switched on in this study: add `race: {}` below `experiments` in its file"
    assert set(off["reason"]) == {why}
    assert off[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert list(parts.index) == ["large", "small"]
    assert parts["level"].min() == pytest.approx(0.8 * 0.05 / 2)  # only what is tested shares the error rate


def test_little_data_tests_no_claim_about_much(place):
    (place.data / "card.json").write_text(json.dumps({"images": {"train": 39_999}}))
    for samples, images in ((10_000, "10,000"), ("all", "39,999")):
        claims, parts = place(dataset=dataset(samples))
        assert claims.loc["large", "verdict"] == "not tested"
        assert f"this study has {images};" in claims.loc["large", "reason"]
        assert "cifar10" in claims.loc["large", "reason"]
        assert claims.loc["small", "verdict"] == "supported"
        assert "large" not in parts.index
    (place.data / "card.json").write_text(json.dumps({"images": {"train": 40_000}}))
    assert place()[0].loc["large", "verdict"] == "supported"


def test_why_a_part_is_undecided():
    for values, below, words in (
        ([0.3] * 3, 0, "all 3 values are equal: no spread, and too few for a sign test"),
        ([0.1] * 10, 0, "the interval does not lie on one side of the criterion"),
        ([0.3] * 3, inf, "only a bound is known"),
        ([0.3], 0, "too few seeds for an interval"),
    ):
        (judgement,) = judge_parts([part("x", values, (0.1, inf), bound=(below, 0))])
        assert (judgement.verdict, undecided_words(judgement)) == ("undecided", words)


# What analysing adds to a measure ----------------------------------------------------------------------


def test_what_must_be_known_of_tuning_stands_with_each_measure(place, write_study):
    """Of five arms three were tuned: two at their grid's edge; one took another's rate, and one had a fixed rate."""
    study = load_study(write_study())
    arms = [make_arm(study, {"width": width}) for width in (0.1, 0.2, 0.3)]
    arms += [make_arm(study, {"width": 0.4}, choice_from=arms[0].name)]
    arms += [make_arm(study, {"width": 0.5}, learning_rate=0.1)]
    for arm, edge in zip(arms, (True, False, True, True, True), strict=True):
        folder = place.results / "arms" / arm.name
        folder.mkdir(parents=True)
        rows = pd.DataFrame({"arm": arm.name, "seed": [0, 1], "learning_rate": 0.1})
        devices = ["cpu", "cpu" if arm is arms[0] else "a GPU"]
        rows = rows.assign(method="network", device=devices, precision="float32")
        rows.to_parquet(folder / "runs.parquet")
        rows.to_parquet(folder / "curves.parquet")
        made = {"block": 0, "at_edge": edge, "untuned": not edge, "runs": []}
        write_json(folder / "learning_rate.json", {"choices": [made]})

    class Made(Experiment[Settings]):
        title, Options = "Made up", Settings
        arms = lambda self: arms  # noqa: E731
        tables = lambda self: ()  # noqa: E731
        figures = lambda self: {}  # noqa: E731
        analyse = lambda self, results: {}  # noqa: E731

        def measure(self, tables, card):
            names = arms[1].name, arms[2].name
            return [replace(one, arms={"faster": None, "cheaper": names}.get(one.claim, ())) for one in race()]

    analysed(Made(study, Settings()), place.results, {}, place.results / "race")
    claims, _ = place({"race": {}})
    first, second, third = (arm.name for arm in arms[:3])
    edge = f"2 of 3 choices lie at the edge of the grid: {first}, {third}"
    reason = f"1 of 3 choices had no reason: {second}"
    assert claims.loc["faster", "reason"].startswith(f"not seconds; {edge}; {reason}")
    assert f"1 of 2 choices lie at the edge of the grid: {third}" in claims.loc["cheaper", "reason"]
    # The second seed was trained on a CPU and on a GPU, the arms of the second claim on one kind alone.
    words = "1 of 2 seeds were trained on several kinds of device: cpu, float32; a GPU, float32"
    assert words in claims.loc["faster", "reason"]
    assert "kinds of device" not in claims.loc["cheaper", "reason"]
    for name in ("gpu", "both"):
        assert "choices" not in claims.loc[name, "reason"]


# What the user can put right ---------------------------------------------------------------------------


def without(name, **changes):
    return [replace(one, **changes) for one in race() if one.claim != name]


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (without("faster"), r"race/measured\.csv: .*claim faster"),
        (without("", claim="slower"), r"race/measured\.csv: slower: no such claim of race in .*claims\.yaml"),
        (without("", claim="large"), r"race/measured\.csv: large: no such claim of race in .*claims\.yaml"),
        (race()[:-1], r"claims\.yaml: both\.error: nothing was measured"),
        (race(part="seconds"), r"claims\.yaml: faster\.seconds: no criterion"),
    ],
)
def test_measures_and_claims_fit(place, measures, message):
    place.measured(race=measures)
    with pytest.raises(TakeoffError, match=message):
        place()
    assert not place.out.exists()


def test_measures_of_an_experiment_without_claims(place):
    place({"race": {}, "synergy": {}})  # that has measured nothing
    place.measured(synergy=race())
    with pytest.raises(TakeoffError, match=r"synergy/measured\.csv: gpu: no such claim of synergy"):
        place({"race": {}, "synergy": {}})


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        (changed("both", figures="x"), r"claims\.yaml: claims\.both\.figures: .*did you mean figure"),
        (changed("both", scope="mush data"), r"claims\.yaml: .*scope: mush data: did you mean much data"),
        (changed("both", parts={}), r"claims\.yaml: claims\.both\.parts"),
        (changed("both", parts={"gap": SIDES | {"supports": {}}}), r"claims\.both\.parts\.gap\.supports"),
        (
            changed("both", parts={"gap": SIDES | {"supports": {"above": 2, "below": 1}}}),
            r"claims\.both\.parts\.gap: \(2, 1\) is no side",
        ),
        (
            changed("both", parts={"gap": SIDES | {"contradicts": [{"below": 1}]}}),
            r"claims\.both\.parts\.gap: \(-inf, 1\) both supports and contradicts",
        ),
        (changed("both", experiment="rase"), r"claims\.both\.experiment: rase: .*did you mean race"),
        (changed("both", rests_on=["errer"]), r"claims\.both\.rests_on: race has no option errer.*error"),
    ],
)
def test_wrong_claims_are_one_clear_error(place, claims, message):
    place()
    place.state(claims)
    with pytest.raises(TakeoffError, match=message):
        place()


def test_what_the_user_can_put_right(place):
    place()
    table = place.results / "race" / "measured.csv"
    good = pd.read_csv(table, keep_default_na=False)
    wrong = {
        r"race/measured\.csv: not a table": "",
        r"race/measured\.csv: no column veto": good.drop(columns="veto").to_csv(index=False),
        r"race/measured\.csv: gpu: column veto: 'some' is not valid; valid: any": good.assign(veto="some").to_csv(
            index=False
        ),
        r"race/measured\.csv: gpu: .*'much'": good.assign(estimate="much").to_csv(index=False),
    }
    for message, content in wrong.items():
        table.write_text(content)
        with pytest.raises(TakeoffError, match=message):
            place()
    table.unlink()
    with pytest.raises(TakeoffError, match=r"race/measured\.csv: there is no such file; .*analyse\.py experiment"):
        place()
    place({"moment": {}})
    with pytest.raises(TakeoffError, match=r"experiments\.rice: no such experiment; did you mean race"):
        place({"rice": {}})
    fixed, place.planned = place.results / "criteria.json", False
    fixed.write_text(json.dumps({"small": "supported above 1"}))
    with pytest.raises(TakeoffError, match=r"criteria\.json: small: .*plan again"):
        place({"moment": {}})
    fixed.unlink()
    with pytest.raises(TakeoffError, match=r"criteria\.json: there is no such file; `scripts/plan\.py"):
        place({"moment": {}})
    (place.data / "card.json").write_text('{"images": {}}')
    with pytest.raises(TakeoffError, match=r"card\.json: images\.train"):
        place({"moment": {}})


def test_an_experiment_that_is_not_analysed_tests_no_claim(place):
    """Its old measurements count for nothing, and error rates are those of the others alone."""
    claims, parts = place(more=("--untested", "race=2 of 4 arms are missing: a, b"))
    gone = claims.loc[["faster", "cheaper", "both", "gpu"]]
    assert set(gone["verdict"]) == {"not tested"}
    assert set(gone["reason"]) == {"2 of 4 arms are missing: a, b"}
    assert set(parts["claim"]) == {"large", "small"}
    for wrong in ("race", "race=", "race= ", "rcae=why"):
        with pytest.raises(TakeoffError, match="--untested"):
            place(more=("--untested", wrong))


def test_results_of_another_study_are_not_judged(place):
    """Those of the study itself are, whatever else its file says."""
    factors = {"norm": {"baseline": "none", "treatment": "batch"}}
    own = {"title": "As planned", "dataset": {"name": "digits"}, "factors": factors}
    write_json(place.results / "study.json", own)
    assert len(place()[0]) == 6
    place.out.rename(place.out.with_name("before"))
    for other in (own | {"dataset": {"name": "mnist-5000"}}, own | {"factors": {}}, own | {"dataset": None}):
        write_json(place.results / "study.json", other)
        with pytest.raises(TakeoffError, match=r"study\.json: .*valid: "):
            place()
    assert not place.out.exists()
