"""Preparing: one clear line for what is wrong with an archive or a request."""

import hashlib
import json

import pytest
from PIL import Image
from unit import image_archives as make
from unit.preparation import refused


def test_the_command_names_file_expected_and_got(tmp_path, command):
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    got = hashlib.sha256(archive.read_bytes()).hexdigest()
    prepare = ("prepare", "--archive", archive, "--resolution", "8")
    message = command.refused(*prepare, "--sha256", "0" * 64, "--out", tmp_path / "out")
    assert f"{archive}: wrong sha256: expected {'0' * 64}, got {got}" in message
    assert not (tmp_path / "out").exists()
    command.done(*prepare, "--sha256", got.upper(), "--out", tmp_path / "out")


def below(*folders: str) -> dict[str, bytes]:
    """Two images in each of these folders of a set."""
    return {f"set/{f}/{i}.png": make.encoded(make.pixels(i)) for f in folders for i in range(2)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train/a/0.png": b"no image"}, "train/a/0.png: no image; read are JPEG, PNG"),
        ({"train/a/0.png": b""}, "train/a/0.png: no image"),
        ({"train/a/x.txt": b"words"}, "train/a/x.txt is no image"),
        ({"test/c/0.png": make.encoded(make.pixels(1))}, "no training images of 1 class(es): c"),
        ({"train/c/0.png": make.encoded(make.pixels(1))}, "no test images of 1 class(es): c"),
        ({"train/c/": b""}, "the class folder train/c holds no images"),
        ({"train/a/0.png": make.encoded(Image.new("I;16", (8, 8)))}, "train/a/0.png: pixels of kind 'I;16'"),
        ({"train/a/0.png": make.encoded(Image.new("1", (12000, 8000)))}, "absurdly large, 12000×8000 pixels"),
        ({"train/a/0.png": make.encoded(Image.new("1", (20000, 9000)))}, "absurdly large"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_does_not_fit_is_named(tmp_path, change, said):
    assert said in refused(make.write_tar(tmp_path / "x.tgz", make.folders() | change), tmp_path)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "holds no files"),
        ({".DS_Store": b"x"}, "holds no files"),
        (
            {"a.csv": b"x", "b/c.txt": b"y"},
            "unknown layout (at the top: a.csv, b); read are the CIFAR pickles, train/CLASS",
        ),
        (make.folders(classes="a"), "holds one class, a"),
        (below("a", "b") | {"set/a/notes.txt": b"x"}, "set/a/notes.txt is no image; read are .jpg"),
        (below("a", "b") | {"set/c/": b""}, "the class folder set/c holds no images"),
        (
            below("learn/a", "learn/b", "check/a", "check/b"),
            "check, learn hold the same folders, a, b: if those are classes, call the ones above train and test",
        ),
    ],
)
def test_archives_without_a_layout(tmp_path, members, said):
    assert said in refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_cut_off_image_is_named(tmp_path, kind):
    whole = make.encoded(make.pixels(1, 64, 64), kind)
    archive = make.write_tar(tmp_path / "x.tgz", make.folders() | {"train/a/0.png": whole[: len(whole) // 2]})
    assert "train/a/0.png: a damaged or cut-off image" in refused(archive, tmp_path)


def test_a_gzip_whose_checksum_is_wrong_is_named(tmp_path):
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    whole = bytearray(archive.read_bytes())
    whole[-8] ^= 1  # of the checksum that gzip ends with
    archive.write_bytes(whole)
    assert "damaged or cut off" in refused(archive, tmp_path)


def test_a_class_that_digits_lacks_is_named(tmp_path, command):
    prepare = ("prepare", "--dataset", "digits", "--resolution", "8", "--out", tmp_path / "out")
    assert "digits: has no class '99'" in command.refused(*prepare, "--classes", "0,99")
    command.done(*prepare, "--classes", "0,7")
    assert json.loads((tmp_path / "out" / "card.json").read_text())["classes"] == ["0", "7"]


@pytest.mark.parametrize("kind", ["x.tar", "x.tgz", "x.tar.xz", "x.zip"])
def test_a_cut_off_archive_is_named(tmp_path, kind):
    archive = make.write(tmp_path / kind, make.folders())
    archive.write_bytes(archive.read_bytes()[:1500])
    assert f"{archive}: " in (message := refused(archive, tmp_path))
    assert "damaged or cut off" in message


def test_a_zip_that_python_cannot_unpack_is_named(tmp_path):
    archive = make.write_zip(tmp_path / "x.zip", make.folders())
    data = archive.read_bytes()
    for start, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # deflate64, in both headers of the first file
        at = data.index(start) + place
        data = data[:at] + b"\x09\x00" + data[at + 2 :]
    archive.write_bytes(data)
    assert "x.zip: cannot be read" in refused(archive, tmp_path)


def test_no_archive_at_all(tmp_path):
    page = tmp_path / "x.tgz"
    page.write_text("<html>404</html>" * 99)
    assert "no archive, or damaged or cut off; read are .tar, .tar.gz" in refused(page, tmp_path)
    assert "no such file or folder" in refused(tmp_path / "nowhere.tgz", tmp_path)
    assert "give --archive PATH" in refused(None, tmp_path)
    assert "--config 'archives={imagenet1k: PATH}'" in refused(None, tmp_path, dataset="imagenet1k")
    assert "did you mean digits?" in refused(None, tmp_path, dataset="digitz")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ({"resolution": 0}, "valid are 4 to 1024 pixels"),
        ({"resolution": 5000}, "valid are 4 to 1024 pixels"),
        ({"test_fraction": 1.0}, "between 0 and 1"),
        ({"classes": ("a", "aa")}, "has no class 'aa'; did you mean a? Valid: a, b"),
        ({"sha256": "12"}, "wrong sha256: expected 12, got "),
    ],
)
def test_requests_that_make_no_sense(tmp_path, rest, said):
    assert said in refused(make.write_tar(tmp_path / "x.tgz", make.folders()), tmp_path, **rest)
