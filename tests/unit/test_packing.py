"""How arms are packed into jobs: for what will train them, what others wait for first, and the same once begun."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY
from takeoff.common.gpus import Found
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.study.model import Study
from takeoff.workflow import packing
from takeoff.workflow.project import Project

QUICK = REPOSITORY / "config" / "studies" / "cifar10-quick.yaml"


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
    fitted, trained = (place / "arms" / name for name in ("hog-linear-svm/runs.parquet", "relu/curves.parquet"))
    for file in (fitted, trained):
        file.parent.mkdir(parents=True)
        file.touch()
    assert packed_for(1) == "cpu"  # on a CPU, before there was a GPU
    trained.unlink()
    assert packed_for(1) == "cuda"  # older methods are fitted on a CPU in any case
    trained.touch()
    assert packed_for(0) == packed_for(0, elsewhere=True) == packed_for(1) == "cuda"
    assert packed_for(1, device="cpu") == "cpu"
