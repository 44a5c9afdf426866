"""The largest of k values drawn without replacement: what a search of k trials finds."""

import numpy as np
from scipy.special import gammaln

from takeoff.statistics.contrasts import Floats


def best_of(values: Floats, draws: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """The largest of k of the `values`, (n,), drawn without replacement: its mean, and its 5% and 95% quantiles.

    Sorted upwards, the i-th value (from 1) is the largest of k with probability C(i−1, k−1) / C(n, k). `draws` are the
    numbers k, (m,), each from 1 to n; the three results are (m,) too.
    """
    ascending = np.sort(values)
    n, i, k = len(values), np.arange(1, len(values) + 1), np.asarray(draws)[:, None]
    with np.errstate(invalid="ignore"):
        logs = np.where(i >= k, _log_choose(i - 1, k - 1) - _log_choose(n, k), -np.inf)
    share = np.exp(logs)
    share /= share.sum(axis=1, keepdims=True)
    below = np.cumsum(share, axis=1)
    low, high = (ascending[(below < q - 1e-12).sum(axis=1)] for q in (0.05, 0.95))
    return share @ ascending, low, high


def _log_choose(n: np.ndarray | int, k: np.ndarray | int) -> Floats:
    result: Floats = gammaln(np.asarray(n) + 1) - gammaln(np.asarray(k) + 1) - gammaln(np.asarray(n) - k + 1)
    return result
