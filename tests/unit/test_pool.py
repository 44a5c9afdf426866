"""Claims over several studies, by the command: known means, studies that disagree, and what is left out."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import optimize, stats
from takeoff.across.pool import labelled, pool_studies
from takeoff.across.pool_figure import draw_pool
from takeoff.common.tables import write_csv
from takeoff.judging.claims import load_claims
from takeoff.statistics.measures import Measure, measures_table
from takeoff.statistics.pooling import pooled
from unit.made_up_claims import stated

BCG = """
4 119 11 128 6 300 29 274 3 228 11 209 62 13536 248 12619 33 5036 47 5761 180 1361 372 1079 8 2537 10 619
505 87886 499 87892 29 7470 45 7232 17 1699 65 1600 186 50448 141 27197 5 2493 3 2338 27 16886 29 17825
"""
"""Thirteen trials of the BCG vaccine: ill and not ill with it, and without (Colditz et al. 1994, JAMA 271, 698–702)."""


def measure(estimate, error, **changes):
    return replace(Measure("made-up", "gain", "the gain", estimate, error, 5.0, "points"), **changes)


def test_trials_of_a_vaccine_are_pooled_as_published():
    """Viechtbauer 2010, Journal of Statistical Software 36(3): of log risk ratios Q is 152.23 and I² (by Q) 92.1%."""
    ill, well, ill_without, well_without = np.array(BCG.split(), float).reshape(13, 4).T
    estimates = np.log(ill / (ill + well)) - np.log(ill_without / (ill_without + well_without))
    variances = 1 / ill - 1 / (ill + well) + 1 / ill_without - 1 / (ill_without + well_without)
    found = pooled([measure(*row) for row in zip(estimates, np.sqrt(variances), strict=True)])
    assert found.q == pytest.approx(152.23, abs=0.005)
    assert found.i_squared == pytest.approx(0.9212, abs=1e-4)

    def moments(tau2):
        weights = 1 / (variances + tau2)
        mean = np.average(estimates, weights=weights)
        return weights @ (estimates - mean) ** 2 - 12, mean, weights.sum() ** -0.5

    tau2 = optimize.brentq(lambda t: moments(t)[0], 0.01, 5)
    _, mean, error = moments(tau2)
    whole = found.measure
    assert found.tau**2 == pytest.approx(tau2, rel=1e-4)
    assert [whole.estimate, whole.error, whole.freedom] == pytest.approx([mean, error, 12], rel=1e-4)
    half = stats.t.ppf(0.975, 11) * np.hypot(error, tau2**0.5)
    assert found.prediction == pytest.approx((mean - half, mean + half), rel=1e-4)


def test_studies_that_agree_by_chance_are_not_certain():
    """Three with one mean: no variance between, and the error of the weights, not none."""
    found = pooled([measure(2.0, 0.3)] * 3)
    assert (found.tau, found.i_squared, found.q_p_value) == (0, 0, 1)
    assert found.measure.error == pytest.approx(0.3 / 3**0.5)
    bounded = pooled([measure(2.0, 0.3, bound=(0, np.inf)), measure(2.0, 0.3, bound=(0.2, 0))]).measure
    assert bounded.bound == (pytest.approx(0.1), np.inf)


def test_one_study_is_itself_and_none_is_refused():
    own = measure(2.0, 0.3)
    assert pooled([own]).measure == own
    with pytest.raises(ValueError, match="cannot be weighed"):
        pooled([own, measure(2.0, 0.0)])


def test_studies_whose_values_are_all_equal_are_one_with_all_seeds():
    own = measure(2.0, 0.0, values=(2.0,) * 6)
    found = pooled([own, replace(own, values=(2.0,) * 4, freedom=3.0, bound=(0.0, 0.5))])
    assert (found.k, found.measure.estimate, found.measure.error) == (2, 2.0, 0.0)
    assert (found.measure.values, found.measure.bound) == ((2.0,) * 10, (0.0, 0.5))


def test_studies_without_an_error_that_differ_are_a_value_each():
    own = measure(2.0, 0.0, values=(2.0,) * 6)
    found = pooled([own, replace(own, estimate=3.0, bound=(1.0, np.inf)), replace(own, estimate=7.0)])
    mean, error = np.mean([2, 3, 7]), np.std([2, 3, 7], ddof=1) / 3**0.5
    assert (found.measure.estimate, found.measure.error) == pytest.approx((mean, error))
    assert (found.k, found.measure.freedom, found.measure.bound) == (3, 2.0, (pytest.approx(1 / 3), np.inf))
    assert np.isnan(found.q_p_value)


SIDES = {"quantity": "the gain", "unit": "points", "supports": {"above": 0}}
MADE_UP = {"claims": {name: stated(name, parts={"gain": SIDES}) for name in ("small", "large")}}


@pytest.fixture
def pool(tmp_path, command):
    """Write studies, each of measures and of verdicts, or `flat` as they are committed, and pool them."""
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(MADE_UP, sort_keys=False))

    def write(name, measures, flat=False, margin=0.01, dataset=None, **verdicts):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "study.json").write_text(json.dumps({"dataset": {"name": dataset or name}, "margin": margin}))
        said = {"small": "undecided", "large": "undecided"} | verdicts
        rows = [{"claim": claim, "verdict": verdict, "reason": "too small"} for claim, verdict in said.items()]
        write_csv(pd.DataFrame(rows), folder / "claims.csv")
        write_csv(measures_table(measures), folder / ("race-measured.csv" if flat else "race/measured.csv"))
        return folder

    def run(*folders, refused=False):
        given = ("--claims", tmp_path / "claims.yaml", "--out", tmp_path / "out" / "pooled.csv")
        line = ("analyse", "pool", "--results", *folders, *given)
        if refused:
            return command.refused(*line)
        done = command.done(*line)
        table = pd.read_csv(tmp_path / "out" / "pooled.csv", keep_default_na=False, na_values=[""])
        for suffix in (".svg", ".png"):
            assert (tmp_path / "out" / f"pooled{suffix}").stat().st_size > 1000
        return table.set_index("claim"), done.stdout

    return write, run


def of(estimate, error, claim="small", **changes):
    return measure(estimate, error, claim=claim, **changes)


def test_the_figure_has_the_parts_of_a_claim_under_its_verdict(pool, tmp_path):
    write, _ = pool
    parts = {"gain": SIDES, "loss": SIDES | {"quantity": "the loss"}}
    claims = {"claims": {"large": stated("large", parts=parts), "small": stated("small", parts={"gain": SIDES})}}
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(claims, sort_keys=False))
    own = [of(3.0, 0.2), of(3.0, 0.2, "large"), of(0.1, 2.0, "large", part="loss")]
    folder = write("a", own, small="supported")
    parts = pool_studies(labelled([folder]), load_claims(tmp_path / "claims.yaml"))
    figure, table = draw_pool(parts, ["a"])
    assert [tick.get_text().split("\n") for tick in figure.axes[0].get_yticklabels()] == [
        ["✓ small holds", "the gain above 0 points"],
        ["? large holds", "the gain above 0 points"],
        ["", "the loss above 0 points"],
    ]
    assert table["verdict"].tolist() == ["supported", "supported", "undecided"]


def test_studies_that_disagree_decide_nothing_and_say_so(pool):
    write, run = pool
    a = write("a", [of(3.0, 0.2), of(1.0, 0.1, "large")], small="supported", large="supported")
    b = write("b", [of(-2.0, 0.2), of(1.1, 0.1, "large")], small="contradicted", large="supported", flat=True)
    c = write("c", [of(2.0, 0.2), of(1.2, 0.1, "large")], small="supported", large="supported")
    table, said = run(a, b, c)
    assert table.loc["small", ["k", "verdict", "claim_verdict"]].tolist() == [3, "undecided", "undecided"]
    assert table.loc["small", "q_p_value"] < 1e-6
    assert table.loc["small", "study_verdicts"] == "a: supported; b: contradicted; c: supported"
    assert table.loc["small", "prediction_low"] < table.loc["small", "ci_low"]
    assert table.loc["large", ["k", "verdict", "tau"]].tolist() == [3, "supported", 0]
    assert table.loc["large", "estimate"] == pytest.approx(1.1)
    # The large p-value has the second of Holm's steps, 5%; the other half of it.
    half = stats.t.ppf(1 - 0.025 / 2, 2) * 0.1 / 3**0.5
    assert table.loc["large", "level"] == pytest.approx(0.025)
    assert table.loc["large", "ci_high"] == pytest.approx(1.1 + half)
    assert [line.split()[0] for line in said.splitlines()] == ["undecided", "supported"]
    assert "disagree" in said.splitlines()[0]


def test_what_is_vetoed_or_not_tested_is_left_out_with_its_reason(pool):
    write, run = pool
    a = write("a", [of(3.0, 0.2), of(1.0, 0.1, "large", veto="any", reason="not trained")])
    b = write("b", [Measure.missing("small", "no GPU"), of(1.0, 0.1, "large")], large="not tested")
    table, _ = run(a, b)
    small, large = table.loc["small"], table.loc["large"]
    assert small[["k", "studies", "left_out", "reasons"]].tolist() == [1, "a", 1, "b: it was not measured"]
    assert (small["estimate"], small["verdict"]) == (3.0, "supported")
    assert small["ci_high"] == pytest.approx(3 + stats.t.ppf(0.975, 5) * 0.2)
    assert large[["k", "verdict", "reasons"]].tolist() == [0, "not tested", "a: not trained; b: too small"]


def test_wrong_studies_are_one_line(pool, tmp_path):
    write, run = pool
    a, b = write("a", [of(3.0, 0.2)]), write("b", [of(3.0, 0.2)], margin=0.02)
    (b.parent / "empty").mkdir()
    assert "margin: 0.01 (a), 0.02 (b)" in run(a, b, refused=True)
    again = write("again", [of(3.1, 0.2)], dataset="a")  # with other tuning seeds, perhaps
    assert "not independent" in run(a, again, refused=True)
    assert "stands twice" in run(a, a, refused=True)
    assert "study.json" in run(a, b.parent / "empty", refused=True)
    assert "no such folder" in run(a, b.parent / "nowhere", refused=True)
