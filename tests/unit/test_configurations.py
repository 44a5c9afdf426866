"""Configurations and studies as users write them, broken in every way: refused in a line before a job starts."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, small_study
from PIL import Image
from takeoff.common.addresses import expanded, without_secrets
from takeoff.common.documents import MOST_BYTES, parse_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import unprintable
from takeoff.workflow import digests
from takeoff.workflow.project import Project, load_project, project_of
from takeoff.workflow.wiring import classes_option

TEXT = yaml.safe_dump(small_study(), sort_keys=False)
SECRET = "s3cret"
FEW = {"activation": {"baseline": "tanh", "treatment": "relu"}, "norm": {"baseline": "none", "treatment": "batch"}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, also known as HERE and as the user's home, with some folders in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "HERE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    for name in ("folder", "my birds"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.tgz").touch()
    return tmp_path


def planned(text: str | bytes | None = None, name: str = "mine.yaml", **config: Any) -> Project:
    """The project of a study with this text, planned as the workflow's rules do, but for the time that it takes."""
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        config = {"study": name} | config
    project = load_project(config)
    assert project.arms
    assert project.packs + project.classical_packs
    digests.preparing(project.images)
    return project


def refused(text: str | bytes | None = None, name: str = "mine.yaml", **config: Any) -> str:
    """The one line that refuses it; nothing was made, and no password is in it."""
    before = set(Path().iterdir()) | {Path(name)}
    with pytest.raises(TakeoffError) as raised:
        planned(text, name, **config)
    message = str(raised.value)
    assert not unprintable(message)
    assert len(message) < 1200
    assert SECRET not in message
    assert set(Path().iterdir()) <= before
    return message


def changed(**values: Any) -> str:
    """The small study, with the values at these keys (`recipe__epochs`)."""
    study = small_study()
    for key, value in values.items():
        *above, last = key.split("__")
        place = study
        for part in above:
            place = place[part]
        place[last] = value
    return json.dumps(study)  # which is YAML, and has each value as it is


def of_images(archive: Any, **more: Any) -> str:
    """The study of images of one's own."""
    return changed(dataset=small_study()["dataset"] | {"name": "birds", "resolution": 32, "archive": archive} | more)


def switched(**experiments: Any) -> str:
    return changed(experiments=experiments, factors=FEW, budget={"runs": 100_000, "core_hours": 10**6})


def bomb(kind: str) -> str:
    """Nine aliases of nine aliases, and so on."""
    inner = {"list": "[{}]", "mapping": "{{{}}}"}[kind]
    lines = ["a0: &a0 [1, 2]"]
    for level in range(1, 10):
        aliases = [f"*a{level - 1}" if kind == "list" else f"k{place}: *a{level - 1}" for place in range(9)]
        lines.append(f"a{level}: &a{level} {inner.format(', '.join(aliases))}")
    return "\n".join(lines) + "\n"


DOCUMENTS: dict[str, str | bytes] = {
    "a bomb of lists": bomb("list") + TEXT,
    "a bomb of mappings": bomb("mapping") + TEXT,
    "a bomb where a value stands": bomb("list") + TEXT.replace("seeds: 2", "seeds: *a9"),
    "a value in itself": TEXT.replace("title: ", "title: &a [*a]\nother: ", 1),
    "no such anchor": TEXT.replace("seeds: 2", "seeds: *none"),
    "a date that there is not": TEXT.replace("seeds: 2", "seeds: 2026-02-30"),
    "a date": TEXT.replace("seeds: 2", "seeds: 2026-02-03"),
    "a tag of a word": TEXT.replace("seeds: 2", "seeds: !!int word"),
    "a tag that fits": TEXT.replace("seeds: 2", "seeds: !!int 2"),
    "a tag of Python's": TEXT.replace("seeds: 2", "seeds: !!python/object/apply:os.getpid []"),
    "a tag of one's own": TEXT.replace("title: ", "title: !mine ", 1),
    "5,000 digits": TEXT.replace("seeds: 2", f"seeds: {'9' * 5000}"),
    "5,000 digits in a level": TEXT.replace("treatment: batch", f"treatment: {'9' * 5000}"),
    "an infinite number": TEXT.replace("margin: 0.01", "margin: 1.0e+999"),
    "no number": TEXT.replace("margin: 0.01", "margin: .nan"),
    "base 8": TEXT.replace("seeds: 2", "seeds: 010"),
    "base 60": TEXT.replace("seeds: 2", "seeds: 1:30"),
    "deep lists": TEXT.replace("title: ", f"title: {'[' * 5000}", 1),
    "deep lists that end": TEXT.replace("seeds: 2", f"seeds: {'[' * 100}{']' * 100}"),
    "deep mappings": "\n".join(f"{' ' * depth}a:" for depth in range(500)),
    "a huge file": TEXT + "# " + "x" * MOST_BYTES,
    "a list as a key": f"{TEXT}? [a]\n: 1\n",
    "a number as a key": f"{TEXT}1: 1\n",
    "a truth as a key": f"{TEXT}yes: 1\n",
    "a key twice": f"{TEXT}seeds: 3\n",
    "a merged key": TEXT.replace("recipe:\n", "recipe:\n  <<: {epochs: 3}\n"),
    "NUL": TEXT.encode() + b"\0",
    "NUL, written out": TEXT.replace("title: ", 'title: "\\0"\nother: ', 1),
    "half a character": TEXT.replace("title: ", 'title: "\\ud800"\nother: ', 1),
    "a character past all": TEXT.replace("title: ", 'title: "\\UFFFFFFFF"\nother: ', 1),
    "a line break in the title": TEXT.replace("title: ", 'title: "a\\nb"\nother: ', 1).replace("other: ", "# "),
    "another encoding": TEXT.replace("Handwritten", "Händ").encode("latin-1"),
    "bytes": bytes(range(256)),
    "two documents": f"{TEXT}---\n{TEXT}",
    "nothing": "",
    "text": "hello",
    "a list": "- a",
    "tabs": TEXT.replace("  resolution", "\tresolution"),
    "a quote without end": TEXT.replace("title: ", "title: 'open ", 1),
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_file_that_is_no_study(text: str | bytes) -> None:
    assert refused(text).startswith("mine.yaml: ")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.replace("margin: 0.01", "margin: 1e-2"),
        TEXT.replace("margin: 0.01", "margin: 1.0E-2"),
        TEXT.replace("title: Handwritten digits", "title: 2026-02-30"),
        TEXT.replace("  learning_rates:", "  weight_decays: [*d]\n  learning_rates:").replace(
            "weight_decay: ", "weight_decay: &d "
        ),
    ],
)
def test_a_file_that_is_a_study(text: str | bytes) -> None:
    assert planned(text).study.margin == 0.01


def test_numbers_and_truths_are_those_that_a_study_means() -> None:
    numbers = [0.001, 1.5, -2, 1000, 0.5, 3]
    assert parse_yaml("[1e-3, 1.5, -2, 1_000, .5, +3]", "here") == numbers
    assert parse_yaml("[on, no, ~]", "here") == [True, False, None]
    words = ["010", "1:30", "0x10", "2026-02-30", "3", "<<", "="]
    assert parse_yaml("[010, 1:30, 0x10, 2026-02-30, '3', <<, =]", "here") == words


TYPES = [
    ("network.width", True),
    ("network.dropout", "0"),
    ("network.dropout", False),
    ("recipe.epochs", "5"),
    ("recipe.epochs", True),
    ("recipe.momentum", "0.9"),
    ("recipe.warmup_epochs", True),
    ("seeds", "3"),
    ("seeds", True),
    ("seeds", [True]),
    ("seeds", ["1"]),
    ("seeds", 2.5),
    ("tuning.learning_rates", ["0.1", "0.2"]),
    ("tuning.learning_rates", [True, 0.1]),
    ("tuning.share", True),
    ("margin", "0.01"),
    ("budget.core_hours", "1"),
    ("dataset.train_samples", "100"),
    ("dataset.train_samples", 100.5),
    ("dataset.resolution", "8"),
    ("dataset.validation_fraction", True),
    ("title", 5),
    ("title", None),
    ("network", []),
    ("experiments.factorial", False),
    ("experiments.factorial.threshold", "0.5"),
    ("experiments.factorial.threshold", True),
    ("experiments.factorial.scores", True),
    ("factors", {"dropout": {"baseline": "0", "treatment": 0.5}}),
    ("factors", {"dropout": {"baseline": 0, "treatment": True}}),
    ("factors", {"width": {"baseline": True, "treatment": 2}}),
    ("factors", {"train_samples": {"baseline": "100", "treatment": 200}}),
    ("factors", {"train_samples": {"baseline": 100, "treatment": 200.0}}),
    ("factors", {"norm": {"baseline": False, "treatment": "batch"}}),
]


@pytest.mark.parametrize(("key", "value"), TYPES)
def test_truths_and_quoted_numbers_are_no_numbers(key: str, value: Any) -> None:
    assert key in refused(changed(**{key.replace(".", "__"): value})).replace("factorial: ", "factorial.")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network__width", 1),
        ("tuning__learning_rates", [1, 2]),
        ("seeds", [3, 5]),
        ("factors", {"dropout": {"baseline": 0, "treatment": 0.5}}),
        ("factors", {"width": {"baseline": 1, "treatment": 0.5}}),
        ("experiments__factorial", {"threshold": 0.9, "fixed_rate": 1}),
    ],
)
def test_whole_numbers_are_numbers(key: str, value: Any) -> None:
    assert planned(changed(**{key: value}))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"threads": True}, "threads"),
        ({"threads": "2"}, "threads"),
        ({"partial": 1}, "partial"),
        ({"partial": "yes"}, "partial"),
        ({"checkpoint_minutes": "10"}, "checkpoint_minutes"),
        ({"tracking_minutes": True}, "tracking_minutes"),
        ({"studies": "digits"}, "studies"),
        ({"study": 5}, "study"),
        ({"study": ["digits"]}, "study"),
        ({"tracking_uri": [f"http://me:{SECRET}@host"]}, "tracking_uri"),
        ({"threads": 10**9}, "threads"),
        ({"arms_per_job": 10**9}, "arms_per_job"),
        ({"tracking_minutes": 1e9}, "tracking_minutes"),
        ({"studies": ["x"] * 1000}, "studies"),
        ({"archives": {f"d{number}": "/x" for number in range(2000)}}, "archives"),
        ({"Device": "cpu"}, "did you mean device?"),
        ({"device": "CUDA"}, "did you mean cuda?"),
        ({"set": "seeds=true"}, "seeds"),
        ({"set": "seeds=!!int x"}, "seeds"),
        ({"set": f"seeds={'9' * 5000}"}, "seeds"),
        ({"set": f"title={'[' * 3000}"}, "title"),
        ({"set": "seeds=1000000"}, "seeds"),
        ({"set": "recipe.epoch=5"}, "did you mean epochs?"),
        ({"set": "experiments.factorial.thresholt=0.9"}, "did you mean threshold?"),
    ],
)
def test_the_configuration_is_as_strict(config: dict[str, Any], key: str) -> None:
    assert key in refused(**{"study": "digits"} | config)


def test_a_configuration_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(5000):
        inner["a"] = inner = {}
    assert "nested" in refused(archives=deep)


def test_words_that_snakemake_leaves_are_what_they_say() -> None:
    config = {
        "arms_per_job": "null",
        "log_models": "true",
        "partial": "false",
        "against": "null",
        "tracking_uri": "off",
    }
    machine = planned(TEXT, **config).configuration
    assert (machine.arms_per_job, machine.log_models, machine.partial, machine.against) == (None, True, False, None)
    assert project_of(["study=mine.yaml", "tracking_uri=off", "archives={cifar10: /x}"]).tracking_uri == ""


@pytest.mark.parametrize(
    ("key", "spelt"),
    [
        ("seeds", "sedes"),
        ("seeds", "Seeds"),
        ("title", "titl"),
        ("dataset", "datase"),
        ("tuning", "tuningg"),
        ("factors", "factor"),
        ("experiments", "experiment"),
        ("budget", "buget"),
        ("dataset.name", "nahme"),
        ("dataset.resolution", "resolutoin"),
        ("tuning.learning_rates", "learning_rate"),
        ("budget.core_hours", "corehours"),
        ("factors.norm.treatment", "treatmnt"),
        ("recipe.epochs", "epoch"),
    ],
)
def test_a_misspelt_key_is_named_with_the_right_one(key: str, spelt: str) -> None:
    study = small_study()
    *above, last = key.split(".")
    place = study
    for part in above:
        place = place[part]
    place[spelt] = place.pop(last)
    message = refused(json.dumps(study))
    assert f"{'.'.join([*above, spelt])}: no such key; did you mean {last}?" in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (changed(network__activation="ReLU"), "relu"),
        (changed(dataset__name="CIFAR-10"), "cifar10"),
        (changed(experiments={"Factorial": {}}), "factorial"),
        (changed(factors={"Dropout": {"baseline": 0, "treatment": 0.5}}), "dropout"),
    ],
)
def test_capitals_hide_no_suggestion(text: str, word: str) -> None:
    assert f"did you mean {word}?" in refused(text)


def test_a_study_beside_one_is_suggested_and_its_file_may_end_in_yml(place: Path) -> None:
    (place / "mine.yaml").write_text(TEXT)
    assert "did you mean the file mine.yaml?" in refused(study="mine")
    assert "did you mean digits?" in refused(study="Digits")
    assert planned(TEXT, "other.yml").folder == Path("results/other")
    (place / "config" / "studies").mkdir(parents=True)
    (place / "config" / "studies" / "own.yml").write_text(TEXT)
    assert planned(study="own").folder == Path("results/own")
    assert "did you mean own?" in refused(study="owm")


MANY = [
    changed(seeds=10**9),
    changed(seeds=10**6),
    changed(seeds=list(range(5000))),
    changed(title="x" * 10**4),
    changed(recipe__epochs=10**9),
    changed(recipe__epoch_images=10**15),
    changed(recipe__batch_size=10**12),
    changed(tuning__blocks=10**9),
    changed(tuning__learning_rates=[place / 10**4 for place in range(1, 500)]),
    changed(tuning__weight_decays=[place / 10**4 for place in range(1, 500)]),
    changed(tuning__first_seed=10**30),
    changed(dataset__train_samples=10**12),
    changed(dataset__test_samples=10**12),
    changed(budget={"runs": 10**15, "core_hours": 1}),
    changed(budget={"runs": 10, "core_hours": 1e300}),
    switched(depth={"epochs": 10**9}),
    switched(depth={"longer": 10**9}),
    switched(depth={"tuning_seeds": 10**7}),
    switched(depth={"rates": [place / 100 for place in range(1, 1000)]}),
    switched(depth={"depths": [2] * 10**4}),
    switched(depth={"depths": [2, 2]}),
    switched(stability={"tuning_seeds": 10**7}),
    switched(scaling={"draws": 10**9}),
    switched(scaling={"widths": [1e9, 1]}),
    switched(factorial={"threshold": 0.9, "scores": 10**9}),
    switched(race={"epochs": 10**9}),
    switched(dropout={"steps": [1, 2, 10**9]}),
    switched(gain={"epochs": list(range(1, 5000))}),
    switched(moment={"methods": ["hog-linear-svm"] * 2}),
    switched(synergy={"plain": ["tanh", "tanh"]}),
]


@pytest.mark.parametrize("text", MANY)
def test_counts_have_an_end(text: str) -> None:
    assert refused(text).startswith("mine.yaml: ")


def test_runs_are_counted_before_they_are_listed() -> None:
    rates = [place / 100 for place in range(1, 90)]
    text = changed(seeds=900, tuning={"learning_rates": rates, "seeds": 90, "blocks": 900})
    assert "runs at least" in refused(text)


def test_an_arm_that_cannot_be_is_refused_in_a_line() -> None:
    """An option fits, and so does the study; together they do not."""
    text = json.dumps(json.loads(switched(scaling={"widths": [1, 16]})) | {"network": {"width": 2}})
    assert "width" in refused(text)


ADDRESSES = [
    *("", " ", ".", "..", "/", "http://", "https:", "http:///x.tgz", "http://host", "http://host/", "http://host/.."),
    *("http://host:99999/x.tgz", "http://host:0/x.tgz", "http://host:word/x.tgz", "http://[::1/x.tgz"),
    *(
        "http://[::zz]/x.tgz",
        "http://[]/x.tgz",
        "http://a b/x.tgz",
        "http://a..b/x.tgz",
        "http://-a/x.tgz",
        "http://*/x",
    ),
    *(
        "http://host/{a}.tgz",
        f"http://host/{'x' * 300}.tgz",
        f"http://{'h' * 300}/x.tgz",
        "http://host/x.tgz\r\nHost: b",
    ),
    *(
        "ftp:",
        "ftp://host/x.tgz",
        "s3:",
        "s3://bucket/x",
        "gs://b/x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "C:/x",
    ),
    *(
        "file:",
        "file://",
        "file://host/x.tgz",
        "file:///nowhere.tgz",
        "http:/host/x.tgz",
        "//host/x.tgz",
        "nowhere.tgz",
    ),
    *("a\nb", "a\0b", "a\tb", "\x1b[31mx", "{x}", "{x", "x" * 300, "/" + "x/" * 3000, "-x"),
    *("~nobody-at-all/x", "$UNSET/x", "${UNSET}/x", "$", "$EMPTY/x", "/dev/zero", "/dev/null", "pipe", "empty.tgz"),
    *(
        f"http://me:{SECRET}@",
        f"http://me:{SECRET}@host:99999/x.tgz",
        f"ftp://me:{SECRET}@host/x",
        f"http:/me:{SECRET}@h",
    ),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_place_where_no_images_can_be(address: str) -> None:
    assert "dataset.archive" in refused(of_images(address))
    assert "archives" in refused(study="digits", archives={"digits": address})


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://host/x.tgz", None),
        ("HTTPS://host:8080/a/x.tgz?token=1", None),
        ("http://[::1]:80/x.tgz", None),
        ("http://me:word@host/x.tgz", None),
        ("http://münchen.example/x.tgz", None),
        ("folder", "folder"),
        ("~/folder", "{here}/folder"),
        ("$HERE/folder", "{here}/folder"),
        ("${HERE}/my birds", "{here}/my birds"),
        ("file://$HERE/my%20birds", "{here}/my birds"),
    ],
)
def test_a_place_where_images_can_be(place: Path, address: str, local: str | None) -> None:
    expected = local and local.format(here=place)
    assert planned(of_images(address)).images.local == expected
    assert load_project({"study": "digits", "archives": {"digits": address}}).images.local == expected


RESULTS = [
    *("", ".", " ", "/", "/proc/x", "/sys/x", "/dev/x", "/dev/null/x", "a{b}", "{x", "a\nb", "a\0b", "\x1b[31m", "-x"),
    *("x" * 300, "x/" * 3000, "$UNSET", "${UNSET}/y", "$", "~nobody-at-all/x", "pipe/x", "http://host/x", "s3://b/x"),
    *(5, True, None, ["a"], {"a": "b"}),
]


@pytest.mark.parametrize("results", RESULTS)
def test_results_that_can_be_nowhere(results: Any) -> None:
    assert "results" in refused(TEXT, results=results)


@pytest.mark.parametrize(
    "results", ["$HERE/out", "${HERE}/out", "~/out", "a b/c", "J. Müller's/x", "./out", "/dev/shm/x"]
)
def test_results_that_can_be_somewhere(place: Path, results: str) -> None:
    made = planned(TEXT, results=results)
    assert made.folder == Path(expanded(results)) / "mine"
    assert made.tracking_uri == f"sqlite:///{expanded(results)}/mlflow.db"


def test_results_that_may_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in refused(TEXT)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "..yaml",
            "...yaml",
            "data.yaml",
            "DATA.yaml",
            "Pool.yaml",
            "mlflow.db.yaml",
            "MLFLOW.db-wal.yaml",
            "-x.yaml",
        ),
        *(
            "a{b}.yaml",
            " .yaml",
            "a\nb.yaml",
            "a\x1b.yaml",
            "*.yaml",
            ".hidden.yaml",
            "tail..yaml",
            f"{'x' * 240}.yaml",
        ),
    ],
)
def test_a_file_whose_name_no_results_can_have(name: str) -> None:
    assert "study" in refused(TEXT, name)


@pytest.mark.parametrize("name", ["small one.yaml", "größe.yml", "J. Müller's.YAML", "a,b=c.yaml", "x.json"])
def test_a_file_whose_name_results_can_have(name: str) -> None:
    assert planned(changed(), name).folder.name == Path(name).stem


@pytest.mark.parametrize(
    "study",
    [
        "/dev/zero",
        ".",
        "..",
        "nowhere.yaml",
        "",
        "\0",
        "a\0b.yaml",
        f"{'x' * 300}.yaml",
        "pipe",
        "$UNSET/x.yaml",
        "{a}.yaml",
    ],
)
def test_what_is_no_file_of_a_study(study: str) -> None:
    assert "study" in refused(study=study)


def test_a_study_at_home(place: Path) -> None:
    planned(TEXT)
    assert planned(study="~/mine.yaml").source == planned(study="$HERE/mine.yaml").source == place / "mine.yaml"


@pytest.mark.parametrize(
    ("dataset", "side", "classes"),
    [
        ("digits", 8, []),
        ("digits", 8, ["0"]),
        ("digits", 8, ["0", "0"]),
        ("digits", 8, ["0", ""]),
        ("digits", 8, ["0", "x"]),
        ("digits", 8, [0, 1]),
        ("cifar10", 32, ["cat", "dgo"]),
        ("cifar100", 32, ["apple", "beer"]),
        ("imagenette", 64, ["tench", "church"]),
        ("tiny-imagenet", 64, ["cat", "dog"]),
        ("birds", 32, ["a", "b\n"]),
        ("birds", 32, ["../a", "b"]),
    ],
)
def test_classes_that_there_cannot_be(dataset: str, side: int, classes: list[Any]) -> None:
    images = small_study()["dataset"] | {"name": dataset, "resolution": side, "classes": classes}
    assert "dataset.classes" in refused(changed(dataset=images))


def test_classes_with_commas_reach_the_command(place: Path, run_here: Callable[..., None]) -> None:
    names = ["tench, Tinca tinca", 'the "bonnet", poke bonnet', "-goldfish"]
    for number, name in enumerate([*names, "another"]):
        (place / "folder" / name).mkdir()
        for shade in range(5):
            Image.new("L", (8, 8), 40 * number + shade).save(place / "folder" / name / f"{shade}.png")
    images = planned(of_images("folder", classes=names)).images
    options = shlex.split(classes_option(images.dataset.classes or ()))
    run_here("prepare", "--archive", "folder", "--resolution", 8, "--out", "made", "--remember", "kept", *options)
    assert set(json.loads((place / "made" / "card.json").read_text())["classes"]) == set(names)
    assert (place / "kept").read_text() == "folder\n"


@pytest.mark.parametrize(
    "text",
    [
        changed(dataset__sha256="0" * 64),
        of_images("folder", sha256="0" * 64),
        of_images("http://host/x.tgz", sha256="0" * 63),
    ],
)
def test_a_checksum_of_nothing(text: str) -> None:
    assert "dataset.sha256" in refused(text)


@pytest.mark.parametrize(
    ("archives", "words"),
    [
        ({"cifar10:/path": ""}, "space after the colon"),
        ("cifar10:/path", "space after the colon"),
        (["cifar10"], "space after the colon"),
        ({"cifar1O": "/x"}, "called cifar10"),
        ({"ciffar10": "/x"}, "called cifar10"),
        ({"cifar1": "/x"}, "called cifar10"),
        ({"CIFAR_10": "/x"}, "called cifar10"),
        ({"cifar10": ""}, "archives.cifar10"),
        ({"cifar10": None}, "archives.cifar10"),
        ({"a b": "/x"}, "no dataset's name"),
    ],
)
def test_archives_that_name_no_copy(archives: Any, words: str) -> None:
    assert words in refused(study="cifar10-quick", archives=archives)


def test_a_copy_that_earlier_runs_read_is_read_again(place: Path) -> None:
    """Its path is kept, and named; nothing is downloaded where it is gone."""
    config = {"study": "cifar10-quick", "archives": {"cifar10": "folder"}}
    first = load_project(config).images
    assert (first.remembered, first.to_remember) == (None, Path("results/data/cifar10/archive.txt"))
    first.origin.parent.mkdir(parents=True)
    first.origin.write_text("folder\n")
    again = load_project({"study": "cifar10-quick"}).images
    assert (again.local, again.fetched, again.remembered) == ("folder", None, "folder")
    assert load_project(config).images.remembered is None
    (place / "folder").rename(place / "moved")
    message = refused(study="cifar10-quick")
    assert "folder: there is no such archive" in message
    assert str(first.origin) in message
    first.origin.unlink()
    assert load_project({"study": "cifar10-quick"}).images.fetched


URIS = [
    *("ftp://h/x", "http://", "http://host:99999", "http://[::1", "http://a b", "http://h\nx", "http://host:word", " "),
    *(
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a\0b.db",
        "sqlite:///$UNSET/x.db",
        "sqlite:///folder",
    ),
    *("sqlite:////proc/x.db", f"sqlite:///{'x' * 300}.db", "sqlite:///pipe/x.db", "sqlite:x.db", "./mlruns", "s3://b"),
    *("postgres://h/db", "postgresql+nothing://h/db", "mysql://h:99999/db", "javascript:x", 5, True, ["a"]),
    *(f"http://me:{SECRET}@h:99999", f"postgresql://me:{SECRET}@h:99999/x", f"postgresql://me:{SECRET}@[::1/x"),
    *(f"me:{SECRET}@host/db", f"postgresql:me:{SECRET}@host/db", f"http:/me:{SECRET}@host", f"no://me:{SECRET}@host"),
]


@pytest.mark.parametrize("uri", URIS)
def test_an_address_where_nothing_is_tracked(uri: Any) -> None:
    assert "tracking_uri" in refused(TEXT, tracking_uri=uri)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (False, ""),
        ("off", ""),
        (None, "sqlite:///results/mlflow.db"),
        ("sqlite:///~/x.db", "sqlite:///{here}/x.db"),
        ("sqlite:///$HERE/x.db", "sqlite:///{here}/x.db"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("postgresql://me:pa$$word@host:5432/db", "postgresql://me:pa$$word@host:5432/db"),
        ("postgresql:///db?host=/var/run", "postgresql:///db?host=/var/run"),
    ],
)
def test_an_address_where_runs_are_tracked(place: Path, uri: Any, found: str) -> None:
    assert planned(TEXT, tracking_uri=uri).tracking_uri == found.format(here=place)


def test_no_password_is_left_of_an_address() -> None:
    for address in (f"http://me:{SECRET}@h/x?{SECRET}", f"me:{SECRET}@h", f"a://b@c:{SECRET}@h", f"http:/x:{SECRET}@h"):
        assert SECRET not in without_secrets(address)


@pytest.fixture
def broken(place: Path) -> Iterator[list[str]]:
    """A command that fails as nobody thought of."""
    lines = ["from takeoff.common.commands import run_command", "def main():", "    raise KeyError('two\\nlines')"]
    (place / "broken.py").write_text("\n".join([*lines, "run_command(main)"]))
    return [sys.executable, str(place / "broken.py")]


@pytest.mark.parametrize(("variable", "traced"), [({}, False), ({"TAKEOFF_TRACEBACK": "1"}, True)])
def test_an_error_that_nobody_thought_of_is_a_line(broken: list[str], variable: dict[str, str], traced: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TAKEOFF")} | variable
    environment["PYTHONPATH"] = str(REPOSITORY / "scripts")
    done = subprocess.run(broken, env=environment, capture_output=True, text=True, check=False)
    *above, line = done.stderr.splitlines()
    assert (done.returncode, bool(above)) == (1, traced)
    assert line.startswith("error: ")
    for word in ("KeyError", "broken.py, line 3", "report", "TAKEOFF_TRACEBACK" if not traced else "above"):
        assert word in line
    assert ("Traceback" in done.stderr) == traced


@pytest.mark.parametrize(
    ("text", "words"), [("against: 2026-02-30", "looks like a date"), ("threads: yes", "threads: True")]
)
def test_snakemake_says_it_in_a_line_too(place: Path, text: str, words: str) -> None:
    (place / "config").mkdir()
    (place / "config" / "config.yaml").write_text(text)
    line = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "1", "--dry-run"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [one for one in done.stderr.splitlines() if "error" in one.lower()] == [done.stderr.splitlines()[-1]]
    assert words in done.stderr.splitlines()[-1]


def test_make_takes_archives() -> None:
    line = ["make", "-n", "-o", ".venv/ready", "plan", "STUDY=cifar10", "ARCHIVES=cifar10: /data/x.tgz"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "'archives={cifar10: /data/x.tgz}'" in done.stdout
