"""From images to what a learner gets: features by name, fitted on a run's training images alone, each once."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from takeoff.classical.fisher import fit_fisher
from takeoff.classical.gradients import hog
from takeoff.classical.images import Images
from takeoff.classical.kmeans import fit_kmeans
from takeoff.classical.pixels import pixels
from takeoff.classical.reduction import IMAGES as REDUCTION_IMAGES
from takeoff.classical.reduction import fit_reduction
from takeoff.randomness import entropy
from takeoff.study.arms import Features

Encoder = Callable[[np.ndarray], np.ndarray]
"""From N × H × W × C uint8 to N × D float32."""

FIXED: dict[str, Encoder] = {"pixels": pixels, "hog": hog}
"""Features that learn nothing from images."""
FITTED: dict[str, Callable[[np.ndarray, np.random.Generator], tuple[Encoder, list[str]]]] = {
    "kmeans": fit_kmeans,
    "fisher": fit_fisher,
}
"""Features that learn from the run's training images."""
EACH = {"kmeans"}
"""Features of which each gets unit variance; of the others, all have one scale."""

PIXELS_AT_ONCE = 250 * 64 * 64
"""Pixels of the images that are encoded together, so that memory stays small; at most 500 images."""
FITTING_BYTES = 400 * 2**20
"""Images that are read for fitting, at most."""
KEPT_BYTES = 800 * 2**20
"""What is remembered, at most: of features that learn nothing, and again of runs' features."""


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
    """Computes features, and remembers those that another arm or seed of the job will ask for."""

    data: Images
    _fixed: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _runs: OrderedDict[tuple[str, int | None, int, bool], RunFeatures] = field(default_factory=OrderedDict)

    def features(self, name: Features, samples: int | None, seed: int, final: bool) -> RunFeatures:
        """The features of a run's images; of the test images only where it is `final`.

        Raises:
            TakeoffError: the dataset has too few images.

        """
        key = (name, samples, seed, final)
        if key not in self._runs:
            self._runs[key] = self._made(name, samples, seed, final)
            while len(self._runs) > 1 and sum(run.size for run in self._runs.values()) > KEPT_BYTES:
                self._runs.popitem(last=False)
        self._runs.move_to_end(key)
        return self._runs[key]

    def _made(self, name: str, samples: int | None, seed: int, final: bool) -> RunFeatures:
        data = self.data
        training, validation = data.split(samples, seed)
        generator = np.random.default_rng(entropy(seed, f"features {name}"))
        started = time.perf_counter()
        encoder = FIXED.get(name)
        notes: list[str] = []
        if encoder is None:
            most = max(1, FITTING_BYTES // data.images[0].nbytes)
            encoder, notes = FITTED[name](np.asarray(data.images[training[:most]]), generator)
        raw = self._encoded(name, encoder, "train", training[:REDUCTION_IMAGES])
        reduce, more = fit_reduction(raw, name in EACH, generator)
        del raw

        def reduced(part: str, positions: np.ndarray) -> np.ndarray:
            # Piece by piece: all images with all their features would not fit in memory.
            chunks = self._chunks(positions)
            return np.concatenate([reduce(self._encoded(name, encoder, part, chunk)) for chunk in chunks])

        train = reduced("train", training)
        seconds = time.perf_counter() - started
        others = [reduced("train", validation)]
        if final:
            others.append(reduced("test", np.arange(len(data.test_labels))))
        return RunFeatures(
            train=train,
            train_labels=data.labels[training],
            validation=others[0],
            validation_labels=data.labels[validation],
            test=others[1] if final else None,
            seconds=seconds,
            notes=notes + more,
        )

    def _encoded(self, name: str, encoder: Encoder, part: str, positions: np.ndarray) -> np.ndarray:
        """The features of the images at `positions`, N × D float32, from memory where they learn nothing."""
        images = self.data.images if part == "train" else self.data.test_images
        if name not in FIXED:
            return self._computed(encoder, images, positions)
        if (name, part) not in self._fixed:
            width = encoder(np.asarray(images[:1])).shape[1]
            if len(images) * width * 4 > KEPT_BYTES:
                return self._computed(encoder, images, positions)
            # Memory is taken only for the rows that are written.
            self._fixed[name, part] = np.empty((len(images), width), np.float32), np.zeros(len(images), bool)
        values, known = self._fixed[name, part]
        if len(missing := np.sort(positions[~known[positions]])):
            values[missing] = self._computed(encoder, images, missing)
            known[missing] = True
        return values[positions]

    def _computed(self, encoder: Encoder, images: np.ndarray, positions: np.ndarray) -> np.ndarray:
        parts = [encoder(np.asarray(images[chunk])) for chunk in self._chunks(positions)]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _chunks(self, positions: np.ndarray) -> Iterator[np.ndarray]:
        side = self.data.images.shape[1]
        size = max(1, min(500, PIXELS_AT_ONCE // side**2))
        return (positions[start : start + size] for start in range(0, len(positions), size))
