"""The store of prepared data: read in place, damage named, and nothing left where the disk is full."""

import errno
import shutil

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data import preparing, store
from takeoff.data.card import CARD, Card, load_card
from unit import image_archives as make
from unit.preparation import prepared, refused


def test_a_split_is_read_in_place_and_writing_to_it_changes_no_file(tmp_path):
    _, train, _ = prepared(make.write_tar(tmp_path / "x.tgz", make.folders()), tmp_path)
    path = tmp_path / "out" / "train.safetensors"
    before = path.read_bytes()
    images, labels = store.load_split(path)
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, train["images"])
    np.testing.assert_array_equal(labels, train["labels"])
    images[:] = 0
    assert path.read_bytes() == before


def test_missing_and_damaged_files_are_named(tmp_path):
    prepared(make.write_tar(tmp_path / "x.tgz", make.folders()), tmp_path)
    path = tmp_path / "out" / "train.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TakeoffError, match=r"train\.safetensors: damaged .*prepare the data again"):
        store.load_split(path)
    with pytest.raises(TakeoffError, match=r"valid\.safetensors: no such file"):
        store.load_split(tmp_path / "out" / "valid.safetensors")
    (tmp_path / "out" / "card.json").write_text("{")
    with pytest.raises(TakeoffError, match=r"card\.json: damaged"):
        load_card(tmp_path / "out" / CARD)


@pytest.mark.parametrize(
    ("card", "words"),
    [("[]", "lacks classes, mean"), ('{"classes": []}', "lacks mean"), ("3", "damaged"), (None, "no such file")],
)
def test_a_card_that_is_no_use(tmp_path, card, words):
    if card is not None:
        (tmp_path / CARD).write_text(card)
    with pytest.raises(TakeoffError, match=rf"card\.json: {words}"):
        load_card(tmp_path / CARD, "classes", "mean")


def test_a_card_is_read_by_its_keys(tmp_path):
    card, train, _ = prepared(make.write_tar(tmp_path / "x.tgz", make.folders()), tmp_path)
    assert (card.images("train"), card.images("test")) == (6, 4)
    assert (card.images_per_class("train"), card.images_per_class("test")) == ([3, 3], [2, 2])
    assert (card.classes, card.channels, card.resolution, len(card.digest)) == (["a", "b"], 3, 8, 64)
    np.testing.assert_allclose(card.mean, (train["images"] / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(card.std, (train["images"] / 255).std((0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize("counts", [None, {}, {"test": []}, {"test": [1, "2"]}, {"test": {"a": 1}}, [5]])
def test_a_card_without_counts_names_the_key(counts):
    with pytest.raises(TakeoffError, match=r"^card\.json: images_per_class\.test is missing or wrong"):
        Card({"images_per_class": counts}).images_per_class("test")


def test_a_full_disk_is_refused_beforehand(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "no space left: 3,840 bytes are needed" in refused(
        make.write_tar(tmp_path / "x.tgz", make.folders(train=20, tests=10)), tmp_path
    )


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(preparing, "split_writer", full)
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    assert refused(archive, tmp_path).endswith("out: no space left on the disk")
