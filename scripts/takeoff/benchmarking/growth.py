"""How the cost of a job grows with its number of runs: tiny runs, through the same class as a study's jobs."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from takeoff.benchmarking.images import Images
from takeoff.study.arms import make_arm
from takeoff.study.model import Study
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident

NUMBERS = (1, 2, 4, 8, 16, 32, 64)
QUICK = (1, 4, 16)
ROUNDS = 3
SAMPLES, BATCH, STEPS = 320, 64, 4
"""Images that a run may see, a fifth of them for validation; those of a step; the steps of its only epoch."""


@dataclass(frozen=True)
class Row:
    """Jobs of one number of runs: the columns of runs.csv."""

    runs: int
    seconds: float | None = None
    """Of the whole job, the median of its repeats: training, scores, the runs' files and the tables."""
    seconds_per_run: float | None = None
    low: float | None = None
    """Of a run, in the fastest repeat, and …"""
    high: float | None = None
    """… in the slowest."""
    repeats: int = 0
    steps: int = STEPS
    """Of a run."""
    threads: int = 1
    precision: str = ""
    device: str = ""
    images: str = ""
    note: str = ""


def tiny_study(numbers: int) -> Study:
    """A study of digits, with so many seeds of one short run each."""
    return Study.model_validate(
        {
            "title": "Tiny runs",
            "dataset": {"name": "digits", "resolution": 8, "train_samples": SAMPLES},
            "network": {"width": 0.25, "norm": "batch", "dropout": 0.5},
            "recipe": {"epochs": 1, "batch_size": BATCH, "warmup_epochs": 0},
            "tuning": {"learning_rates": [0.01]},
            "seeds": numbers,
            "factors": {"norm": {"baseline": "none", "treatment": "batch"}},
            "experiments": {"factorial": {}},
            "budget": {"runs": 10_000, "core_hours": 10},
        }
    )


def measure_growth(
    images: Images, hardware: Hardware, quick: bool, say: Callable[[str], None], rounds: int = ROUNDS
) -> list[Row]:
    """A row per number of runs; the numbers take turns, a round after the other.

    Args:
        images: of 8 px.
        hardware: device, precision and threads.
        quick: fewer numbers, once each.
        say: takes a line for each row.
        rounds: of all numbers.

    """
    numbers, rounds = (QUICK, 1) if quick else (NUMBERS, rounds)
    try:
        import pyarrow  # noqa: F401 (jobs write their tables with it)
    except ImportError:
        return [
            Row(number, note="left out: pyarrow is missing, and jobs write parquet") for number in numbers
        ]
    data = images.resident(hardware.device, held_out=0.2)
    with tempfile.TemporaryDirectory() as ways:
        # The first jobs choose kernels and ask for memory; on a GPU one of each number measures its way.
        for number in numbers if hardware.device.type == "cuda" else numbers[:1]:
            job_seconds(data, hardware, number, Path(ways))
        spent = _spent(data, hardware, numbers, rounds, Path(ways))
    rows = [
        Row(
            runs=number,
            seconds=median(each),
            seconds_per_run=median(each) / number,
            low=min(each) / number,
            high=max(each) / number,
            repeats=len(each),
            threads=hardware.threads or 1,
            precision=hardware.precision,
            device=hardware.name,
            images=images.source,
        )
        for number, each in spent.items()
    ]
    for row in rows:
        say(
            f"{row.runs} run{'s' * (row.runs > 1)} in a job: {1000 * (row.seconds_per_run or 0):.1f} ms a run"
        )
    return rows


def _spent(
    data: Resident, hardware: Hardware, numbers: Sequence[int], rounds: int, ways: Path
) -> dict[int, list[float]]:
    """Seconds of each round's jobs, by their number of runs; rounds begin with different ones."""
    spent: dict[int, list[float]] = {number: [] for number in numbers}
    for turn in range(rounds):
        for i in range(len(numbers)):
            number = numbers[(i + turn) % len(numbers)]
            spent[number].append(job_seconds(data, hardware, number, ways))
    return spent


def job_seconds(data: Resident, hardware: Hardware, number: int, ways: Path) -> float:
    """Seconds of a job that trains an arm with so many seeds, from nothing to its tables."""
    from takeoff.training.jobs import ArmJob
    from takeoff.training.tuning import only_rate

    study = tiny_study(number)
    with tempfile.TemporaryDirectory() as folder:
        job = ArmJob(
            study, make_arm(study, {}), data, hardware, Path(folder), ways=ways, say=lambda line: None
        )
        began = perf_counter()
        job.train(only_rate(0.01))
        return perf_counter() - began
