"""The compute experiment's tables and claims, from made-up measurements whose answers are known."""

from itertools import combinations
from math import inf, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from scipy import stats
from takeoff.common.errors import TakeoffError
from takeoff.experiments.compute.design import Design, Options
from takeoff.experiments.compute.tables import Trainings, duration_words, machine_words, times_table, trainings
from takeoff.figures.style import save
from takeoff.statistics.draws import best_of
from unit import measured
from unit.measured import FACTORS, drawn, fixed, made_up, results, verdict

THREAD, THREADS, GPU = ("cpu", 1, "float32"), ("cpu", 2, "float32"), ("NVIDIA Made-up", 1, "bfloat16")
ARMS = 4


def speed(*settings, blocks=6, noise=0.0):
    """A row per kind and block: each of `settings` is device, threads, precision, rate, ceiling (FLOP/s)."""
    rng = np.random.default_rng(0)
    rows = [{"kind": "step", "name": "relu", "device": "cpu", "threads": 1, "precision": "float32", "seconds": 1.0}]
    for device, threads, precision, rate, ceiling in settings:
        shared = {"device": device, "threads": threads, "precision": precision}
        for block in range(blocks):
            slower = float(np.exp(noise * rng.normal()))
            for kind, name, flops, per_second in (
                ("training", "relu", 1e9, rate),
                ("matrix", "1024", 2.0 * 1024**3, ceiling),
            ):
                row = {"kind": kind, "name": name, "block": block, "flops": flops, "batch": 32, "note": ""}
                rows.append({**shared, **row, "seconds": flops / per_second * slower})
    return pd.DataFrame(rows)


def left_out(device, threads, precision):
    return pd.DataFrame(
        [{"kind": "training", "device": device, "threads": threads, "precision": precision, "note": "left out: why"}]
    )


@pytest.fixture
def study(tmp_path: Path):
    factors = {name: FACTORS[name] for name in ("activation", "norm")}
    experiments = {"factorial": {"threshold": 0.5}, "compute": {}}
    return made_up(tmp_path, seeds=3, factors=factors, experiments=experiments)


def results_of(study, table, accuracies=None):
    """Three final runs (1e9 operations each) and four tuning runs of every arm."""
    names = [arm.name for arm in Design(study, Options()).arms()]
    assert len(names) == ARMS
    runs = pd.DataFrame([{"arm": name, "seed": seed, "flops": 1e9, "epochs": 2} for name in names for seed in range(3)])
    runs["run_key"] = runs["arm"] + runs["seed"].map(str)
    tuning = pd.DataFrame([{"arm": name, "diverged": False, "epochs": 2} for name in names for _ in range(4)])
    values = np.linspace(0.2, 0.9, len(runs) + len(tuning)) if accuracies is None else accuracies
    runs["validation_accuracy"], tuning["validation_accuracy"] = values[: len(runs)], values[len(runs) :]
    return results(runs=runs, tuning=tuning, speed=table)


def analysed(study, table, folder, **more):
    """The tables as they are read back."""
    return measured.analysed(Design(study, Options()), results_of(study, table, **more), folder)


def measure(study, tables):
    """The one measure of each claim."""
    return {claim: one for claim, (one,) in measured.measured(Design(study, Options()), tables).items()}


# Tables ------------------------------------------------------------------------------------------------


def test_rates_ceilings_and_shares(study, tmp_path: Path) -> None:
    table = pd.concat([left_out("cpu", 1, "bfloat16"), speed((*THREAD, 2e10, 8e10), (*THREADS, 3e10, 1.2e11))])
    rates = analysed(study, table, tmp_path)["rates"].set_index("machine")
    expected = {"flops_per_second": 2e10, "flops_per_second_low": 2e10, "ceiling": 8e10, "share": 0.25, "n_blocks": 6}
    expected |= {"over_0_1_mflops": 2e5, "over_1_mflops": 2e4, "over_10_mflops": 2e3}
    assert rates.loc["CPU, 1 thread, float32", list(expected)].to_dict() == pytest.approx(expected)
    absent = rates.loc["CPU, 1 thread, bfloat16"]
    assert np.isnan(absent["flops_per_second"])
    assert (absent["n_blocks"], absent["note"]) == (0, "left out: why")


def test_the_interval_is_student_t_over_blocks(study, tmp_path: Path) -> None:
    table = speed((*THREAD, 2e10, 8e10), noise=0.1)
    tables = analysed(study, table, tmp_path)
    blocks = tables["blocks"]["flops_per_second"]
    assert len(blocks) == 6
    low, high = stats.t.interval(0.95, 5, blocks.mean(), stats.sem(blocks))
    row = tables["rates"].iloc[0]
    assert (row["flops_per_second_low"], row["flops_per_second_high"]) == pytest.approx((low, high))
    # Whatever slows both in a block leaves their ratio as it is.
    assert (row["share_low"], row["share_high"]) == pytest.approx((0.25, 0.25))


def test_times_count_final_and_tuning_runs(study, tmp_path: Path) -> None:
    times = analysed(study, speed((*THREAD, 1e10, 2e10)), tmp_path)["times"].set_index("machine")
    assert set(zip(times["n_runs"], times["flops"], strict=True)) == {(ARMS * 7, ARMS * 7 * 1e9)}
    seconds = {"0.1 MFLOP/s": 2.8e5, "1 MFLOP/s (1980s)": 28e3, "10 MFLOP/s": 2800, "CPU, 1 thread, float32": 2.8}
    assert times.loc[list(seconds), "seconds"].to_dict() == pytest.approx(seconds)
    assert times.loc["CPU, 1 thread, float32", "runs_per_day"] == pytest.approx(864_000)
    assert times.loc["0.1 MFLOP/s", "duration"] == "3.2 days"


def test_a_tuning_run_computes_what_its_arm_does() -> None:
    """What its epochs are of it."""
    runs = pd.DataFrame({"arm": ["a", "a", "b"], "flops": [10.0, 10.0, 100.0], "validation_accuracy": 0.5, "epochs": 4})
    runs["run_key"] = ["1", "2", "3"]
    tuning = pd.DataFrame({"arm": ["a", "b", "b"], "validation_accuracy": [0.3, 0.9, np.nan], "diverged": [0, 1, 0]})
    tuning["epochs"] = [1, 2, 4]
    made = trainings(runs, tuning, chance=0.1)
    assert made.flops == 10 + 10 + 100 + 10 / 4 + 100 / 2 + 100
    assert made.final == 3
    assert made.accuracies.tolist() == [0.5, 0.5, 0.5, 0.3, 0.1, 0.1]
    assert trainings(runs, pd.DataFrame(), chance=0.1).flops == 120
    # A run that an arm at one rate takes from the tuned arm was trained once.
    shared = pd.concat([runs, runs[:1].assign(arm="c")])
    assert (trainings(shared, tuning, 0.1).flops, trainings(shared, tuning, 0.1).final) == (made.flops, 3)


@pytest.mark.parametrize("values", [[0.3, 0.1, 0.9, 0.5, 0.5, 0.7], [0.2, 0.2, 0.2]])
def test_the_best_of_k_against_every_subset(values) -> None:
    draws = np.arange(1, len(values) + 1)
    mean, low, high = best_of(np.array(values), draws)
    for i, k in enumerate(draws):
        best = np.sort([max(subset) for subset in combinations(values, k)])
        assert mean[i] == pytest.approx(best.mean())
        for found, q in ((low[i], 0.05), (high[i], 0.95)):
            assert found == np.quantile(best, q, method="inverted_cdf")


def test_search_takes_its_hours(study, tmp_path: Path) -> None:
    search = analysed(study, speed((*THREAD, 1e9, 2e9)), tmp_path)["search"]
    own = search[search["machine"] == "CPU, 1 thread, float32"]
    assert own["n_runs"].tolist() == list(range(1, ARMS * 7 + 1))
    assert own["hours"].to_numpy() == pytest.approx(np.arange(1, ARMS * 7 + 1) / 3600)
    best = own["best_validation_accuracy"].to_numpy()
    assert best[0] == pytest.approx(0.55)
    assert best[-1] == pytest.approx(0.9)
    assert (np.diff(best) > 0).all()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.13, "0.13 seconds"),
        (1, "1 second"),
        (59.9, "1 minute"),
        (90, "1.5 minutes"),
        (7200, "2 hours"),
        (86_400 * 16.2, "16 days"),
        (86_400 * 365.25 * 3, "3 years"),
        (86_400 * 36_525, "1 century"),
        (86_400 * 36_525 * 2.5, "2.5 centuries"),
        (86_400 * 365.25 * 228_154, "230,000 years"),
        (86_400 * 365.25 * 3.2e9, "3.2 billion years"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_machines_in_words() -> None:
    assert machine_words(*THREAD) == "CPU, 1 thread, float32"
    assert machine_words(*THREADS) == "CPU, 2 threads, float32"
    assert machine_words(*GPU) == "NVIDIA Made-up, bfloat16"


@pytest.mark.parametrize("given", [None, "steps only"])
def test_without_rates_the_probe_is_named(study, given) -> None:
    with pytest.raises(TakeoffError, match=r"speed\.csv: .*probe\.py"):
        Design(study, Options()).analyse(results_of(study, None if given is None else speed()))


# Claims ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "expected"), [(1e13, "supported"), (1e12, "supported"), (1e11, "contradicted"), (10**11.5, "undecided")]
)
def test_a_million_times(study, tmp_path: Path, rate: float, expected: str) -> None:
    table = speed((*THREAD, 1e9, 2e9), (*GPU, rate, 2 * rate), noise=0.02)
    one = measure(study, analysed(study, table, tmp_path))["million-times-faster"]
    claim = fixed("compute")[one.claim]
    assert claim.parts["rate"].supports == (pytest.approx(10**5.5, rel=1e-6), inf)
    assert claim.parts["rate"].supports[0] < claim.published == 1e7  # the published figure supports it
    assert verdict([one]) == expected
    assert (one.unit, one.n) == ("ratio", 6)
    assert one.estimate == pytest.approx(log(rate / 1e6), abs=0.05)
    assert "0.1 MFLOP/s" in one.reason
    assert "10 MFLOP/s" in one.reason


@pytest.mark.parametrize(
    ("ratio", "expected"), [(730, "supported"), (100, "undecided"), (30, "undecided"), (5, "contradicted")]
)
def test_months_and_hours(study, tmp_path: Path, ratio: float, expected: str) -> None:
    # The fastest setting of each device counts; all threads together are not one thread.
    slow_gpu, slow_cpu = ("NVIDIA Made-up", 1, "float32"), ("cpu", 1, "bfloat16")
    table = speed(
        (*slow_cpu, 5e8, 2e9),
        (*THREAD, 1e9, 2e9),
        ("cpu", 64, "float32", 5e10, 1e11),
        (*slow_gpu, ratio * 1e8, 1e12),
        (*GPU, ratio * 1e9, 1e13),
        noise=0.02,
    )
    one = measure(study, analysed(study, table, tmp_path))["months-became-hours"]
    assert fixed("compute")[one.claim].parts["time"].supports == (100, inf)
    assert one.estimate == pytest.approx(log(ratio), abs=0.08)
    assert verdict([one]) == expected


def test_without_a_gpu_nothing_is_claimed_and_the_cpu_is_reported(study, tmp_path: Path) -> None:
    tables = analysed(study, speed((*THREAD, 3.5e10, 8e10)), tmp_path)
    found = measure(study, tables)
    assert all(not one.part and "no GPU was measured" in one.reason for one in found.values())
    assert "does 35,000 times 1 MFLOP/s" in found["million-times-faster"].reason


# Figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["gpu", "one block at chance"])
def test_every_figure_is_drawn_with_its_numbers(study, tmp_path: Path, case: str) -> None:
    if case == "gpu":
        table, accuracies = speed((*THREAD, 1e10, 2e10), (*GPU, 1e13, 1e14), noise=0.02), None
    else:
        table, accuracies = speed((*THREAD, 1e10, 2e10), blocks=1), np.full(ARMS * 7, 0.1)
    tables = analysed(study, table, tmp_path, accuracies=accuracies)
    for name, figure, numbers in drawn(Design(study, Options()), tables).values():
        save(figure, numbers, tmp_path / name)
        assert "Made up" in (tmp_path / f"{name}.svg").read_text()
        caption = REPOSITORY / "workflow" / "report" / f"compute-{name}.rst"
        assert 1 <= len(caption.read_text().splitlines()) <= 6
    assert "criterion:" in (tmp_path / "rates.svg").read_text()
    (rates,) = (one for one in Design(study, Options()).draw(tables, {}) if one.name == "rates")
    save(rates.figure, rates.numbers, tmp_path / "rates")
    assert "criterion:" not in (tmp_path / "rates.svg").read_text()


def test_the_arms_are_the_factorials_and_the_machine_is_measured(study) -> None:
    compute = Design(study, Options())
    assert {arm.name for arm in compute.arms()} == {"tanh", "tanh+batch", "relu", "relu+batch"}
    assert (compute.timed(), compute.reads_speed()) == ([], True)


def test_a_machine_slower_than_its_noise_has_no_upper_bound_of_time() -> None:
    rate = {"machine": "m", "n_blocks": 2, "device": "cpu", "threads": 1, "precision": "float32"}
    rate |= {"flops_per_second": 1e9, "flops_per_second_low": -1e9, "flops_per_second_high": 3e9}
    row = times_table(pd.DataFrame([rate]), Trainings(1, 1e9, np.array([0.5]))).iloc[-1]
    assert (row["seconds"], row["seconds_high"]) == (1.0, inf)
