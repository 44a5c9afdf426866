"""Studies: what is read, what is refused and in which words, and which arms come of it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Command, small_study
from jsonschema import Draft202012Validator
from takeoff.common.documents import read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.tables import level_text
from takeoff.experiments.registry import enabled, wanted
from takeoff.study.arms import AnyArm, distinct, make_arm
from takeoff.study.loading import load_study, study_path
from takeoff.study.model import TUNING_SEED, Study
from takeoff.workflow import digests
from takeoff.workflow.project import load_project
from takeoff.workflow.schemas import STUDY

STUDIES = REPOSITORY / "config" / "studies"
PUBLISHED = (
    "digits cifar10 cifar10-cpu cifar10-extended cifar10-quick cifar100 imagenette imagenette-cpu imagenette-quick "
    "imagewoof tiny-imagenet imagenet100 imagenet1k mnist cifar10-16px"
).split()


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_study_that_comes_along_is_valid(name: str) -> None:
    study = load_study(STUDIES / f"{name}.yaml")
    assert enabled(study, name)
    assert len(study.seed_list) >= 6
    assert not set(study.seed_list) & set(study.tuning_seeds)
    # Complete in itself: nothing is left to a default that could change under it.
    content = read_yaml(STUDIES / f"{name}.yaml")
    assert set(content) == set(type(study).model_fields)
    for part in ("network", "recipe", "tuning"):
        assert set(content[part]) == set(type(getattr(study, part)).model_fields), part


def all_arms(study: Study) -> list[AnyArm]:
    """Every arm of a study, once."""
    return distinct(arm for arms in wanted(enabled(study, "small")).values() for arm in arms)


def nest(path: str, value: object) -> dict[str, Any]:
    """The small study with the value at a dotted path replaced, or added."""
    study = small_study()
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place[key]
    place[last] = value
    return study


WRONG: list[tuple[str, Any, list[str]]] = [
    ("sedes", 3, ["sedes: no such key", "did you mean seeds?"]),
    ("recipe.epoch", 3, ["recipe.epoch: no such key", "did you mean epochs?"]),
    ("factors.norm.treatmnt", "batch", ["factors.norm.treatmnt: no such key", "did you mean treatment?"]),
    ("experiments.factorial", {"thresholds": 0.5}, ["experiments.factorial", "did you mean threshold?"]),
    ("experiments.factorail", {}, ["experiments.factorail", "did you mean factorial?"]),
    ("factors.norm.treatment", "bach", ["factors.norm.treatment: 'bach'", "did you mean batch?", "Valid: none, batch"]),
    ("factors.dropout", {"baseline": 0, "treatment": 1}, ["factors.dropout.treatment: 1", "less than 1"]),
    ("factors.depth", {"baseline": 1, "treatment": 2}, ["factors.depth: no such factor", "width"]),
    ("factors.norm", {"baseline": "none"}, ["factors.norm.treatment"]),
    ("factors", {}, ["factors", "at least 1"]),
    ("network.activation", "rellu", ["network.activation: 'rellu'", "did you mean relu?"]),
    ("tuning.learning_rates", [0], ["tuning.learning_rates.0: 0", "greater than 0"]),
    ("tuning.seeds", 0, ["tuning.seeds: 0", "greater than 0"]),
    ("tuning.first_seed", 7, ["tuning.first_seed", "1000000"]),
    ("seeds", 0, ["seeds: 0", "greater than 0"]),
    ("seeds", [], ["seeds: []", "at least 1"]),
    ("experiments.moment", {"methods": ["hog"]}, ["experiments.moment: methods.0: 'hog'"]),
    ("experiments.depth", {"depths": ["two"]}, ["depths.0: 'two'", "integer"]),
    ("dataset.resolution", 33, ["dataset.resolution: 33", "8, 16, 32, 64, 128, 224"]),
    ("dataset.train_samples", -1, ["dataset.train_samples: -1"]),
    ("dataset.validation_fraction", 0.5, ["dataset.validation_fraction: 0.5", "0.2"]),
    ("network.width", "wide", ["network.width: 'wide'", "valid number"]),
    ("dataset.name", "../evil", ["dataset.name: '../evil'"]),
    ("factors.train_samples", {"baseline": 10, "treatment": 5000.5}, ["factors.train_samples.treatment"]),
]
"""Keys, values, and what is said of them."""
COMPARED: list[tuple[str, Any, list[str]]] = [
    ("factors.norm.treatment", "none", ["factors.norm", "both none"]),
    ("tuning.learning_rates", [0.1, 0.1], ["tuning.learning_rates", "twice"]),
    ("tuning.weight_decays", [0.1, 0.1], ["tuning.weight_decays", "twice"]),
    ("tuning.search", "line", ["tuning.search", "weight_decays"]),
    ("network.stem_stride", 2, ["network.stem_stride: 2", "8 px", "at most 1"]),
    ("seeds", [TUNING_SEED], ["seeds", "for tuning"]),
    ("recipe.warmup_epochs", 99, ["warmup_epochs 99", "2 epochs"]),
]
"""Wrong because of other values, which no schema compares."""


@pytest.mark.parametrize(("path", "value", "words"), [*WRONG, *COMPARED])
def test_what_is_wrong_is_named_in_one_line_and_wrong_to_the_schema(
    tmp_path: Path, path: str, value: object, words: list[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(nest(path, value)), encoding="utf-8")
    with pytest.raises(TakeoffError) as raised:
        enabled(load_study(file), str(file))
    message = str(raised.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    for word in words:
        assert word in message
    schema = json.loads((REPOSITORY / STUDY).read_text(encoding="utf-8"))
    assert Draft202012Validator(schema).is_valid(nest(path, value)) == ((path, value, words) in COMPARED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not valid YAML"),
        ("- a\n- b\n", "expected keys and values, found list"),
        ("seeds: 3\nseeds: 4\n", "'seeds' stands twice"),
        ('{"seeds": 3, "seeds": 4}', "'seeds' stands twice"),
        ("[1, 2]", "expected keys and values, found list"),
        ('{"seeds": 3,', "not valid"),
    ],
)
def test_a_file_that_is_no_study(tmp_path: Path, text: str, words: str) -> None:
    for suffix in ("yaml", *["json"] * (text[0] in "{[")):
        file = tmp_path / f"mine.{suffix}"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(TakeoffError, match=words):
            load_study(file)


def test_a_study_of_json_may_be_indented_by_tabs_and_write_a_character_as_two(tmp_path: Path) -> None:
    study = small_study(title="Mine \N{ROCKET}")
    for name, indent in (("tabs", "\t"), ("plain", None)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(study, indent=indent), encoding="utf-8")
        assert load_study(file).title == study["title"]


@pytest.mark.parametrize(
    ("factor", "baseline", "treatment", "network"),
    [
        ("train_samples", 1297, "all", {}),
        ("pooling", "plain", "overlapping", {"family": "plain", "depth": 3}),
        ("initialisation", "by-activation", "xavier", {"activation": "tanh"}),
        ("initialisation", "by-activation", "he", {"activation": "relu"}),
        ("width", 0.25, 0.2500000001, {}),
    ],
)
def test_levels_that_come_to_the_same_are_refused(
    write_study: Callable[..., Path], command: Command, factor: str, baseline: object, treatment: object, network: dict
) -> None:
    factors = {factor: {"baseline": baseline, "treatment": treatment}}
    path = write_study(factors=factors, network=small_study()["network"] | network)
    with pytest.raises(TakeoffError, match="under two names"):
        load_project({"study": str(path)})
    assert "under two names" in command.refused("plan", "--study", path)


def test_a_study_is_found_by_name_or_path() -> None:
    assert study_path("digits").resolve() == STUDIES / "digits.yaml"
    with pytest.raises(TakeoffError, match=r"no such study; did you mean digits\?"):
        study_path("digit")
    with pytest.raises(TakeoffError, match="no such file"):
        study_path("nowhere/mine.yaml")


def test_the_working_directorys_own_studies_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_path("digits") == STUDIES / "digits.yaml"
    own = Path("config") / "studies"
    own.mkdir(parents=True)
    for name in ("digits", "mine"):
        (own / f"{name}.yaml").write_text(yaml.safe_dump(small_study(title=f"My {name}")))
        assert study_path(name) == own / f"{name}.yaml"
        assert load_project({"study": name}).study.title == f"My {name}"
    assert study_path("cifar10") == STUDIES / "cifar10.yaml"
    with pytest.raises(TakeoffError, match=r"did you mean mine\?.*cifar10"):
        study_path("min")


@pytest.mark.parametrize("line", ["analyse experiment race", "draw race", "judge", "plan", "probe", "track"])
def test_every_command_takes_a_study_by_name(command: Command, line: str, tmp_path: Path) -> None:
    message = command.refused(*line.split(), "--study", "digit", cwd=tmp_path)
    assert message.startswith("error: study=digit: no such study; did you mean digits? Valid: cifar10,")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"stduy": "digits"}, "did you mean study?"),
        ({"device": "gpu"}, "device: 'gpu' is not valid; did you mean cuda?"),
        ({"checkpoint_minutes": float("inf")}, "checkpoint_minutes: inf is not valid; should be a finite number"),
        ({"results": __file__}, "there is a file of that name; valid: a folder"),
        ({"threads": 0}, "threads: 0"),
        ({"resources": {"trains": {}}}, "resources.trains: no such key; did you mean train?"),
        ({"resources": {"train": {"runtime": "soon"}}}, "resources.train: runtime: 'soon' is not valid"),
        ({"resources": {"fit": {"mem_mb": "-1"}}}, "resources.fit: mem_mb: '-1' is not valid"),
        ({"resources": {"rest": {"mem": "much"}}}, "resources.rest: mem: 'much' is not valid"),
        ({"resources": {"rest": {"slurm_partition": ""}}}, "resources.rest: slurm_partition: '' is not valid"),
        ({"resources": {"rest": {"gres": "gpu:1\n-x"}}}, "resources.rest: gres: .* is not valid"),
        ({"resources": {"train": {"threads": "many"}}}, "resources.train: threads: 'many' is not valid"),
        ({"resources": {"train": {"cpus_per_task": 0}}}, "resources.train: cpus_per_task: 0 is not valid"),
        ({"resources": {"train": {"runtime": "0m"}}}, "resources.train: runtime: '0m' is not valid"),
        ({"resources": {"train": {"runtime": chr(0x664) + "h"}}}, "resources.train: runtime: .* is not valid"),
        ({"resources": {"train": {"runtime": 10**30}}}, "resources.train: runtime: 10+ is not valid"),
        ({"studies": ["nowhere"]}, "studies=nowhere: no results of a study there"),
        ({"against": "nowhere"}, "against=nowhere: no results of a study there"),
        ({"against": str(REPOSITORY / "results/reference/cifar10-quick")}, "cifar10 with .* valid: the study compared"),
        ({"study": "imagenet1k"}, r"never downloaded.*archives=\{imagenet1k: PATH\}"),
        ({"archives": {"cifar10": "/nowhere.tgz"}, "study": "cifar10"}, "no such archive"),
        ({"archives": {"CIFAR-10": "/mine.tgz"}, "study": "cifar10"}, "this study's dataset is called cifar10"),
        ({"archives": {"cifar-10": "/mine.tgz"}, "study": "cifar10"}, "this study's dataset is called cifar10"),
        ({"archives": {"mnist": "/mine.tgz"}, "study": "mnist"}, "this study's dataset is called mnist-5000"),
    ],
)
def test_the_configuration_is_checked_before_a_job_starts(config: dict[str, Any], words: str) -> None:
    with pytest.raises(TakeoffError, match=words):
        load_project({"study": "digits"} | config)


def test_archives_of_other_datasets_are_left_alone() -> None:
    others = {"digits2": "/mine", "cifar10b": "/mine.tgz", "cifar100": "/hundred.tgz"}
    for name in ("digits", "cifar10"):
        assert load_project({"study": name, "archives": others}).images.given is None


@pytest.mark.parametrize(
    ("dataset", "level", "words"),
    [
        ({"train_samples": 1298}, None, "dataset.train_samples: 1298 is more than there are; valid: up to 1297"),
        ({"train_samples": 4}, None, "dataset.train_samples: 4: too few to hold out 0.2 of them"),
        ({"validation_fraction": 0.0005}, None, "dataset.train_samples: 1297: too few to hold out 0.0005 of them"),
        ({}, 3, "factors.train_samples.baseline: 3: too few to hold out 0.2 of them"),
        ({}, 5000, "factors.train_samples.baseline: 5000 .* up to 1297"),
        ({"name": "birds", "resolution": 32}, None, r"birds is not in the catalogue.*dataset.archive"),
    ],
)
def test_images_that_there_cannot_be(
    write_study: Callable[..., Path], dataset: dict[str, Any], level: int | None, words: str
) -> None:
    study = small_study()
    factors = {"train_samples": {"baseline": level, "treatment": 100}} if level else {}
    file = write_study(dataset=study["dataset"] | dataset, factors=study["factors"] | factors)
    with pytest.raises(TakeoffError, match=words):
        load_project({"study": str(file)})


def test_close_widths_have_names_of_their_own(write_study: Callable[..., Path]) -> None:
    study = load_study(write_study())
    names = {make_arm(study, {"width": width}).name for width in (0.1234567, 0.1234568, 2, 2.0)}
    assert names == {"relu+width0.1234567", "relu+width0.1234568", "relu+width2"}


def test_a_changed_image_in_a_folder_prepares_anew(write_study: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "birds" / "wren").mkdir(parents=True)
    image = tmp_path / "birds" / "wren" / "1.png"
    image.write_bytes(b"one")
    dataset = small_study()["dataset"] | {"name": "birds", "archive": str(tmp_path / "birds")}
    project = load_project({"study": str(write_study(dataset=dataset))})
    before = digests.preparing(project.images)
    assert digests.preparing(project.images) == before
    image.write_bytes(b"two, longer")
    assert digests.preparing(project.images) != before


def test_a_name_of_the_catalogue_stands_for_its_own_images(write_study: Callable[..., Path], tmp_path: Path) -> None:
    """Other images below that name would be reported, and kept, as its own."""
    dataset = small_study()["dataset"] | {"archive": str(tmp_path)}
    with pytest.raises(TakeoffError, match=r"dataset\.archive: digits is a name in the catalogue.*`archives`"):
        load_project({"study": str(write_study(dataset=dataset))})
    given = {"study": str(write_study()), "archives": {"digits": str(tmp_path)}}
    assert load_project(given).images.given == str(tmp_path)


def test_arms_have_readable_names(write_study: Callable[..., Path]) -> None:
    study = load_study(STUDIES / "digits.yaml")
    endings = ("", "+dropout0.5", "+batch", "+batch+dropout0.5")
    names = [f"{activation}{ending}" for activation in ("tanh", "relu") for ending in endings]
    assert [arm.name for arm in wanted(enabled(study, "digits"))["factorial"]][:8] == names
    odd = {"pooling": "plain", "initialisation": "gaussian-0.01", "width": 0.5, "augmentation": "flip-crop"}
    name = make_arm(study, {"activation": "gelu", **odd, "train_samples": 100}, recipe={"epochs": 3}).name
    assert name == "gelu+plain+gaussian-0.01+width0.5+flip-crop+epochs3+n100"


def test_every_factor_of_the_issue_may_be_listed(write_study: Callable[..., Path]) -> None:
    levels = {
        "activation": ("sigmoid", "gelu"),
        "norm": ("none", "batch"),
        "dropout": (0, 0.3),
        "response_norm": ("none", "local"),
        "pooling": ("plain", "overlapping"),
        "augmentation": ("none", "flip-crop-colour"),
        "initialisation": ("gaussian-0.01", "he"),
        "width": (0.5, 1),
        "train_samples": (100, 1000),
    }
    factors = {name: {"baseline": low, "treatment": high} for name, (low, high) in levels.items()}
    study = load_study(write_study(factors=factors))
    arms = all_arms(study)
    assert arms[0].levels == {name: low for name, (low, _) in levels.items()} | {"stem_stride": None}
    # Past six factors it is a fraction, in which each level stands half of the times.
    assert len({arm.name for arm in arms}) == 2**7
    for name, pair in levels.items():
        assert sorted(level_text(arm.levels[name]) for arm in arms) == sorted(map(level_text, pair * 2**6))


def test_all_images_as_a_level_is_the_whole_set(write_study: Callable[..., Path]) -> None:
    factors = {"train_samples": {"baseline": 100, "treatment": "all"}}
    few, all_of_them = all_arms(load_study(write_study(factors=factors)))
    assert (few.train_samples, all_of_them.train_samples) == (100, None)


def test_what_a_user_may_call_next_names_the_study(
    write_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the changed study goes
    own = str(write_study("my study"))
    ours = load_project({"study": "digits"}).commands
    assert (ours.report, ours.ui) == ("make report STUDY=digits", "make ui STUDY=digits")
    mine = load_project({"study": own, "set": "seeds=3 margin=0.02"}).commands
    assert shlex.split(mine.report) == ["make", "report", f"STUDY={own}", "SET=seeds=3 margin=0.02"]
    away = load_project({"study": own, "results": str(tmp_path / "else where")}).commands
    keys = [f"study={own}", f"results={tmp_path / 'else where'}"]
    assert shlex.split(away.ui) == ["python", "scripts/ui.py", *keys]
    assert shlex.split(away.report)[:4] == ["snakemake", "--config", *keys]
