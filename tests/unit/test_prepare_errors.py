"""Preparing: one clear line for what is wrong with an archive or a request."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from takeoff.data.card import CARD, load_card
from unit import image_archives as make
from unit.preparation import prepared, refused


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
        ({"train/a/x.txt": b"words"}, "train/a/x.txt: no image by its name or its first bytes"),
        ({"test/c/0.png": make.encoded(make.pixels(1))}, "no training images of 1 class(es): c"),
        ({"train/c/0.png": make.encoded(make.pixels(1))}, "no test images of 1 class(es): c"),
        ({"train/c/": b""}, "the class folder train/c holds no images"),
        ({"train/a/0.png": make.encoded(Image.new("I;16", (8, 8)))}, "train/a/0.png: pixels of kind 'I;16'"),
        ({"train/a/0.png": make.encoded(Image.new("1", (12000, 8000)))}, "absurdly large, 12000×8000 pixels"),
        ({"train/a/0.png": make.encoded(Image.new("1", (20000, 9000)))}, "absurdly large"),
        ({"train/a/0.png": make.encoded(Image.new("1", (300_000, 8)))}, "300000×8 pixels; valid: at most 100 to 1"),
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
        (below("a", "b") | {"set/a/notes.txt": b"x"}, "set/a/notes.txt: no image"),
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
    assert "scikit-learn: no archive" in command.refused(*prepare, "--sha256", "0" * 64)
    command.done(*prepare, "--classes", "0,7")
    assert json.loads((tmp_path / "out" / "card.json").read_text())["classes"] == ["0", "7"]


@pytest.mark.parametrize("kind", ["x.tar", "x.tgz", "folder"])
@pytest.mark.parametrize("end", ["between", "last", "header", "padding"])
def test_a_tar_that_ends_early_is_named_wherever_that_is(tmp_path, kind, end):
    whole, block = make.tar_bytes(make.folders()), tarfile.BLOCKSIZE
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        seventh, last = tar.getmembers()[6], tar.getmembers()[-1]
    stop = last.offset_data + -(-last.size // block) * block
    ends = {"between": seventh.offset, "last": stop, "header": seventh.offset + 9, "padding": stop - 1}
    archive = tmp_path / kind
    if kind == "folder":
        archive.mkdir()
    cut = whole[: ends[end]]
    (archive / "set.tar" if kind == "folder" else archive).write_bytes(gzip.compress(cut) if kind == "x.tgz" else cut)
    assert "damaged or cut off" in refused(archive, tmp_path)


def test_several_tars_in_one_file_are_named(tmp_path):
    archive = make.write_tar(tmp_path / "x.tar", make.folders(), "w")
    archive.write_bytes(archive.read_bytes() + make.tar_bytes(make.pictures("train/a/9.png")))
    assert "several tars in one file" in refused(archive, tmp_path)
    make.write_tar(archive, make.folders(), "w")
    archive.write_bytes(archive.read_bytes() + b"no member" * 99)
    assert prepared(archive, tmp_path)[0]["images"] == {"train": 6, "test": 4}


@pytest.mark.parametrize("name", ["zz.zip", "LICENCE.docx"])
def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path, name):
    inner = make.write_zip(tmp_path / "inner.zip", make.folders(classes="xy")).read_bytes()
    archive = make.write_tar(tmp_path / "x.tar", make.folders() | {name: inner}, "w")
    assert prepared(archive, tmp_path)[0]["classes"] == ["a", "b"]


def test_what_gnu_tar_notes_of_itself_is_no_member(tmp_path):
    archive = make.write_tar(tmp_path / "x.tar", make.folders(), "w")
    archive.write_bytes(
        make.header("my label", 0, b"V") + make.header("train/", 512, b"D") + bytes(512) + archive.read_bytes()
    )
    assert prepared(archive, tmp_path)[0]["images"] == {"train": 6, "test": 4}


def test_a_text_is_no_damaged_image(tmp_path):
    members = make.folders() | {"notes.txt": b"P1 is the first part of the study"}
    assert prepared(make.write_tar(tmp_path / "x.tgz", members), tmp_path)[0]["images"] == {"train": 6, "test": 4}


def test_a_file_called_tar_that_is_none_is_named(tmp_path):
    folder = make.write_folder(tmp_path / "set", make.folders() | {"notes.tar": b"words"})
    message = refused(folder, tmp_path)
    assert f"{folder / 'notes.tar'}: damaged or cut off" in message
    assert "\\n" not in message


@pytest.mark.parametrize("kind", ["x.tar", "x.tgz", "x.tar.xz", "x.zip"])
def test_a_cut_off_archive_is_named(tmp_path, kind):
    archive = make.write(tmp_path / kind, make.folders())
    archive.write_bytes(archive.read_bytes()[:1500])
    assert f"{archive}: " in (message := refused(archive, tmp_path))
    assert "damaged or cut off" in message


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (9, "packed by Deflate64"),
        (93, "packed by Zstandard"),
        (99, "encrypted"),
        (255, "packed by method 255"),
        *((-flag, "encrypted") for flag in (0x1, 0x41, 0x2001)),
    ],
)
def test_a_zip_that_python_cannot_unpack_says_why(tmp_path, method, said):
    archive = make.with_method(make.write_zip(tmp_path / "x.zip", make.folders()), method)
    assert f"x.zip: cannot be read, its member train/a/0.png is {said}; unpack it" in refused(archive, tmp_path)


def test_all_damaged_files_are_named_at_once_and_can_be_left_out(tmp_path, command):
    whole = make.pictures("set/a/{20}.jpg", "set/b/{20}.jpg")
    cut = make.encoded(make.pixels(1, 64, 64), "JPEG")[:2000]
    damaged = {f"set/{c}/{i}.jpg": b"" if i else cut for c in "ab" for i in range(6)}
    folder = make.write_folder(tmp_path / "folder", whole | damaged)
    message = refused(folder, tmp_path)
    assert "12 files are damaged or no images: set/a/0.jpg: a damaged or cut-off image" in message
    assert "set/a/1.jpg, set/a/2.jpg, set/a/3.jpg, set/a/4.jpg, set/a/5.jpg: no image; read are JPEG" in message
    assert "set/b/3.jpg: no image; read are JPEG, PNG, BMP, GIF, TIFF, WEBP, PPM; and 2 files more; valid:" in message
    make.write_folder(folder, {"set/a/labels.txt": b"words", "set/a/more.txt": b"words"})
    assert "2 files are damaged or no images: set/a/labels.txt, set/a/more.txt: no image" in refused(folder, tmp_path)
    prepare = ("prepare", "--archive", folder, "--resolution", "8", "--out", tmp_path / "out")
    assert "note: 14 damaged files were left out: set/a/0.jpg," in command.done(*prepare, "--leave-out-damaged").stdout
    card = load_card(tmp_path / "out" / CARD)
    assert (card["left_out"], card.images("train") + card.images("test")) == (14, 28)


def test_a_class_that_is_damaged_throughout_is_named(tmp_path):
    members = make.folders() | {f"train/a/{i}.png": b"" for i in range(3)}
    message = refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path, leave_out_damaged=True)
    assert "no training images of 1 class(es): a" in message


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\u202e", "a\udcff"])
def test_a_class_whose_name_cannot_be_printed_is_refused(tmp_path, name):
    members = {path.replace("/a/", f"/{name}/"): data for path, data in make.folders().items()}
    assert refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path).isprintable()


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


def test_what_is_no_archive_is_not_read(tmp_path):
    (tmp_path / "empty.tar").touch()
    os.mkfifo(tmp_path / "pipe.tar")
    for path in (Path("/dev/zero"), Path("/dev/null"), tmp_path / "pipe.tar", tmp_path / "empty.tar"):
        assert f"{path}: holds nothing to read; valid: an archive or a folder" in refused(path, tmp_path)


def test_nothing_is_written_where_it_cannot_go(tmp_path, command):
    images = make.write_folder(tmp_path / "images", make.folders())
    file, taken = tmp_path / "file", tmp_path / "taken"
    file.write_text("mine")
    (taken / CARD).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    prepare = ("prepare", "--archive", images, "--resolution", 8)
    for out, words in (
        (images, "the folder of images; valid: a folder outside it"),
        (images / "out", "the folder of images; valid: a folder outside it"),
        (file, f"{file} is a file; valid: a folder"),
        (file / "out", f"{file} is a file; valid: a folder"),
        (taken, f"{CARD}: is a folder; valid: "),
    ):
        assert f"{out}" in (message := command.refused(*prepare, "--out", out))
        assert words in message
    assert "--classes ,: no class; valid: " in command.refused(*prepare, "--classes", ",", "--out", tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before
