"""Preparing: an archive that would write elsewhere, run something or fill the memory is refused."""

import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data import pickles
from unit import image_archives as make
from unit.preparation import prepared, refused


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "train/../../x.png", "train\\a\\x.png"])
@pytest.mark.parametrize("write", [make.write_tar, make.write_zip])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name, write):
    assert "outside" in refused(write(tmp_path / "x", make.folders() | {name: b"x"}), tmp_path)


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
