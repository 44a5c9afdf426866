"""From images to what a learner gets: features by name, fitted on a run's training images alone, each once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

from takeoff.classical.fisher import fit_fisher
from takeoff.classical.gradients import hog
from takeoff.classical.kmeans import Encoder, Learned, fit_kmeans, shrunk
from takeoff.common.randomness import entropy
from takeoff.study.arms import Features

if TYPE_CHECKING:
    from takeoff.data.prepared import Prepared

PIXELS_SIDE = 32
"""Pixels are features at this side at most: larger images are averaged down to it."""


def pixels(images: np.ndarray) -> np.ndarray:
    """The pixels in [0, 1], N × (h · w · C) float32, of images (N × H × W × C uint8) brought to 32 px where they are
    larger.
    """
    small = shrunk(images, PIXELS_SIDE)
    return small.reshape(len(images), -1).astype(np.float32) / 255


FIXED: dict[str, Encoder] = {"pixels": pixels, "hog": hog}
"""Features that learn nothing from images."""
FITTED: dict[str, Callable[..., Learned]] = {"kmeans": fit_kmeans, "fisher": fit_fisher}
"""Features that learn from the run's training images."""
EACH = {"kmeans"}
"""Features of which each gets unit variance; of the others, all have one scale."""

PIXELS_AT_ONCE = 250 * 64 * 64
"""Pixels of the images that are encoded together, so that memory stays small; at most 500 images."""
FITTING_BYTES = 400 * 2**20
"""Images that are read for fitting, at most."""
KEPT_BYTES = 800 * 2**20
"""Runs' features that are remembered, at most."""
COMPONENTS = 384
"""Features that a learner gets at most. More changed validation accuracy on CIFAR-10 by about half a point."""
REDUCTION_IMAGES = 10_000
"""Training images that the components are taken from, at most: the first, which hold the classes in their shares."""
TINY = 1e-6


@dataclass(frozen=True)
class RunFeatures:
    """What a learner gets for one split: training, validation and, of a final run, test images."""

    train: np.ndarray
    """N × D float32, as the labels beside it."""
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    test: np.ndarray | None
    seconds: float
    """Time that the training images took: fitting, encoding, components."""
    notes: list[str]
    """What was made smaller than usual, and how many components there are."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (self.train, self.validation, self.test) if part is not None)


@dataclass
class Workshop:
    """Computes features, and remembers those that another arm of the job will need."""

    data: "Prepared"
    _runs: dict[tuple[str, int | None, int, bool], RunFeatures] = field(default_factory=dict)

    def features(self, name: Features, samples: int | None, seed: int, final: bool) -> RunFeatures:
        """The features of a run's images; of the test images only where it is `final`.

        A `TakeoffError` says where the dataset has too few images.
        """
        key = (name, samples, seed, final)
        if key not in self._runs:
            self._runs[key] = self._made(name, samples, seed, final)
            while len(self._runs) > 1 and sum(run.size for run in self._runs.values()) > KEPT_BYTES:
                del self._runs[next(iter(self._runs))]  # the oldest
        return self._runs[key]

    def _made(self, name: str, samples: int | None, seed: int, final: bool) -> RunFeatures:
        data = self.data
        training, validation = data.split(samples, seed)
        generator = np.random.default_rng(entropy(seed, f"features {name}"))
        started = time.perf_counter()
        if name in FITTED:
            most = max(1, FITTING_BYTES // data.images[0].nbytes)
            encoder, notes = FITTED[name](np.asarray(data.images[training[:most]]), generator)
        else:
            encoder, notes = FIXED[name], []
        raw = np.concatenate(list(_encoded(encoder, data.images, training[:REDUCTION_IMAGES])))
        reduce, more = fit_reduction(raw, name in EACH, generator)
        del raw

        def reduced(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
            # Piece by piece: all images with all their features would not fit in memory.
            return np.concatenate([reduce(chunk) for chunk in _encoded(encoder, images, positions)])

        train = reduced(data.images, training)
        return RunFeatures(
            seconds=time.perf_counter() - started,
            train=train,
            train_labels=data.labels[training],
            validation=reduced(data.images, validation),
            validation_labels=data.labels[validation],
            test=reduced(data.test_images, np.arange(len(data.test_labels))) if final else None,
            notes=notes + more,
        )


def _encoded(encoder: Encoder, images: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
    """The features of the images at `positions`, in pieces, N × D float32."""
    size = max(1, min(500, PIXELS_AT_ONCE // images.shape[1] ** 2))
    for start in range(0, len(positions), size):
        chunk = positions[start : start + size]
        yield encoder(np.asarray(images[chunk])).astype(np.float32, copy=False)


def fit_reduction(features: np.ndarray, each: bool, generator: np.random.Generator) -> Learned:
    """Learn means, scales and components from training images' features, N × D: the function that turns features into
    what a learner gets, and what was made smaller.

    Each feature gets unit variance of its own, as Coates 2011 has it, or all get one scale. A learner gets at most
    `COMPONENTS` of them, float32, of variance 1 on average over the training images. Components are not whitened: that
    makes noise as loud as what varies most, and cost one to two points.
    """
    mean = features.mean(axis=0)
    deviation = features.std(axis=0) if each else np.ones_like(mean)
    deviation[deviation < TINY] = 1
    centred = (features - mean) / deviation
    size = centred.shape[1]
    notes: list[str] = []
    model = None
    if size > COMPONENTS:
        number = max(1, min(COMPONENTS, len(centred) - 1))
        # Randomised where far fewer components than images and features are wanted (Halko et al. 2011).
        solver = "randomized" if number < 0.8 * min(centred.shape) else "full"
        state = int(generator.integers(2**31))
        model = PCA(number, svd_solver=solver, iterated_power=2, random_state=state).fit(centred)
        centred = model.transform(centred)
        few = f", all that {len(centred)} images give" if number < COMPONENTS else ""
        notes = [f"{number} principal components of {size} features{few}"]
    scale = max(TINY, float(np.sqrt(centred.var(axis=0).mean())))

    def reduce(values: np.ndarray) -> np.ndarray:
        normalised = (values - mean) / deviation
        return ((normalised if model is None else model.transform(normalised)) / scale).astype(np.float32)

    return reduce, notes
