"""Student's t distribution: what `scipy.stats.t` gives, without the second that its import takes of every command."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def quantile(probability: ArrayLike, freedom: ArrayLike) -> Any:
    """The t below which a share `probability` lies, between 0 and 1; floats or arrays, which are broadcast."""
    from scipy import special

    return special.stdtrit(np.asarray(freedom, dtype=float), probability)


def tail(t: ArrayLike, freedom: ArrayLike) -> Any:
    """The probability of more than `t`, one-sided; floats or arrays, which are broadcast."""
    from scipy import special

    return special.stdtr(np.asarray(freedom, dtype=float), -np.asarray(t, dtype=float))
