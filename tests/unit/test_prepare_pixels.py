"""Preparing: exact pixels of every kind and shape of image, whatever the threads."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from takeoff.data import decoding, preparing
from takeoff.data.preparing import Request, prepare
from unit import image_archives as make
from unit.preparation import prepared


@pytest.mark.parametrize("shape", [(99, 200, 3), (64, 37, 3), (40, 40)])
def test_other_shapes_are_resized_then_cropped_as_torchvision_does(shape):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    short = min(image.size)
    whole = image.resize([int(20 * side / short) for side in image.size], Image.Resampling.BILINEAR)
    left, top = (round((side - 20) / 2) for side in whole.size)
    expected = np.asarray(whole)[top : top + 20, left : left + 20].reshape(20, 20, -1)
    np.testing.assert_array_equal(decoding.fit(image, 20), expected)


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


def test_the_threads_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "BATCH_IMAGES", 2)
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
