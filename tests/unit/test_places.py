"""Paths, addresses, names and classes that a study or the configuration states: what can never work is refused."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import small_study
from PIL import Image
from takeoff.common.addresses import expanded, without_secrets
from takeoff.workflow.project import load_project
from takeoff.workflow.wiring import classes_option
from unit.planned_studies import SECRET, TEXT, changed, of_images, planned, refused, working_directory


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    return working_directory(tmp_path, monkeypatch)


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
    *(
        "..",
        "../..",
        "~",
        "config",
        "./scripts/x",
        "tests/../workflow",
        ".git",
        ".snakemake/x",
    ),  # where files of other kinds lie
    *("what?", "a*b", "x<y", 'a"b'),  # an address of a store would end at the question mark
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
    for address in (f"https://me:pa${SECRET}@host/x", f"https://me:{SECRET}$@host/x"):
        with pytest.raises(ValueError, match=r"https://host/x: ") as raised:
            expanded(address)
        assert SECRET not in str(raised.value)
    for address in (
        f"http://me:{SECRET}@h/x?{SECRET}",
        f"me:{SECRET}@h",
        f"a://b@c:{SECRET}@h",
        f"http:/x:{SECRET}@h",
        f"https:///a:{SECRET}@h/x",
    ):
        assert SECRET not in without_secrets(address)
