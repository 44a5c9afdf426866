"""Preparing: an archive that would write elsewhere, run something or fill the memory is refused."""

import bz2
import errno
import gzip
import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data import pickles
from takeoff.study.model import Dataset
from takeoff.workflow.images import ImageSource
from unit import image_archives as make
from unit.preparation import prepared, refused


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "train/../../x.png", "..\\x.png"])
@pytest.mark.parametrize("write", [make.write_tar, make.write_zip])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name, write):
    assert f"its member {name!r}" in refused(write(tmp_path / "x", make.folders() | {name: b"x"}), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = make.write_tar(tmp_path / "x.tar", make.folders(), "w")
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("train/a/9.png")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    assert "train/a/9.png' is a" in refused(archive, tmp_path)


def test_a_link_in_a_zip_is_refused(tmp_path):
    archive = make.write_zip(tmp_path / "x.zip", make.folders())
    with zipfile.ZipFile(archive, "a") as file:
        info = zipfile.ZipInfo("train/a/9.png")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert "is a link" in refused(archive, tmp_path)


def test_links_in_the_users_own_folder_are_followed(tmp_path):
    members = make.folders()
    folder = make.write_folder(tmp_path / "elsewhere", members)
    (tmp_path / "mine").mkdir()
    for split in ("train", "test"):
        (tmp_path / "mine" / split).symlink_to(folder / split)
    (folder / "train" / "round").symlink_to(tmp_path / "mine")
    card, *_ = prepared(make.write_zip(tmp_path / "x.zip", members), tmp_path)
    (folder / "train" / "round").unlink()
    assert prepared(tmp_path / "mine", tmp_path)[0]["digest"] == card["digest"]


class _Evil:
    def __reduce__(self):
        return os.system, ("touch HARM",)


@pytest.mark.parametrize("evil", [_Evil(), {"data": [_Evil()]}, {"data": io.StringIO}, {"data": np.load}])
def test_a_pickle_that_runs_something_is_refused(tmp_path, monkeypatch, evil):
    monkeypatch.chdir(tmp_path)
    members = make.cifar10(np.zeros((12, 32, 32, 3), np.uint8), [0, 1] * 6, ["plane", "cat"])
    members["cifar-10-batches-py/data_batch_3"] = pickle.dumps(evil)
    message = refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path)
    assert "data_batch_3: no CIFAR pickle (refused: it names" in message
    assert not (tmp_path / "HARM").exists()


def test_bytes_that_ask_for_another_codec_are_refused():
    attack = b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13tR."
    with pytest.raises(TakeoffError, match="codec 'rot13'"):
        pickles.load(attack, "batch")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("takeoff.data.archives.SMALL", 1 << 20)
    bomb = make.folders() | {"train/a/0.png": bytes(1 << 24)}
    assert "unpacks to more than" in refused(make.write_tar(tmp_path / "x.tgz", bomb), tmp_path)
    monkeypatch.setattr("takeoff.data.archives.MAX_MEMBER", 1000)
    large = make.folders() | {"train/a/0.png": bytes(1001)}
    assert "train/a/0.png is absurdly large, 1,001 bytes" in refused(
        make.write_tar(tmp_path / "y.tgz", large), tmp_path
    )


@pytest.mark.parametrize("kind", ["x.tgz", "x.tar.bz2", "folder"])
def test_a_bomb_behind_the_end_of_a_tar_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("takeoff.data.archives.MOST_PADDING", 1 << 22)
    packed = {"x.tgz": gzip.compress, "x.tar.bz2": bz2.compress, "folder": bytes}[kind]
    folder = tmp_path / "folder"
    folder.mkdir()
    for size, read in ((1 << 21, True), (1 << 25, False)):
        path = folder / "set.tar" if kind == "folder" else tmp_path / kind
        path.write_bytes(packed(make.tar_bytes(make.folders()) + bytes(size)))
        place = folder if kind == "folder" else path
        if read:
            assert prepared(place, tmp_path)[0]["images"] == {"train": 6, "test": 4}
        else:
            assert "follow the mark of its end" in refused(place, tmp_path)


@pytest.mark.parametrize("names", [["a", None], ["a", ["b"]], [1, 2]])
def test_classes_in_a_pickle_that_are_no_text_are_refused(tmp_path, names):
    members = make.cifar10(np.zeros((12, 32, 32, 3), np.uint8), [0, 1] * 6, ["a", "b"])
    members["cifar-10-batches-py/batches.meta"] = pickle.dumps({"label_names": names})
    assert "'label_names'" in refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path)


HEADERS = [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"S"]


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("size", [-1024, -1, 1 << 39, 1 << 63])
@pytest.mark.parametrize("packed", [False, True])
def test_absurd_sizes_in_a_header_are_refused_at_once(tmp_path, kind, size, packed):
    whole = make.tar_bytes(make.folders())
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    data = whole[:end] + make.header("train/a/9.png", size, kind) + whole[end:]
    (tmp_path / "x").write_bytes(gzip.compress(data, 1) if packed else data)
    assert "x: " in refused(tmp_path / "x", tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        {"size": "-1024"},
        {"size": "9" * 30},
        {"GNU.sparse.map": "x,y"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    ],
)
def test_absurd_words_in_a_header_are_refused_at_once(tmp_path, words):
    path = make.write_tar(tmp_path / "x.tar", make.folders(), "w")
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("train/a/9.png")
        info.pax_headers = words
        tar.addfile(info)
    assert "x.tar: " in refused(path, tmp_path)


@pytest.mark.parametrize("name", ["train/" + "a/" * 99 + "0.png", "train/" + "a" * 2000])
def test_absurd_names_are_refused(tmp_path, name):
    assert "has a name of more than" in refused(make.write_tar(tmp_path / "x.tgz", {name: b"x"}), tmp_path)


@pytest.mark.parametrize("kind", ["x.tgz", "x.zip", "folder"])
def test_very_many_empty_folders_are_refused_soon(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("takeoff.data.archives.MOST_HOLLOW", 10)
    many = {f"{i}/": b"" for i in range(400)}
    assert "folders and empty files" in refused(make.write(tmp_path / kind, make.folders() | many), tmp_path)


def test_backslashes_of_windows_are_slashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("birds\\train\\a\\"), b"")
        for name, data in make.folders("birds/").items():
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system = name.replace("/", "\\"), 0
            archive.writestr(info, data)
    card, *_ = prepared(make.write_zip(tmp_path / "y.zip", make.folders("birds/")), tmp_path)
    assert prepared(tmp_path / "x.zip", tmp_path)[0]["digest"] == card["digest"]
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as archive:
        archive.writestr("..\\..\\x.png", b"x")
    assert "outside" in refused(tmp_path / "x.zip", tmp_path)


@pytest.mark.parametrize("seed", range(24))
def test_damage_anywhere_is_read_rightly_or_named(tmp_path, seed):
    random = np.random.default_rng(seed)
    members = make.folders(train=2, tests=1)
    archive = make.write(tmp_path / ["x.tar", "x.tgz", "x.zip", "x.tar.xz"][seed % 4], members)
    data = bytearray(archive.read_bytes())
    for at in random.integers(0, len(data), [1, 3, 20][seed % 3]):
        data[at] = random.integers(0, 256)
    archive.write_bytes(data)
    try:
        words, count = "", sum(prepared(archive, tmp_path)[0]["images"].values())
    except TakeoffError as error:
        words, count = str(error), len(members)
    assert (words.isprintable(), count) == (True, len(members))


def test_what_of_a_folder_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = make.write_folder(tmp_path / "set", make.folders() | make.pictures("train/c/0.png", "test/c/1.png"))
    (folder / "train" / "a" / ".#0.png").symlink_to("me@host.1234")  # an editor's lock, which is litter
    (folder / "train" / "a" / "9.png").symlink_to("nowhere")
    assert f"{folder}/train/a/9.png: refused, a device or a link to nothing" in refused(folder, tmp_path)
    (folder / "train" / "a" / "9.png").unlink()
    scandir = os.scandir

    def closed(path):
        if os.fspath(path).endswith("/c"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        assert f"{folder}/test/c: cannot be read: Permission denied" in refused(folder, tmp_path)
    assert prepared(folder, tmp_path)[0]["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["x.tar", "folder"])
def test_a_file_whose_name_is_not_utf8_is_read(tmp_path, kind):
    data = next(iter(make.folders().values()))
    members = make.folders() | {"train/a/\udcff.png": data}
    card, *_ = prepared(make.write(tmp_path / kind, members), tmp_path)
    assert card["images"] == {"train": 7, "test": 4}
    message = refused(make.write(tmp_path / f"b{kind}", members | {"train/a/\udcff.png": b"x"}), tmp_path)
    assert "train/a/\\udcff.png: no image" in message


def test_what_of_a_folder_decides_whether_it_is_prepared_again(tmp_path):
    folder = make.write_folder(tmp_path / "set", make.folders())
    source = ImageSource(Dataset(name="mine", resolution=8, archive=str(folder)), {}, tmp_path)
    before = source.files()
    assert [name for name, *_ in before] == sorted(make.folders())
    make.write_folder(folder, {"train/a/Thumbs.db": b"x", ".DS_Store": b"x"})
    assert source.files() == before
    (folder / "train" / "a" / "9.png").symlink_to("nowhere")
    with pytest.raises(TakeoffError, match=r"9\.png: refused, a device or a link to nothing"):
        source.files()
