"""The plan: counts that agree with what is then trained, and a budget that is kept."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, SCRIPTS, Command
from takeoff.common.errors import TakeoffError
from takeoff.data.card import load_card, save_card
from takeoff.engine import architecture
from takeoff.experiments.registry import EXPERIMENTS
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.study.settings import Network
from takeoff.workflow import packing
from takeoff.workflow.planning import over_budget, plan_runs
from takeoff.workflow.project import Project, load_project
from takeoff.workflow.speeds import estimated

DECIDED = {"factorial", "depth", "stability", "scaling", "compute"}
"""What images of 8 px can decide something of."""


def test_the_plan_lists_every_run(command: Command, write_study: Callable[..., Path], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "plan.csv", "--study-out", tmp_path / "study.json")
    done = command.done("plan", "--study", write_study(), *out)
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
    command.done("plan", "--study", tmp_path / "study.json")


def test_figures_that_a_study_no_longer_has_are_removed(
    command: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    """One factor is left, and so no interaction; no experiment but the factorial."""
    figures = tmp_path / "figures"
    figures.mkdir()
    kinds = ("csv", "png", "svg")
    stays = {f"{name}.{kind}" for name in ("factorial-effects", "claims", "my-own") for kind in kinds}
    stays |= {"factorial-notes.md", "factorial-poster.svg", "race-table.csv"}
    goes = {f"{name}.{kind}" for name in ("factorial-interaction", "race-curves") for kind in kinds}
    for name in stays | goes:
        (figures / name).touch()
    factors = {"norm": {"baseline": "none", "treatment": "batch"}}
    study = write_study(factors=factors, experiments={"factorial": {}})
    command.done("plan", "--study", study)
    assert {path.name for path in figures.iterdir()} == stays | goes
    command.done("plan", "--study", study, "--figures", figures)
    assert {path.name for path in figures.iterdir()} == stays


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
    assert words in command.refused("plan", "--study", write_study(budget=budget), "--out", tmp_path / "plan.csv")
    assert not (tmp_path / "plan.csv").exists()


@pytest.mark.parametrize(("name", "experiments"), [("digits", DECIDED), ("cifar10-cpu", set(EXPERIMENTS))])
def test_the_small_studies_run_their_experiments_on_few_runs(
    command: Command, tmp_path: Path, name: str, experiments: set[str]
) -> None:
    command.done("plan", "--study", name, "--out", tmp_path / "plan.csv")
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert set("+".join(row["experiments"] for row in rows).split("+")) == experiments
    assert len([row for row in rows if row["purpose"] != "fit"]) <= 1800


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_keeps_its_own_budget(path: Path) -> None:
    project = Project(Configuration(), load_study(path), path)
    assert project.images.shape
    runs = plan_runs(project.arms.values(), project.images.shape, estimated(packing.FLOPS_PER_SECOND["cpu"]))
    assert over_budget(str(path), runs, project.study.budget) is None


@pytest.mark.parametrize(
    ("experiments", "words"),
    [
        ({"factorial": {"threshold": 0.11}}, "factorial.threshold 0.11 is no better than guessing; valid: above 0.1"),
        ({"race": {"width": 0.25, "error": 0.9}}, "race.error 0.9 is no better than guessing; valid: below 0.8"),
        ({"stability": {"trains": 0.1}}, "stability.trains 0.1 is no better than guessing"),
    ],
)
def test_what_guessing_reaches_is_refused_before_anything_is_trained(
    command: Command, write_study: Callable[..., Path], tmp_path: Path, experiments: dict[str, Any], words: str
) -> None:
    path = write_study(experiments=experiments)
    said = command.refused("plan", "--study", path, "--out", tmp_path / "plan.csv")
    assert said.startswith(f"error: {path}: experiments: {words}")
    assert not (tmp_path / "plan.csv").exists()
    with pytest.raises(TakeoffError, match="no better than guessing"):
        load_project({"study": str(path)})


def test_chance_is_that_of_the_prepared_images(
    command: Command, write_study: Callable[..., Path], digits: Path
) -> None:
    """Their most frequent class has a tenth and a little, which the card knows."""
    path = write_study(experiments={"factorial": {"threshold": 0.128}})
    assert "no better than guessing" in command.refused("plan", "--study", path, "--card", digits / "card.json")


def test_the_plan_says_how_the_images_were_read(
    command: Command, write_study: Callable[..., Path], digits: Path, tmp_path: Path
) -> None:
    card = load_card(digits / "card.json")
    card["notes"] = ["test images from val/"]
    save_card(tmp_path / "card.json", card)
    done = command.done("plan", "--study", write_study(), "--card", tmp_path / "card.json")
    assert "images: test images from val/" in done.stdout.splitlines()


def test_the_plan_says_how_many_runs_are_there(
    command: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    def there() -> str:
        said = command.done("plan", "--study", write_study(), "--results", tmp_path / "results").stdout
        return next(line for line in said.splitlines() if "there already" in line).split(" runs")[0]

    assert there() == "0 of 12"
    arm = tmp_path / "results" / "arms" / "relu"
    (arm / "runs").mkdir(parents=True)
    for number in range(3):
        (arm / "runs" / f"{number:016x}.json").write_text("{}")
    assert there() == "3 of 12"
    (arm / "runs.parquet").write_text("")
    assert there() == "6 of 12"


def test_the_plan_of_a_fraction_lists_its_aliases(command: Command, tmp_path: Path) -> None:
    done = command.done("plan", "--study", "cifar10-extended", "--out", tmp_path / "plan.csv")
    head, *lines = done.stdout.partition("\nfactorial: ")[2].splitlines()
    assert head.startswith("64 of 256 combinations, a fraction of resolution 5;")
    aliases = dict(line.split(maxsplit=1) for line in lines)
    # Of resolution 5: no main effect is mixed up with fewer than four factors, no pair with fewer than three.
    assert len(aliases) == 8 + 8 * 7 / 2
    for term, text in aliases.items():
        least = min(len(word.split(":")) for word in text.replace("+", "").replace("-", "").split())
        assert least >= 5 - len(term.split(":"))


def test_planning_needs_neither_torch_nor_pandas(tmp_path: Path) -> None:
    """Ones that cannot be imported stand before the real ones."""
    for name in ("torch", "pandas"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('imported')")
    line = [sys.executable, SCRIPTS / "plan.py", "--study", "digits", "--arms-out", tmp_path / "arms"]
    line += ["--criteria-out", tmp_path / "criteria.json"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_arm_has_a_file_rewritten_where_it_changed(
    command: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    def plan(**changes: Any) -> dict[str, tuple[dict[str, Any], int]]:
        command.done("plan", "--study", write_study(**changes), "--arms-out", tmp_path / "arms")
        files = sorted((tmp_path / "arms").glob("*/arm.json"))
        return {path.parent.name: (json.loads(path.read_text()), path.stat().st_ino) for path in files}

    first = plan()
    assert set(first) == {"relu", "relu+batch"}
    arm, _ = first["relu"]
    assert (arm["network"]["width"], arm["recipe"]["epochs"]) == (0.0625, 2)
    assert (arm["learning_rates"], arm["weight_decays"], arm["network"]["stem_stride"]) == ([0.01, 0.1], [0.0005], 1)
    assert arm["blocks"] == [{"number": 0, "seeds": [0, 1], "tuning_seeds": [1_000_000, 1_000_001]}]
    assert (arm["seeds"], arm["experiments"]) == ([0, 1], ["factorial"])
    assert plan() == first
    race = {"factorial": {"threshold": 0.5}, "race": {"width": 0.25}}
    second = plan(experiments=race)
    assert {name: second[name] for name in first} == first
    third = plan(experiments={**race, "race": {"width": 0.25, "rates": [0.02, 0.2]}})
    assert {name for name in third if third[name] != second[name]} == set(second) - set(first)


def test_criteria_written_down_once_stay(command: Command, write_study: Callable[..., Path], tmp_path: Path) -> None:
    """Planning again, with other numbers, changes nothing that was written; what is new is added."""
    path, written = tmp_path / "criteria.json", []
    race = {"factorial": {}, "race": {"error": 0.3}}
    for experiments, margin in (({"factorial": {}}, 0.01), (race, 0.05), (race, 0.06)):
        study = write_study(experiments=experiments, margin=margin, budget={"runs": 500, "core_hours": 9})
        command.done("plan", "--study", study, "--criteria-out", path)
        written.append((json.loads(path.read_text()), path.stat().st_ino))
    (first, _), (criteria, _), _ = written
    assert written[1] == written[2]
    assert {name: criteria[name] for name in first} == first
    assert criteria["batch-norm-speeds-training"]["margin"] == 0.01
    assert criteria["relu-trains-faster"]["margin"] == 0.05
    assert criteria["relu-trains-faster"]["options"]["error"] == 0.3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config/claims.yaml", "claims: {}", r"^config/claims\.yaml: claims"),
        ("results/small/criteria.json", '{"relu-trains-faster": "above 2"}', r"criteria\.json: relu-trains-faster"),
        ("results/small/criteria.json", "{", r"criteria\.json: not valid JSON"),
    ],
)
def test_claims_and_criteria_that_are_wrong_are_refused_before_a_job_starts(
    write_study: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: str,
    message: str,
) -> None:
    """Of a claims' file, the working directory's own, which is read in place of ours."""
    study = write_study()
    monkeypatch.chdir(tmp_path)
    load_project({"study": str(study)})
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(TakeoffError, match=message):
        load_project({"study": str(study)})
