"""Scaling: how error falls with the size of the training set, as slopes, gains per doubling and fits."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from takeoff.errors import TakeoffError
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.fits import EVERY, beta_profile_interval, beta_resampling_interval, fit_power_law
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.tables import check_once, first_rows, level_texts, positive

DECADES = 1.5
"""Over a shorter range of sizes a law's parameters are not told apart, and only slopes are reported."""
SIZES = 4
"""Fewer sizes show nothing of how well three parameters fit."""
FEW_DRAWS = 10
"""With fewer draws resampling them covers too little to report: `fits.beta_resampling_interval`."""
DOUBLINGS = 2
"""Over how many doublings, the last ones, the gain is taken."""
COLUMNS = tuple(
    "n_draws n_sizes decades slope slope_low slope_high gain gain_low gain_high "
    "alpha beta gamma beta_low beta_high resampled_low resampled_high note".split()
)


def log_slopes(sizes: ArrayLike, errors: ArrayLike) -> Floats:
    """Each draw's least-squares slope of ln(error) over ln(size), (draws,), of `errors` (draws, sizes)."""
    x = np.log(np.asarray(sizes, dtype=float))
    x = x - x.mean()
    return np.asarray(np.log(np.asarray(errors, dtype=float)) @ x / (x @ x))


def gains_per_doubling(sizes: ArrayLike, errors: ArrayLike, doublings: float = DOUBLINGS) -> Floats:
    """Each draw's fall of error per doubling over the last `doublings`, (draws,); above 0 where it falls.

    The error at 2^−`doublings` of the largest size is interpolated linearly in the logarithm of the size.

    Args:
        sizes: (sizes,), ascending, above 0.
        errors: (draws, sizes), in any unit, which is the gain's.
        doublings: how many.

    Raises:
        ValueError: the sizes span less.

    """
    x = np.log2(np.asarray(sizes, dtype=float))
    if x[-1] - x[0] < doublings - 1e-9:
        raise ValueError(f"sizes span {x[-1] - x[0]:.3g} doublings, not {doublings}")
    rows = np.asarray(errors, dtype=float)
    return np.array([(np.interp(x[-1] - doublings, x, row) - row[-1]) / doublings for row in rows])


def scaling(
    sizes: ArrayLike, errors: ArrayLike, nearest: float = 0.0, *, shared: bool = False
) -> dict[str, object]:
    """How `errors` fall with size, with 95% intervals: the `COLUMNS`, NaN where there is nothing to report.

    `slope` and `gain` have Student's t over the `n_draws` draws with every size. The law, error = `alpha`
    m^−`beta` + `gamma`, is of all draws, and `beta_low` and `beta_high` are by profile likelihood. It is left
    out, as `note` says, where it has fewer than `SIZES` sizes, spans less than `DECADES`, or γ sits on its
    bound: β would be extrapolated, or the slope under another name.

    Where all draws see the same observations at the largest size, these are one draw of them: copies of a
    deterministic method's error there hold no more than one does, and others' scatter there is the optimisation's
    alone. So they enter the law once, with their geometric mean, and `note` says so; also where nobody said that
    they are `shared`, but all are the same. Simulated with 7 sizes over 2 decades and 200 samples, 95% intervals of
    β covered 96% so, but 85% with 4 and 79% with 8 draws that each count there. Student's t has no such remedy:
    intervals of `slope` and `gain` leave out the sampling noise of that size.

    Args:
        sizes: (sizes,), ascending, above 0.
        errors: (draws, sizes), NaN where a draw has no such size.
        nearest: what smaller errors count as in logarithms.
        shared: whether all draws see the same observations at the largest size.

    Raises:
        ValueError: an error, so raised, is not above 0.

    """
    m, error = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    present = np.isfinite(error)
    logged = np.maximum(error, nearest)  # NaN stays
    if (logged[present] <= 0).any():
        raise ValueError("an error of 0 or below has no logarithm")
    whole = present.all(axis=1)
    decades = float(np.log10(m[-1] / m[0]))
    row = dict.fromkeys(COLUMNS, np.nan) | {
        "n_sizes": len(m),
        "n_draws": int(whole.sum()),
        "decades": decades,
    }
    notes = [] if whole.all() else [f"{(~whole).sum()} draws without every size: in the law only"]
    if whole.any() and len(m) > 1:
        row |= _named("slope", mean_interval(log_slopes(m, logged[whole])))
    if whole.any() and decades >= DOUBLINGS * np.log10(2) - 1e-9:
        row |= _named("gain", mean_interval(gains_per_doubling(m, error[whole])))
    law, said = _law(m, logged, shared)
    return row | law | {"note": "; ".join([*notes, *said])}


def _law(m: Floats, errors: Floats, shared: bool) -> tuple[dict[str, float], list[str]]:
    """The columns of the law, none where it is left out, and what is to be noted."""
    decades = float(np.log10(m[-1] / m[0]))
    if len(m) < SIZES or decades < DECADES - 1e-9:
        return {}, [f"slopes only: {len(m)} sizes over {decades:.2f} decades"]
    size, value, draw = _law_points(m, errors, shared)
    law = fit_power_law(size, value)
    if law.gamma == 0:
        return {}, ["slopes only: gamma sits on its bound"]
    row = {"alpha": law.alpha} | _named("beta", (law.beta, *beta_profile_interval(size, value)))
    row["gamma"] = law.gamma
    notes = ["in the law the largest size counts as one draw"] if (draw == EVERY).any() else []
    if len(errors) < FEW_DRAWS:
        notes.append(f"not resampled: fewer than {FEW_DRAWS} draws")
    else:
        row["resampled_low"], row["resampled_high"] = beta_resampling_interval(size, value, draw)
    return row, notes


def _law_points(sizes: Floats, errors: Floats, shared: bool) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Size, error and draw of every error, (n,) each; those that count once at the largest size as of draw `EVERY`."""
    draw, at = np.nonzero(np.isfinite(errors))
    values = errors[draw, at]
    last = at == len(sizes) - 1
    if last.sum() < 2 or not (shared or np.ptp(values[last]) == 0):
        return sizes[at], values, draw
    once = float(np.exp(np.log(values[last]).mean()))
    kept = at[~last]
    return np.append(sizes[kept], sizes[-1]), np.append(values[~last], once), np.append(draw[~last], EVERY)


def _named(name: str, interval: tuple[float, ...]) -> dict[str, float]:
    return {name: interval[0], f"{name}_low": interval[1], f"{name}_high": interval[2]}


def scaling_table(
    runs: pd.DataFrame,
    group: str,
    draw: str,
    size: str,
    errors: ArrayLike,
    nearest: float = 0.0,
    source: str = "runs",
    *,
    shared: bool = False,
) -> pd.DataFrame:
    """`scaling` of every group, in the order met: the column `group`, then `COLUMNS`.

    Args:
        runs: a row per group, draw and size.
        group: the column that tells methods apart.
        draw: the column that tells draws apart.
        size: a column of numbers above 0.
        errors: (rows,), finite.
        nearest: what smaller errors count as in logarithms: half an image, as a fraction of the test set.
        source: where the table was read from, for messages.
        shared: whether all draws see the same observations at the largest size of all groups.

    Raises:
        TakeoffError: a column is absent or empty in a row; a group has two rows in a draw and size, or an
            error is not above 0 though so raised.

    """
    keys = pd.DataFrame(
        {
            group: level_texts(runs, group, source),
            draw: level_texts(runs, draw, source),
            size: positive(runs, size, source),
        }
    )
    check_once(keys, source)
    values = np.asarray(errors, dtype=float)
    wrong = np.flatnonzero(np.maximum(values, nearest) <= 0)
    if wrong.size:
        raise TakeoffError(
            f"{source}: {first_rows(wrong)}: an error of {values[wrong[0]]:g} has no logarithm; valid: errors "
            "above 0, or --images N for fractions of N images, which takes 0 as half an image"
        )
    rows = []
    for name, part in keys.groupby(group, sort=False):
        matrix = part.assign(**{group: values[part.index]}).pivot(index=draw, columns=size, values=group)
        rows.append(
            {group: name} | scaling(matrix.columns.to_numpy(), matrix.to_numpy(), nearest, shared=shared)
        )
    return pd.DataFrame(rows, columns=[group, *COLUMNS])
