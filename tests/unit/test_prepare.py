"""Preparing: every layout, exact pixels, the same bytes each time, one clear line for what is wrong."""

import errno
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from safetensors.numpy import load_file
from sklearn.datasets import load_digits
from takeoff.data import decoding, pickles, sources, store
from takeoff.data.preparing import Request, prepare
from takeoff.errors import TakeoffError
from unit import image_archives as make

REPOSITORY = Path(__file__).parents[2]
NAMES = ["plane", "cat", "ant"]  # not in alphabetical order, which a meta file need not be


def run(*arguments):
    command = [sys.executable, REPOSITORY / "scripts" / "prepare.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def prepared(archive, tmp_path, resolution=8, **rest):
    """Card and both splits, as the library reads them."""
    out = tmp_path / "out"
    card = prepare(Request(archive, resolution, **rest), out)
    assert card == store.load_card(out)
    assert sorted(path.name for path in out.iterdir()) == [
        "card.json",
        "test.safetensors",
        "train.safetensors",
    ]
    return card, load_file(out / "train.safetensors"), load_file(out / "test.safetensors")


def refused(archive, tmp_path, resolution=8, **rest):
    """The one-line message, after checking that nothing was left."""
    out = tmp_path / "work" / "out"
    with pytest.raises(TakeoffError) as raised:
        prepare(Request(archive, resolution, **rest), out)
    assert not out.parent.exists() or list(out.parent.iterdir()) == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


# Layouts


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


@pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.zip", "folder"])
def test_every_kind_of_archive_gives_the_same(tmp_path, kind):
    members = make.folders() | {
        "__MACOSX/train/a/._0.png": b"x",
        "train/a/.DS_Store": b"x",
        "train/b/Thumbs.db": b"x",
    }
    if kind == "folder":
        archive = make.write_folder(tmp_path / kind, members)
    elif kind == "x.zip":
        archive = make.write_zip(tmp_path / kind, members)
    else:
        mode = {"tar": "w", "xz": "w:xz"}.get(kind.rpartition(".")[2], "w:gz")
        archive = make.write_tar(tmp_path / kind, members, mode)
    card, *_ = prepared(archive, tmp_path)
    digest = hashlib.sha256()
    for split in ("train", "test"):
        names = sorted(name for name in make.folders() if name.startswith(split))
        digest.update(b"".join(Image.open(io.BytesIO(members[name])).tobytes() for name in names))
        digest.update(np.array(["/b/" in name for name in names], "<i8").tobytes())
    assert card["digest"] == digest.hexdigest()
    assert card["archive"]["sha256"] == (
        None if kind == "folder" else hashlib.sha256(archive.read_bytes()).hexdigest()
    )


def test_without_a_test_split_the_same_part_of_each_class_is_held_out(tmp_path):
    members = {
        f"set/{c}/{i}.png": make.encoded(make.pixels(i + 50 * (c == "b"))) for c in "ab" for i in range(10)
    }
    card, train, test = prepared(make.write_tar(tmp_path / "x.tgz", members), tmp_path, test_fraction=0.3)
    assert card["images_per_class"] == {"train": [7, 7], "test": [3, 3]}
    assert any("held out" in note for note in card["notes"])
    both = {image.tobytes() for split in (train, test) for image in split["images"]}
    assert len(both) == 20
    again = make.write_zip(tmp_path / "y.zip", dict(reversed(members.items())))
    assert prepared(again, tmp_path, test_fraction=0.3)[0]["digest"] == card["digest"]


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_cifar10_pickles_keep_the_meta_files_order_and_every_pixel(tmp_path, protocol):
    images = np.stack([make.pixels(i, 32, 32) for i in range(36)])
    labels = [i % 3 for i in range(36)]
    archive = make.write_tar(
        tmp_path / "cifar-10-python.tar.gz", make.cifar10(images, labels, NAMES, protocol)
    )
    card, train, test = prepared(archive, tmp_path, 32, dataset="cifar10")
    np.testing.assert_array_equal(np.concatenate([train["images"], test["images"]]), images)
    assert [*train["labels"], *test["labels"]] == labels
    assert (card["classes"], card["title"], card["layout"]) == (NAMES, "CIFAR-10", "CIFAR pickles")
    assert card["notes"] == [
        "another archive than the published CIFAR-10",
        "classes, training and test images: 3, 30, 6; as published: 10, 50,000, 10,000",
    ]
    assert card["addresses"] == []
    chosen = prepared(archive, tmp_path, 16, classes=("ant", "plane"))
    assert chosen[0]["classes"] == ["plane", "ant"]
    assert chosen[1]["images"].shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(
        chosen[1]["images"][1], np.asarray(decoding.fit(Image.fromarray(images[2]), 16))
    )


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


def test_digits_are_scikit_learns(tmp_path):
    done = run("--dataset", "digits", "--resolution", "8", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    card = store.load_card(tmp_path / "out")
    train, test = (load_file(tmp_path / "out" / f"{split}.safetensors") for split in ("train", "test"))
    assert card["images"] == {"train": 1297, "test": 500}
    assert (train["images"].shape, card["channels"]) == ((1297, 8, 8, 1), 1)
    digits = load_digits()
    original = {
        (np.rint(x * 255 / 16).astype(np.uint8).tobytes(), y)
        for x, y in zip(digits.images, digits.target, strict=True)
    }
    found = {(x.tobytes(), y) for s in (train, test) for x, y in zip(s["images"], s["labels"], strict=True)}
    assert found == original
    assert min(card["images_per_class"]["test"]) >= 48


# Pixels


def test_other_shapes_are_resized_then_cropped_to_the_centre():
    row = np.linspace(0, 255, 200).astype(np.uint8)
    image = Image.fromarray(np.dstack([np.tile(row, (100, 1))] * 3))
    whole = np.asarray(image.resize((40, 20), Image.Resampling.BILINEAR))[:, 10:30]
    np.testing.assert_allclose(decoding.fit(image, 20).astype(int), whole, atol=1)


def test_an_image_is_turned_as_its_orientation_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = make.encoded(make.pixels(1), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decoding.decode(data, "x", 8, 3), expected)
    assert (expected != make.pixels(1)).any()


def test_decoding_a_large_jpeg_at_a_fraction_changes_little():
    smooth = Image.fromarray(make.pixels(3, 6, 8)).resize((800, 600), Image.Resampling.BICUBIC)
    data = make.encoded(smooth, "JPEG", quality=95)
    whole = decoding.fit(Image.open(io.BytesIO(data)).convert("RGB"), 32).astype(int)
    difference = np.abs(decoding.decode(data, "x", 32, 3) - whole)
    assert difference.mean() < 1
    assert difference.max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_kinds_of_pixels_become_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    data = make.encoded(Image.fromarray(make.pixels(4)).convert(mode), kind)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decoding.decode(data, "x", 8, 3), expected)


def test_one_channel_only_if_every_image_is_grey(tmp_path):
    grey = {f"train/{c}/{i}.png": make.encoded(make.pixels(i, channels=1)) for c in "ab" for i in range(4)}
    grey |= {f"test/{c}/0.png": make.encoded(make.pixels(9, channels=1)) for c in "ab"}
    card, train, _ = prepared(make.write_tar(tmp_path / "g.tgz", grey), tmp_path)
    assert card["channels"] == 1
    np.testing.assert_array_equal(train["images"][1, ..., 0], make.pixels(1, channels=1))
    mixed = grey | {"train/b/3.png": make.encoded(make.pixels(3))}
    card, train, _ = prepared(make.write_tar(tmp_path / "m.tgz", mixed), tmp_path)
    assert card["channels"] == 3
    np.testing.assert_array_equal(train["images"][7], make.pixels(3))
    np.testing.assert_array_equal(train["images"][1, ..., 2], make.pixels(1, channels=1))


def test_mean_and_deviation_are_those_of_the_training_images(tmp_path):
    card, train, _ = prepared(make.write_tar(tmp_path / "x.tgz", make.folders()), tmp_path)
    scaled = train["images"] / 255
    np.testing.assert_allclose(card["mean"], scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(card["std"], scaled.std(axis=(0, 1, 2)), rtol=1e-12)


def test_the_threads_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BATCH_IMAGES", 2)
    archive = make.write_tar(tmp_path / "x.tgz", make.folders(train=20, tests=9))
    for threads in (1, 7):
        prepare(Request(archive, 8, threads=threads), tmp_path / f"out{threads}")
    for name in ("train.safetensors", "test.safetensors", "card.json"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out7" / name).read_bytes()


def test_few_items_wait_for_a_thread():
    taken = []
    results = decoding.map_ahead(abs, (taken.append(i) or -i for i in range(100)), 2)
    assert next(results) == 0
    assert len(taken) <= 6
    assert list(results) == list(range(1, 100))


# What is wrong, in one line


def test_the_command_names_file_expected_and_got(tmp_path):
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    got = hashlib.sha256(archive.read_bytes()).hexdigest()
    for given, returncode in (("0" * 64, 1), (got.upper(), 0)):
        done = run("--archive", archive, "--sha256", given, "--resolution", "8", "--out", tmp_path / "out")
        assert done.returncode == returncode
    done = run("--archive", archive, "--sha256", "0" * 64, "--resolution", "8", "--out", tmp_path / "new")
    assert done.stderr == f"error: {archive}: wrong sha256: expected {'0' * 64}, got {got}\n"
    assert not (tmp_path / "new").exists()


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
    members = make.cifar10(np.zeros((12, 32, 32, 3), np.uint8), [0, 1] * 6, NAMES[:2])
    members["cifar-10-batches-py/data_batch_3"] = pickle.dumps(evil)
    message = refused(make.write_tar(tmp_path / "x.tgz", members), tmp_path)
    assert "data_batch_3: no CIFAR pickle (refused: it names" in message
    assert not (tmp_path / "HARM").exists()


def test_bytes_that_ask_for_another_codec_are_refused():
    attack = b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13tR."
    with pytest.raises(TakeoffError, match="codec 'rot13'"):
        pickles.load(attack, "batch")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train/a/0.png": b"no image"}, "train/a/0.png: no image; read are JPEG, PNG"),
        ({"train/a/0.png": b""}, "train/a/0.png: no image"),
        ({"train/a/x.txt": b"words"}, "train/a/x.txt is no image"),
        (
            {"test/c/0.png": make.encoded(make.pixels(1))},
            "no training images of 1 class(es) with test images: c",
        ),
        (
            {"train/c/0.png": make.encoded(make.pixels(1))},
            "no test images of 1 class(es) with training images: c",
        ),
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


def test_a_class_that_digits_lacks_is_named(tmp_path):
    done = run("--dataset", "digits", "--resolution", "8", "--classes", "0,99", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "digits: has no class '99'" in done.stderr
    done = run("--dataset", "digits", "--resolution", "8", "--classes", "0,7", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert json.loads((tmp_path / "out" / "card.json").read_text())["classes"] == ["0", "7"]


@pytest.mark.parametrize("kind", ["x.tar", "x.tgz", "x.tar.xz", "x.zip"])
def test_a_cut_off_archive_is_named(tmp_path, kind):
    mode = {"tar": "w", "xz": "w:xz"}.get(kind.rpartition(".")[2], "w:gz")
    write = make.write_zip if kind == "x.zip" else make.write_tar
    archive = write(tmp_path / kind, make.folders(), *([] if kind == "x.zip" else [mode]))
    archive.write_bytes(archive.read_bytes()[:1500])
    assert f"{archive}: " in (message := refused(archive, tmp_path))
    assert "damaged or cut off" in message


def test_no_archive_at_all(tmp_path):
    page = tmp_path / "x.tgz"
    page.write_text("<html>404</html>" * 99)
    assert "no archive; read are .tar, .tar.gz" in refused(page, tmp_path)
    assert "no such file or folder" in refused(tmp_path / "nowhere.tgz", tmp_path)
    assert "give --archive PATH" in refused(None, tmp_path)
    assert "--config 'archives={imagenet1k: PATH}'" in refused(None, tmp_path, dataset="imagenet1k")
    assert "did you mean digits?" in refused(None, tmp_path, dataset="digitz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("takeoff.data.archives.SMALL", 1 << 20)
    bomb = make.folders() | {"train/a/0.png": bytes(1 << 24)}
    assert "unpacks to more than" in refused(make.write_tar(tmp_path / "x.tgz", bomb), tmp_path)
    monkeypatch.setattr("takeoff.data.archives.MAX_MEMBER", 1000)
    large = make.folders() | {"train/a/0.png": bytes(1001)}
    assert "train/a/0.png is absurdly large, 1,001 bytes" in refused(
        make.write_tar(tmp_path / "y.tgz", large), tmp_path
    )


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


def test_a_full_disk_is_told_beforehand(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "no space left: 3,840 bytes are needed" in refused(
        make.write_tar(tmp_path / "x.tgz", make.folders(train=20, tests=10)), tmp_path
    )


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.SplitWriter, "put", full)
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    assert refused(archive, tmp_path).endswith("out: no space left on the disk")


# The store


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
        store.load_card(tmp_path / "out")


# Real archives


def test_the_tiny_imagenet_archive(tmp_path, archive):
    card, train, _ = prepared(archive("tiny-imagenet-10x32px.zip"), tmp_path, 32, dataset="tiny-imagenet")
    assert card["images"] == {"train": 5000, "test": 500}
    assert set(card["images_per_class"]["test"]) == {50}
    assert card["class_titles"][:2] == ["bullfrog, Rana catesbeiana", "Egyptian cat"]
    with zipfile.ZipFile(archive("tiny-imagenet-10x32px.zip")) as zipped:
        first = zipped.read("tiny-imagenet-200/train/n01641577/images/n01641577_0.JPEG")
    np.testing.assert_array_equal(
        train["images"][0], np.asarray(Image.open(io.BytesIO(first)).convert("RGB"))
    )


@pytest.mark.slow
def test_the_imagenette_archive(tmp_path, archive):
    card, *_ = prepared(archive("imagenette-64px.tgz"), tmp_path, 64, dataset="imagenette")
    assert card["images"] == {"train": 9469, "test": 3925}
    assert card["class_titles"][0] == "tench"


@pytest.mark.slow
def test_the_cifar10_archive_through_the_command(tmp_path, archive):
    given = "00a78acaf3d7c27307ba029958650e48cba76f3704c03e4cd1dd6bf77963ed47"
    done = run(
        "--archive", archive("cifar10-jpeg.tgz"), "--sha256", given, "--resolution", "32", "--out", tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["classes"] == [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    assert card["images_per_class"] == {"train": [5000] * 10, "test": [1000] * 10}
    assert card["digest"] == "e00b28a47d65123fee89ae47a62acc70fb6ccb9ce577b9cdfc3225ad1f402b1c"
