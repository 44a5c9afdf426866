"""The plan: counts that agree with what is then trained, and a budget that is kept."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY, SCRIPTS, Command
from takeoff.common.errors import TakeoffError
from takeoff.common.gpus import Found
from takeoff.data.card import load_card, save_card
from takeoff.engine import architecture
from takeoff.experiments.registry import EXPERIMENTS
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.study.model import Study
from takeoff.study.settings import Network
from takeoff.workflow import packing, speeds
from takeoff.workflow.planning import over_budget, plan_runs
from takeoff.workflow.project import Project, load_project
from takeoff.workflow.speeds import Speed, Speeds, estimated

DECIDED = {"factorial", "depth", "stability", "scaling", "compute"}
"""What images of 8 px can decide something of."""


QUICK = REPOSITORY / "config" / "studies" / "cifar10-quick.yaml"


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


def test_of_very_many_arms_more_share_a_job(write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"activation": ("tanh", "relu"), "norm": ("none", "batch"), "dropout": (0, 0.5)}
    factors = {name: {"baseline": low, "treatment": high} for name, (low, high) in levels.items()}
    path = write_study(factors=factors)
    whole = Project(Configuration(arms_per_job=2), load_study(path), path)
    assert [len(pack) for pack in whole.packs] == [2, 2, 2, 2]
    monkeypatch.setattr(packing, "MOST_PACKS", 3)
    packs = Project(whole.configuration, whole.study, path).packs
    assert [len(pack) for pack in packs] == [3, 3, 2]
    assert [arm.name for pack in packs for arm in pack] == list(whole.arms)


@pytest.mark.parametrize("name", ["digits", "cifar10-cpu"])
def test_small_arms_share_a_job_until_it_is_worth_its_start(name: str) -> None:
    path = REPOSITORY / "config" / "studies" / f"{name}.yaml"
    whole = Project(Configuration(), load_study(path), path)
    seconds = packing.estimate(whole.images.shape, "cpu")
    packs = whole.packs
    networks = [arm.name for arm in whole.arms.values() if arm.kind == "network"]
    assert sorted(arm.name for pack in packs for arm in pack) == sorted(networks)
    made: set[str] = set()
    made_for = {arm.choice_from for arm in whole.arms.values()}
    for pack in packs:
        assert made >= {arm.choice_from for arm in pack if arm.choice_from}
        made |= {arm.name for arm in pack}
        assert len({(arm.experiments[0], arm.choice_from is None) for arm in pack}) == 1
    # What is left over of each group.
    groups = {(pack[0].experiments[0], pack[0].choice_from is None) for pack in packs}
    assert len([pack for pack in packs if sum(map(seconds, pack)) < packing.WORTH["cpu"]]) <= len(groups)
    # The default study's arms are tiny; of the other, those that train for minutes have a job each.
    sizes = [len(pack) for pack in packs]
    assert max(sizes) > 6 if name == "digits" else sizes.count(1) > 10
    # What others wait for goes before them, and of the rest what takes longest.
    spent = {pack[0].name: sum(map(seconds, pack)) for pack in packs}
    alone = [pack for pack in packs if not {arm.name for arm in pack} & made_for]
    assert sorted(alone, key=whole.priority) == sorted(alone, key=lambda pack: spent[pack[0].name])
    for pack in packs:
        for chooser in (one for one in packs if {arm.name for arm in one} & {arm.choice_from for arm in pack}):
            assert whole.priority(chooser) >= whole.priority(pack) + 1000 * spent[chooser[0].name] - 2


def test_what_others_wait_for_is_as_urgent_as_the_longest_of_them() -> None:
    """Whichever comes first or last; what waits for nothing of a pack adds nothing to it."""
    seconds = {"chooser": 3.0, "beside": 1.0, "short": 5.0, "long": 20.0, "middle": 9.0, "alone": 7.0}
    waits = dict.fromkeys(("short", "long", "middle"), "chooser")

    def left(*names: str) -> list[float]:
        packs = [[SimpleNamespace(name=n, choice_from=waits.get(n)) for n in pack.split()] for pack in names]
        return packing.seconds_left(packs, lambda arm: seconds[arm.name])  # type: ignore[arg-type]

    assert left("chooser beside", "short", "long", "middle", "alone") == [4 + 20, 5, 20, 9, 7]
    assert left("long", "middle", "alone", "short", "beside", "chooser") == [20, 9, 7, 5, 1, 3 + 20]


def test_jobs_of_older_methods_start_by_their_time_too() -> None:
    """Whose arms with few images choose for those with more."""
    path = REPOSITORY / "config" / "studies" / "digits.yaml"
    whole = Project(Configuration(), load_study(path), path)
    seconds = packing.estimate(whole.images.shape, "cpu")
    choosing, taking = whole.classical_packs
    assert {arm.choice_from for arm in taking} <= {arm.name for arm in choosing}
    first, last = (sum(map(seconds, pack)) for pack in (choosing, taking))
    priorities = [whole.priority(pack) for pack in (choosing, taking)]
    assert priorities == pytest.approx([1000 * (first + last), 1000 * last], abs=2)


def test_a_setting_of_one_experiment_leaves_the_jobs_of_others(write_study: Callable[..., Path]) -> None:
    depth = {"depths": [2, 3], "activations": ["relu"], "rates": [0.01, 0.1]}

    def packs(**race: Any) -> list[list[str]]:
        path = write_study(experiments={"race": race, "depth": depth})
        return [[arm.name for arm in pack] for pack in Project(Configuration(), load_study(path), path).packs]

    small, wide = packs(width=0.25), packs(width=16)
    assert len(wide) > len(small)
    assert [pack for pack in small if "four-layer" not in pack[0]] == [p for p in wide if "four-layer" not in p[0]]


def test_where_nobody_counted_the_images_four_arms_share_a_job(write_study: Callable[..., Path]) -> None:
    factors = {"dropout": {"baseline": 0, "treatment": 0.5}, "width": {"baseline": 0.0625, "treatment": 0.125}}
    own = {"dataset": {"name": "mine", "resolution": 8, "archive": "mine.tgz"}}
    three = factors | {"activation": {"baseline": "tanh", "treatment": "relu"}}
    path = write_study(factors=three, **own)
    assert [len(pack) for pack in Project(Configuration(), load_study(path), path).packs] == [4, 4]


@pytest.fixture
def quick() -> Study:
    """Networks that a CPU trains in minutes, a GPU in seconds."""
    study = load_study(QUICK)
    return study.model_copy(update={"recipe": study.recipe.model_copy(update={"epochs": 3})})


def test_a_gpu_gets_more_arms_to_a_job(quick: Study) -> None:
    cpu, cuda = (Project(Configuration(device=device), quick, QUICK).packs for device in ("cpu", "cuda"))
    assert [len(pack) for pack in cpu[:8]] == [1] * 8  # the factorial
    assert len(cuda) < 2 / 3 * len(cpu)


def names(project: Project) -> list[list[str]]:
    """The arms of each job."""
    return [[arm.name for arm in pack] for pack in project.packs]


@pytest.mark.parametrize(
    ("side", "elsewhere", "gpus", "expected"),
    [
        (32, False, 1, "cuda"),
        (32, False, 0, "cpu"),
        (32, True, 1, "cpu"),  # a cluster's nodes may have what this machine lacks
        (8, False, 1, "cpu"),  # images that a CPU trains sooner
    ],
)
def test_jobs_are_packed_for_the_gpu_that_will_train(
    quick: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, elsewhere: bool, gpus: int, expected: str
) -> None:
    monkeypatch.setattr(Project, "gpus", Found(gpus))
    study = quick.model_copy(update={"dataset": quick.dataset.model_copy(update={"resolution": side})})

    def project(device: str, elsewhere: bool = True) -> Project:
        return Project(Configuration(device=device, results=str(tmp_path)), study, QUICK, elsewhere=elsewhere)

    found = names(project("auto", elsewhere))
    assert found == names(project(expected))
    assert (found == names(project("cpu"))) == (expected == "cpu")
    for device in ("cpu", "cuda"):
        assert project(device, False).packed_for == device


def test_no_gpu_fits_older_methods() -> None:
    path = REPOSITORY / "config" / "studies" / "cifar10.yaml"
    cpu, cuda = (Project(Configuration(device=device), load_study(path), path) for device in ("cpu", "cuda"))
    assert cpu.classical_packs == cuda.classical_packs
    assert len(cpu.packs) > len(cuda.packs)


def test_jobs_that_were_packed_for_a_gpu_stay_so(quick: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a look from a laptop at results of a GPU would train them anew, and a GPU those of a laptop."""

    def packed_for(gpus: int, elsewhere: bool = False, device: str = "auto") -> str:
        monkeypatch.setattr(Project, "gpus", Found(gpus))
        own = Project(Configuration(device=device, results=str(tmp_path)), quick, QUICK, elsewhere=elsewhere)
        own.remember_packs()
        return own.packed_for

    place = tmp_path / QUICK.stem
    assert packed_for(0) == packed_for(1, device="cpu") == "cpu"
    assert packed_for(0, device="cuda") == "cuda"
    assert not place.exists()
    finished = place / "arms" / "relu" / "runs.parquet"
    finished.parent.mkdir(parents=True)
    finished.touch()
    assert packed_for(1) == "cpu"  # on a CPU, before there was a GPU
    finished.unlink()
    assert packed_for(1) == "cuda"
    finished.touch()
    assert packed_for(0) == packed_for(0, elsewhere=True) == packed_for(1) == "cuda"
    assert packed_for(1, device="cpu") == "cpu"


@pytest.mark.parametrize(
    ("flags", "side", "faster"), [("avx2", 32, False), ("avx2 avx512_bf16", 32, True), ("amx_bf16", 8, False)]
)
def test_a_cpu_that_multiplies_in_bfloat16_is_expected_to_be_faster_but_for_small_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, side: int, faster: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : fpu {flags}\n", encoding="utf-8")
    monkeypatch.setattr(speeds, "FLAGS", tmp_path / "cpuinfo")
    assert speeds.trains_in_bfloat16(side) == faster


def test_a_plan_counts_with_steps_that_were_timed_here(command, write_study, tmp_path, monkeypatch) -> None:
    """Once for each network: the second plan knows them, and so does one that times nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    study = write_study(budget={"runs": 100, "core_hours": 10})

    def planned(*options: object) -> list[float]:
        command.done("plan", "--study", study, "--out", tmp_path / "plan.csv", *options)
        return [float(row["expected_seconds"]) for row in csv.DictReader((tmp_path / "plan.csv").open())]

    guessed, timed = planned(), planned("--measure")
    file = tmp_path / "cache" / "takeoff" / "speeds.json"
    known = json.loads(file.read_text())
    assert len(known) == 2  # with and without a norm
    assert all(step > 0 and image > 0 for step, image in known.values())
    assert timed != guessed
    file.write_text(json.dumps({key: [1.0, 0.5] for key in known}))
    # A tuning run: two epochs of eight steps, and twice 2 × 259 images scored; a final run is scored once more.
    assert (
        planned() == planned("--measure") == [16 + 518.0] * 4 + [16 + 777.0] * 2 + [16 + 518.0] * 4 + [16 + 777.0] * 2
    )
    file.write_text("{")
    assert planned("--measure") != guessed


def test_what_seems_to_exceed_a_budget_is_timed_before_it_is_refused(write_study, monkeypatch, tmp_path) -> None:
    asked: list[int] = []

    def measure(arms: list, *_: object, longest: float) -> Speeds:
        asked.append(len(arms))
        return lambda arm, shape: Speed(1e-3, 1e-6)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("takeoff.workflow.project.measure", measure)
    monkeypatch.setattr(speeds, "expected_rate", lambda resolution: 1e6)

    def check(core_hours: float) -> None:
        path = write_study(budget={"runs": 100, "core_hours": core_hours})
        Project(Configuration(results=str(tmp_path / "results")), load_study(path), path).check_budget()

    check(1)
    assert asked == [2]
    with pytest.raises(TakeoffError, match="exceeds its budget"):
        check(1e-3)  # far beyond any doubt
    assert asked == [2]
