"""Which test images each run had right, from the bits of its record."""

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.statistics.contrasts import Floats


def right_answers(runs: pd.DataFrame, column: str, guess: float, images: int, source: str) -> Floats:
    """Whether each run had each image right, (runs, images); of a run that diverged, how often a guess is.

    `column` is how the columns of `runs` begin: `_accuracy`, and `_correct`, packed bits, 1 where the answer is right.
    A TakeoffError, which names the `source`, says that a run's record does not fit its accuracy.
    """
    bits, found = f"{column}_correct", []
    for run in runs.to_dict("records"):
        if run["diverged"]:
            found.append(np.full(images, guess))
            continue
        record = np.frombuffer(run[bits] or b"", dtype=np.uint8)
        right = np.unpackbits(record, count=images).astype(float)
        accuracy = run[f"{column}_accuracy"]
        if len(record) != -(-images // 8) or abs(right.mean() - accuracy) > 0.5 / images:
            raise TakeoffError(
                f"{source}: {run['arm']}, seed {run['seed']}: {bits}: {8 * len(record)} images, {right.sum():g} right; "
                f"valid: {images} images, {accuracy:.4f} of them right; train the arm again"
            )
        found.append(right)
    return np.array(found)
