"""Power before spending: probabilities that are known, and what `plan` says a study can decide at what price."""

import csv
from collections.abc import Callable
from math import inf, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, Command
from scipy import stats
from statsmodels.stats.power import TTestPower
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json, write_rows
from takeoff.common.tables import write_csv
from takeoff.judging.claims import load_claims
from takeoff.judging.spreads import Spread, nearest, read_spreads
from takeoff.statistics.criterion import Criterion
from takeoff.statistics.measures import Measure, measures_table
from takeoff.statistics.power import power, smallest_effect
from takeoff.statistics.verdicts import Part, judge_parts

LEAD = "large-networks-win-with-much-data"


def spread(claim: str, part: str, unit: str, estimate: float, deviation: float, **changes: object) -> Spread:
    given = {"study": "digits", "dataset": "digits", "n": 6, "bound_below": 0.0, "bound_above": 0.0, "veto": ""}
    return Spread(claim=claim, part=part, unit=unit, estimate=estimate, spread=deviation, **given | changes)


@pytest.fixture
def planned(command: Command, tmp_path: Path) -> Callable[..., tuple[dict[str, list[dict[str, str]]], list[str]]]:
    """What `plan` says of the default study, given spreads: the rows of each claim, and the lines that it prints."""

    def plan(*spreads: Spread) -> tuple[dict[str, list[dict[str, str]]], list[str]]:
        write_rows(tmp_path / "spreads.csv", spreads)
        out = ("--out", tmp_path / "plan.csv", "--power-out", tmp_path / "power.csv")
        done = command.done("plan", "--study", "digits", "--spreads", tmp_path / "spreads.csv", *out)
        rows: dict[str, list[dict[str, str]]] = {}
        for row in csv.DictReader((tmp_path / "power.csv").open(encoding="utf-8")):
            rows.setdefault(row["claim"], []).append(row)
        return rows, done.stdout.splitlines()

    return plan


@pytest.mark.parametrize("n", [2, 3, 6, 12, 50])
@pytest.mark.parametrize("level", [0.05, 0.04 / 12])
def test_power_is_that_of_the_one_sided_t_test_at_half_the_level(n: int, level: float) -> None:
    known = TTestPower()
    for effect in (0.1, 0.5, 1, 3):
        expected = known.power(effect, n, level / 2, alternative="larger")
        assert power(2 * effect, 2, n, (0, inf), level) == pytest.approx(expected, abs=5e-4)
        assert power(7 - 2 * effect, 2, n, (-inf, 7), level) == pytest.approx(expected, abs=5e-4)
    least = known.solve_power(nobs=n, alpha=level / 2, power=0.8, alternative="larger")
    if n > 2:
        assert smallest_effect(3, n, level) == pytest.approx(3 * least, rel=1e-3)
        # A bound must be crossed, too.
        assert smallest_effect(3, n, level, bound=(1, inf)) == pytest.approx(3 * least + 1, rel=1e-3)


def test_power_is_the_share_of_studies_that_the_rule_of_verdicts_decides() -> None:
    """Between two ends, where both tests share an error; and of a ratio, on its logarithm."""
    draws = np.random.default_rng(0).normal(log(6), 0.25, (2000, 6))
    parts = [Part(Measure.of("c", "p", "p", np.exp(one), "ratio"), Criterion((4, 9))) for one in draws]
    decided = np.mean([judge_parts([part])[0].verdict == "supported" for part in parts])
    assert power(log(6), 0.25, 6, (log(4), log(9)), 0.05) == pytest.approx(decided, abs=0.03)
    assert 0.3 < decided < 0.95
    # The middle of a region is as far inside as there is.
    assert smallest_effect(0.25, 6, 0.05, log(9 / 4)) == inf
    assert smallest_effect(0.1, 6, 0.05, log(9 / 4)) < log(9 / 4) / 2


def test_without_spread_the_sign_test_decides() -> None:
    assert [power(1, 0, n, (0, inf), 0.05) for n in (5, 6)] == [0, 1]
    assert power(1, 0, 6, (1, inf), 0.05) == power(1, 0.1, 1, (0, inf), 0.05) == 0
    assert power(1, 0.1, 6, (0, inf), 0.05, bound=(inf, 0)) == 0
    assert power(1, 0.1, 6, (0, inf), 0.05, bound=(0, inf)) > 0.99


def test_plan_says_what_cannot_be_tested_and_why(planned: Callable) -> None:
    rows, lines = planned(spread(LEAD, "lead", "points", 5, 0.3))
    race, plateau = rows["relu-trains-faster"][0], rows["older-methods-plateau"][0]
    assert race["outcome"] == plateau["outcome"] == "not tested"
    assert "race" in race["reason"]
    assert "40,000" in plateau["reason"]
    assert rows["sigmoid-gradients-shrink"][0]["outcome"] == "unknown"
    start = next(i for i, line in enumerate(lines) if line.startswith("claim "))
    # Claims with a power first, a line each; then the others, those of one reason together.
    assert [line.split()[0] for line in lines[start + 1 : lines.index("", start)]] == [LEAD]
    others = " ".join(" ".join(lines[lines.index("", lines.index("", start) + 1) :]).split())
    # Claims of experiments that are off are counted, with the experiments' names.
    off = {name for name, parts in rows.items() if "not switched on" in parts[0]["reason"]}
    assert {name for name in rows if name in others} == set(rows) - {LEAD} - off
    assert f"{len(off)} claims of " in others
    assert " race" in others
    assert others.count("not switched on") == 1
    assert max(map(len, lines[start:])) <= 120


def test_plan_says_how_many_seeds_decide_and_what_they_cost(planned: Callable, tmp_path: Path) -> None:
    rows, lines = planned(spread(LEAD, "lead", "points", 0.4, 0.3))
    (row,) = rows[LEAD]
    assert (row["outcome"], row["values"], row["likeness"], row["beyond"]) == ("supported", "6", "same study", "above")
    tested = [own[0] for own in rows.values() if own[0]["outcome"] != "not tested"]
    # But for the one claim on times, which has α alone.
    assert float(row["level_first"]) == pytest.approx(0.04 / (len(tested) - 1))
    known = TTestPower()

    def likely(n: int, level: str) -> float:
        return known.power(0.4 / 0.3, n, float(row[level]) / 2, alternative="larger")

    assert float(row["claim_power_first"]) == pytest.approx(likely(6, "level_first"), abs=1e-3)
    assert float(row["claim_power_last"]) == pytest.approx(likely(6, "level_last"), abs=1e-3)
    needed = int(row["values_needed"])
    assert needed == next(n for n in range(7, 51) if likely(n, "level_first") >= 0.8)
    runs = csv.DictReader((tmp_path / "plan.csv").open(encoding="utf-8"))
    seconds = [float(r["expected_seconds"]) for r in runs if "scaling" in r["experiments"] and r["purpose"] == "final"]
    assert float(row["core_hours"]) == pytest.approx(sum(seconds) / 3600 * (needed - 6) / 6, abs=1e-3)
    assert f"{needed}, +" in next(line for line in lines if line.startswith(LEAD))

    rows, _ = planned(spread(LEAD, "lead", "points", -0.4, 0.03))
    assert (rows[LEAD][0]["outcome"], rows[LEAD][0]["values_needed"]) == ("contradicted", "")
    rows, _ = planned(spread(LEAD, "lead", "points", 0.01, 0.3))
    assert (rows[LEAD][0]["values_needed"], rows[LEAD][0]["core_hours"]) == ("", "")


def test_a_claim_needs_all_its_parts_and_one_contradicts(planned: Callable) -> None:
    name = "batch-norm-allows-larger-rates"
    rows, _ = planned(spread(name, "sigmoid", "ratio", 1, 0.5), spread(name, "relu", "ratio", 1.1, 0.9))
    powers = [float(row["power_first"]) for row in rows[name]]
    assert float(rows[name][0]["claim_power_first"]) == pytest.approx(powers[0] * powers[1])
    assert rows[name][0]["values"] == "10"  # tuning seeds, in two blocks
    rows, _ = planned(spread(name, "sigmoid", "ratio", 1, 0.5), spread(name, "relu", "ratio", -1, 0.4))
    assert (rows[name][0]["outcome"], rows[name][1]["side"]) == ("contradicted", "contradicts")
    # At half the claim's level, as either part could.
    level = float(rows[name][1]["level_first"]) / 2
    expected = TTestPower().power(1 / 0.4, 10, level / 2, alternative="larger")
    assert float(rows[name][1]["power_first"]) == pytest.approx(expected, abs=1e-3)
    rows, _ = planned(spread(name, "sigmoid", "ratio", 1, 0.5, veto="any"), spread(name, "relu", "ratio", 1, 0.4))
    assert (rows[name][0]["outcome"], rows[name][0]["claim_power_first"]) == ("vetoed", "")


def test_the_nearest_source_is_taken_and_of_others_the_greatest_spread() -> None:
    given = (("a", "x", 1, ""), ("b", "x", 2, ""), ("c", "y", 9, "any"), ("d", "y", 3, ""))
    spreads = [spread("c", "p", "", 1, s, study=study, dataset=images, veto=veto) for study, images, s, veto in given]
    found = {
        ("a", "x"): ("a", "same study"),
        ("e", "x"): ("b", "same images"),
        ("c", "y"): ("c", "same study"),
        ("a", "z"): ("d", "other images"),
    }
    for place, expected in found.items():
        source, likeness = nearest(spreads, "c", "p", *place) or pytest.fail("none")
        assert (source.study, likeness) == expected
    assert nearest(spreads, "c", "q", "a", "x") is None


def test_spreads_come_from_results_of_any_study(command: Command, tmp_path: Path) -> None:
    """From `measured.csv` as they are, and so the intervals of committed claims come out."""
    values = [0.1, 0.4, 0.3, 0.9]
    pilot = tmp_path / "pilot"
    write_json(pilot / "study.json", {"dataset": {"name": "cifar10"}})
    found = [Measure.of(LEAD, "lead", "lead", values, "points"), Measure.missing("relu-trains-faster", "none")]
    (pilot / "scaling").mkdir()
    write_csv(measures_table(found), pilot / "scaling" / "measured.csv")
    reference = REPOSITORY / "results" / "reference" / "digits"
    command.done("analyse", "spreads", pilot, reference, "--out", tmp_path / "spreads.csv")
    spreads = read_spreads(tmp_path / "spreads.csv")
    first, *others = spreads
    assert (first.study, first.dataset, first.n, first.bound) == ("pilot", "cifar10", 4, (0, 0))
    assert (first.estimate, first.spread) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert read_spreads(pilot) == [first]
    row = next(r for r in csv.DictReader((reference / "claims_parts.csv").open(encoding="utf-8")) if r["claim"] == LEAD)
    (own,) = [one for one in others if one.claim == LEAD]
    half = stats.t.ppf(1 - float(row["level"]) / 2, own.n - 1) * own.spread / sqrt(own.n)
    assert (own.estimate - half, own.estimate + half) == pytest.approx((float(row["ci_low"]), float(row["ci_high"])))
    assert "there is no such file" in command.refused("analyse", "spreads", tmp_path, "--out", tmp_path / "x.csv")
    (tmp_path / "spreads.csv").write_text("study,claim\na,b\n", encoding="utf-8")
    with pytest.raises(TakeoffError, match=r"spreads\.csv: no column dataset"):
        read_spreads(tmp_path / "spreads.csv")


def test_the_committed_spreads_are_of_claims_that_there_are() -> None:
    claims = load_claims()
    spreads = read_spreads(REPOSITORY / "config" / "spreads.csv")
    assert {one.unit for one in spreads} == {claims.claims[one.claim].parts[one.part].unit for one in spreads}
    assert {one.study for one in spreads} >= {"digits"}
