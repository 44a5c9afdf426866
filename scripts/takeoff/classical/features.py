"""From images to what a learner gets: features by name, fitted on a run's training images alone, each once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

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
AXES_IMAGES = 10_000
"""Training images that the principal axes are taken from, at most: more than there are features of any kind."""
TINY = 1e-6


@dataclass(frozen=True)
class RunFeatures:
    """What a learner gets for one split: training, validation and, of a final run, test images."""

    train: np.ndarray
    """N × D float32, as the labels beside it; mirrored copies last."""
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    test: np.ndarray | None
    seconds: float
    """Time that the training images took: fitting, encoding, components."""
    notes: list[str]
    """How large the features are, and whether there are mirrored copies."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (self.train, self.validation, self.test) if part is not None)


@dataclass
class Workshop:
    """Computes features, and remembers those that another arm of the job will need."""

    data: "Prepared"
    mirrored: bool = False
    """Whether learners get a mirrored copy of each training image, too."""
    large: bool = False
    """Whether the study is so large that k-means gets as many centroids and patches as Coates 2011."""
    _runs: dict[tuple[str, int | None, int, bool], RunFeatures] = field(default_factory=dict)

    def features(self, name: Features, samples: int | None, seed: int, final: bool) -> RunFeatures:
        """The features of a run's images; of the test images only where it is `final`.

        A `TakeoffError` says where the dataset has too few images.
        """
        key = (name, samples, seed, final)
        if key not in self._runs:
            while self._runs and sum(run.size for run in self._runs.values()) > KEPT_BYTES:
                del self._runs[next(iter(self._runs))]  # the oldest, before a new one takes memory
            self._runs[key] = self._made(name, samples, seed, final)
        return self._runs[key]

    def _made(self, name: str, samples: int | None, seed: int, final: bool) -> RunFeatures:
        data = self.data
        training, validation = data.split(samples, seed)
        generator = np.random.default_rng(entropy(seed, f"features {name}"))
        started = time.perf_counter()
        # Below 0, as −1 − i, stands the mirrored copy of image i.
        shown = np.concatenate([training, ~training]) if self.mirrored else training
        if name in FITTED:
            most = max(1, FITTING_BYTES // data.images[0].nbytes)
            how = {"large": self.large} if name == "kmeans" else {}
            encoder, notes = FITTED[name](np.asarray(data.images[training[:most]]), generator, **how)
        else:
            encoder, notes = FIXED[name], []
        raw = np.concatenate([found for _, found in _encoded(encoder, data.images, shown[:AXES_IMAGES])])
        reduce, more = fit_reduction(raw, name in EACH)
        first = reduce(raw)

        def reduced(images: np.ndarray, positions: np.ndarray, known: np.ndarray = first[:0]) -> np.ndarray:
            # Piece by piece into its place: there is memory for the features of all images once.
            result = np.empty((len(positions), first.shape[1]), dtype=np.float32)
            result[: len(known)] = known
            for rows, found in _encoded(encoder, images, positions[len(known) :]):
                result[len(known) :][rows] = reduce(found)
            return result

        train = reduced(data.images, shown, first)
        return RunFeatures(
            seconds=time.perf_counter() - started,
            train=train,
            train_labels=np.resize(data.labels[training], len(shown)),
            validation=reduced(data.images, validation),
            validation_labels=data.labels[validation],
            test=reduced(data.test_images, np.arange(len(data.test_labels))) if final else None,
            notes=notes + more + ["a mirrored copy of each training image"] * self.mirrored,
        )


def _encoded(encoder: Encoder, images: np.ndarray, positions: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The features of the images at `positions`, in pieces: which of them, and N × D float32."""
    size = max(1, min(500, PIXELS_AT_ONCE // images.shape[1] ** 2))
    for start in range(0, len(positions), size):
        rows = slice(start, start + size)
        mirrored = positions[rows] < 0
        chunk = np.array(images[np.where(mirrored, ~positions[rows], positions[rows])])
        chunk[mirrored] = chunk[mirrored, :, ::-1]
        yield rows, encoder(chunk).astype(np.float32, copy=False)


def fit_reduction(features: np.ndarray, each: bool) -> Learned:
    """Learn means, scales and principal axes from training images' features, N × D: the function that turns features
    into what a learner gets, and how many these are.

    Each feature gets unit variance of its own, as Coates 2011 has it, or all get one scale. A learner gets them along
    all axes on which they vary, float32, the greatest variance first, of variance 1 in all over the training images:
    a rotation, which keeps every distance and lets solvers converge soon. Axes are not whitened: that makes noise as
    loud as what varies most, and cost one to two points.
    """
    mean = features.mean(axis=0)
    deviation = np.maximum(features.std(axis=0), TINY) if each else np.ones_like(mean)
    centred = (features - mean) / deviation
    wide = len(centred) < centred.shape[1]
    # Of few images the axes come from their products with each other, which are fewer than features' with features.
    variances, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    # These lose what is too small to tell from rounding.
    kept = np.flatnonzero(variances >= (max(TINY * variances[-1], TINY) if wide else 0))[::-1]
    vectors = vectors[:, kept]
    axes = centred.T @ (vectors / np.sqrt(variances[kept])) if wide else vectors
    turned = axes / np.sqrt(max(TINY, variances[kept].sum() / len(centred)))

    def reduce(values: np.ndarray) -> np.ndarray:
        return np.asarray((values - mean) / deviation @ turned, dtype=np.float32)

    return reduce, [f"{len(kept)} principal axes of {len(mean)} features"]
