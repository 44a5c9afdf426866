"""Features brought to a common scale and, where there are many, to their principal components."""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA

COMPONENTS = 384
"""Features that a learner gets at most. More changed validation accuracy on CIFAR-10 by about half a point."""
IMAGES = 10_000
"""Training images that the components are taken from, at most: the first, which hold the classes in their shares."""
TINY = 1e-6


def fit_reduction(
    features: np.ndarray, each: bool, generator: np.random.Generator
) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
    """Learn means, scales and components from the training images' features (N × D).

    Components are not whitened: that makes noise as loud as what varies most, and cost one to two points.

    Args:
        features: of the run's training images.
        each: whether each feature gets unit variance of its own, as Coates 2011 has it, or all one scale.
        generator: of the run's seed.

    Returns:
        The function that turns features into what a learner gets (M × at most `COMPONENTS`, float32, variance 1
        on average over the training images), and what was made smaller.

    """
    some = features[:IMAGES]
    mean = some.mean(axis=0)
    deviation = some.std(axis=0) if each else np.ones_like(mean)
    deviation[deviation < TINY] = 1
    centred = (some - mean) / deviation
    size = centred.shape[1]
    notes: list[str] = []
    model = None
    if size > COMPONENTS:
        number = max(1, min(COMPONENTS, len(centred) - 1))
        # Randomised where far fewer components than images and features are wanted (Halko et al. 2011).
        solver = "randomized" if number < 0.8 * min(centred.shape) else "full"
        model = PCA(
            number,
            svd_solver=solver,
            iterated_power=2 if solver == "randomized" else "auto",
            random_state=int(generator.integers(2**31)),
        ).fit(centred)
        centred = model.transform(centred)
        few = f", all that {len(some)} images give" if number < COMPONENTS else ""
        notes = [f"{number} principal components of {size} features{few}"]
    scale = max(TINY, float(np.sqrt(centred.var(axis=0).mean())))

    def reduce(values: np.ndarray) -> np.ndarray:
        normalised = (values - mean) / deviation
        return ((normalised if model is None else model.transform(normalised)) / scale).astype(np.float32)

    return reduce, notes
