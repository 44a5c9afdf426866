"""The plan: counts that agree with what is then trained, and a budget that is kept."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command
from takeoff import packing
from takeoff.experiments.registry import EXPERIMENTS
from takeoff.models import architecture
from takeoff.project import Project
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.study.settings import Network


def test_the_plan_lists_every_run(command: Command, write_study: Callable[..., Path], tmp_path: Path) -> None:
    done = command(
        "plan",
        "--study",
        write_study(),
        "--out",
        tmp_path / "plan.csv",
        "--study-out",
        tmp_path / "study.json",
    )
    assert done.returncode == 0, done.stderr
    assert "2 arms, 12 runs" in done.stdout
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert [(r["arm"], r["purpose"]) for r in rows] == [
        *[("relu", "tune")] * 4,
        *[("relu", "final")] * 2,
        *[("relu+batch", "tune")] * 4,
        *[("relu+batch", "final")] * 2,
    ]
    first = rows[0]
    layers = architecture.layers(Network(width=0.0625), 8, 1, 10)
    assert int(first["parameters"]) == architecture.parameters(layers)
    assert int(first["images"]) == 2 * (1038 // 128) * 128
    trained = int(first["images"]) * architecture.training_flops(layers)
    scored = 2 * 259 * 2 * architecture.forward_flops(layers)  # a tuning run: at its start and its end
    assert int(first["flops"]) == trained + scored
    assert float(first["expected_seconds"]) > 0
    again = command("plan", "--study", tmp_path / "study.json")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"runs": 11, "core_hours": 1}, "12 runs, budget.runs is 11"),
        ({"runs": 99, "core_hours": 1e-6}, "core-hours, budget.core_hours is 1e-06"),
    ],
)
def test_what_exceeds_the_budget_is_refused(
    command: Command, write_study: Callable[..., Path], tmp_path: Path, budget: dict, words: str
) -> None:
    done = command("plan", "--study", write_study(budget=budget), "--out", tmp_path / "plan.csv")
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "plan.csv").exists()


@pytest.mark.parametrize(
    ("name", "most"), [("digits", 350), ("cifar10-quick", 300), ("imagenette-quick", 300)]
)
def test_the_small_studies_run_every_experiment_on_few_runs(
    command: Command, tmp_path: Path, name: str, most: int
) -> None:
    done = command("plan", "--study", name, "--out", tmp_path / "plan.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert set("+".join(row["experiments"] for row in rows).split("+")) == set(EXPERIMENTS)
    assert len([row for row in rows if row["purpose"] != "fit"]) <= most


def test_the_plan_of_a_fraction_tells_its_aliases(command: Command, tmp_path: Path) -> None:
    done = command("plan", "--study", "cifar10-extended", "--out", tmp_path / "plan.csv")
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.partition("\nfactorial: ")[2].splitlines()
    assert head.startswith("64 of 256 combinations, a fraction of resolution 5;")
    aliases = dict(line.split(maxsplit=1) for line in lines)
    # Of resolution 5: no main effect is mixed up with fewer than four factors, no pair with fewer than three.
    assert len(aliases) == 8 + 8 * 7 / 2
    for term, text in aliases.items():
        least = min(len(word.split(":")) for word in text.replace("+", "").replace("-", "").split())
        assert least >= 5 - len(term.split(":"))


def test_planning_needs_no_torch(command: Command, tmp_path: Path) -> None:
    # A torch that cannot be imported stands before the real one.
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')")
    import os
    import subprocess
    import sys

    from conftest import SCRIPTS

    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "plan.py"), "--study", "digits"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_criteria_written_down_once_stay(
    command: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    """Planning again, with other numbers, changes nothing that was written; what is new is added."""
    path = tmp_path / "criteria.json"
    for experiments, margin in (({"factorial": {}}, 0.01), ({"factorial": {}, "race": {"error": 0.3}}, 0.05)):
        study = write_study(experiments=experiments, margin=margin, budget={"runs": 500, "core_hours": 9})
        done = command("plan", "--study", study, "--criteria-out", path)
        assert done.returncode == 0, done.stderr
    criteria = json.loads(path.read_text())
    assert criteria["batch-norm-speeds-training"].endswith("[margin 0.01]")
    assert criteria["relu-trains-faster"].endswith(
        "[margin 0.05, error 0.3, rates none, epochs none, scores 1]"
    )


def test_of_very_many_arms_more_share_a_job(
    write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = {"activation": ("tanh", "relu"), "norm": ("none", "batch"), "dropout": (0, 0.5)}
    factors = {name: {"baseline": low, "treatment": high} for name, (low, high) in levels.items()}
    path = write_study(factors=factors)
    whole = Project(Configuration(arms_per_job=2), load_study(path), path)
    assert [len(pack) for pack in whole.packs] == [2, 2, 2, 2]
    monkeypatch.setattr(packing, "MOST_PACKS", 3)
    packs = Project(whole.configuration, whole.study, path).packs
    assert [len(pack) for pack in packs] == [3, 3, 2]
    assert [arm.name for pack in packs for arm in pack] == [arm.name for arm in whole.network_arms]


@pytest.mark.parametrize("name", ["digits", "cifar10-quick"])
def test_small_arms_share_a_job_until_it_is_worth_its_start(name: str) -> None:
    path = REPOSITORY / "config" / "studies" / f"{name}.yaml"
    whole = Project(Configuration(), load_study(path), path)
    seconds = packing.training_seconds(whole.study, whole.shape, "auto")
    packs = whole.packs
    assert sorted(arm.name for pack in packs for arm in pack) == sorted(
        arm.name for arm in whole.network_arms
    )
    made: set[str] = set()
    for pack in packs:
        assert made >= {arm.lender for arm in pack if arm.lender}
        made |= {arm.name for arm in pack}
    assert (
        len([p for p in packs if sum(map(seconds, p)) < packing.WORTH]) <= 2
    )  # what is left over of each group
    # The default study's arms are tiny; of the other, those that train for minutes have a job each.
    sizes = [len(pack) for pack in packs]
    assert max(sizes) > 10 if name == "digits" else sizes.count(1) > 10
    assert any(whole.lends(pack) for pack in packs)
    assert not whole.lends(packs[-1])


def test_where_nobody_counted_the_images_four_arms_share_a_job(write_study: Callable[..., Path]) -> None:
    factors = {
        "dropout": {"baseline": 0, "treatment": 0.5},
        "width": {"baseline": 0.0625, "treatment": 0.125},
    }
    own = {"dataset": {"name": "mine", "resolution": 8, "archive": "mine.tgz"}}
    three = factors | {"activation": {"baseline": "tanh", "treatment": "relu"}}
    path = write_study(factors=three, **own)
    assert [len(pack) for pack in Project(Configuration(), load_study(path), path).packs] == [4, 4]


def test_a_gpu_gets_more_arms_to_a_job() -> None:
    path = REPOSITORY / "config" / "studies" / "cifar10-quick.yaml"
    study = load_study(path)
    cpu, cuda = (Project(Configuration(device=device), study, path).packs for device in ("cpu", "cuda"))
    assert [len(pack) for pack in cpu[:8]] == [1] * 8  # the factorial
    assert len(cuda) < len(cpu) / 2
