"""Scaling: how error falls with the size of the training set, as slopes, gains per doubling and fits.

Sizes are (sizes,), ascending, above 0; errors (draws, sizes).
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.common.errors import TakeoffError
from takeoff.common.tables import check_once, check_rows, level_texts, positive
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.fits import (
    EVERY,
    SHALLOWEST,
    STEEPEST,
    beta_profile_interval,
    beta_resampling_interval,
    fit_power_law,
)
from takeoff.statistics.intervals import Interval, mean_interval

DECADES = 1.5
"""Over a shorter range of sizes a law's parameters cannot be separated, and only slopes are reported."""
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
    """Each draw's least-squares slope of ln(error) over ln(size), (draws,)."""
    x = np.log(np.asarray(sizes, dtype=float))
    x = x - x.mean()
    return np.asarray(np.log(np.asarray(errors, dtype=float)) @ x / (x @ x))


def gains_per_doubling(sizes: ArrayLike, errors: ArrayLike) -> Floats:
    """Each draw's fall of error per doubling over the last `DOUBLINGS`, (draws,), in the errors' unit; above 0 where it
    falls.

    The error at 2^−`DOUBLINGS` of the largest size is interpolated linearly in the logarithm of the size; sizes that
    span less raise a ValueError.
    """
    x = np.log2(np.asarray(sizes, dtype=float))
    if x[-1] - x[0] < DOUBLINGS - 1e-9:
        raise ValueError(f"sizes span {x[-1] - x[0]:.3g} doublings, not {DOUBLINGS}")
    rows = np.asarray(errors, dtype=float)
    return np.array([(np.interp(x[-1] - DOUBLINGS, x, row) - row[-1]) / DOUBLINGS for row in rows])


def scaling(sizes: ArrayLike, errors: ArrayLike, nearest: float = 0.0, *, shared: bool = False) -> dict[str, object]:
    """How `errors` fall with size, with 95% intervals: the `COLUMNS`, NaN where there is nothing to report.

    An error is NaN where a draw has no such size; in logarithms it counts as `nearest` where it is smaller. `slope` and
    `gain` have Student's t over the `n_draws` draws with every size. The law, error = `alpha` m^−`beta` + `gamma`, is
    of all draws, and `beta_low` and `beta_high` are by profile likelihood. It is left out, as `note` says, where it has
    fewer than `SIZES` sizes, spans less than `DECADES`, or γ sits on its bound: β would be extrapolated, or the slope
    under another name.

    Where all draws see the same observations at the largest size, these are one draw of them: copies of a deterministic
    method's error there hold no more than one does, and others' scatter there is the optimisation's alone. So they
    enter the law once, with their geometric mean, and `note` says so; also where they are not known to be `shared`, but
    all are the same. Simulated with 7 sizes over 2 decades and 200 samples, 95% intervals of β covered 96% so, but 85%
    with 4 and 79% with 8 draws that each count there. Student's t has no such remedy: intervals of `slope` and `gain`
    leave out the sampling noise of that size.
    """
    m, error = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    logged = np.maximum(error, nearest)  # NaN stays
    whole = np.isfinite(error).all(axis=1)
    decades = float(np.log10(m[-1] / m[0]))
    row: dict[str, object] = dict.fromkeys(COLUMNS, np.nan)
    row |= {"n_sizes": len(m), "n_draws": int(whole.sum()), "decades": decades}
    notes = [] if whole.all() else [f"{(~whole).sum()} draws without every size: in the law only"]
    if whole.any() and len(m) > 1:
        row |= mean_interval(log_slopes(m, logged[whole])).named("slope")
    if whole.any() and decades >= DOUBLINGS * np.log10(2) - 1e-9:
        row |= mean_interval(gains_per_doubling(m, error[whole])).named("gain")
    if len(m) < SIZES or decades < DECADES - 1e-9:
        notes.append(f"slopes only: {len(m)} sizes over {decades:.2f} decades")
    else:
        law, law_notes = _law(m, logged, shared)
        row |= law
        notes += law_notes
    return row | {"note": "; ".join(notes)}


def _law(sizes: Floats, errors: Floats, shared: bool) -> tuple[dict[str, float], list[str]]:
    """The columns of the law, none where it is left out, and what is to be noted."""
    draw, at = np.nonzero(np.isfinite(errors))
    m, values, notes = sizes[at], errors[draw, at], []
    last = at == len(sizes) - 1
    if last.sum() > 1 and (shared or np.ptp(values[last]) == 0):
        once = float(np.exp(np.log(values[last]).mean()))
        m, values = np.append(m[~last], sizes[-1]), np.append(values[~last], once)
        draw = np.append(draw[~last], EVERY)
        notes.append("in the law the largest size counts as one draw")
    law = fit_power_law(m, values)
    if law.gamma == 0:
        return {}, ["slopes only: gamma sits on its bound"]
    if not SHALLOWEST * 1.01 < law.beta < STEEPEST / 1.01:
        return {}, ["slopes only: beta sits on its bound"]
    beta = Interval(law.beta, *beta_profile_interval(m, values), np.nan)
    row = {"alpha": law.alpha, "gamma": law.gamma} | beta.named("beta")
    if np.isfinite(errors).all(axis=1).sum() < FEW_DRAWS:
        notes.append(f"not resampled: fewer than {FEW_DRAWS} draws")
    else:
        row["resampled_low"], row["resampled_high"] = beta_resampling_interval(m, values, draw)
    return row, notes


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
    """`scaling` of every group of runs, in the order met: the column `group`, then `COLUMNS`.

    `runs`, read from `source`, have a row per group, draw and size, named in these columns; `errors` are (rows,), and
    `nearest` half an image, as a fraction of the test set. A TakeoffError says that a column is absent or empty in a
    row; that a size, or an error though so raised, is not above 0; or that a group has two rows in a draw and size.
    """
    names = {name: level_texts(runs, name, source) for name in (group, draw)}
    keys = pd.DataFrame({**names, size: positive(runs, size, source)})
    check_once(keys, source)
    values = np.asarray(errors, dtype=float)
    wrong = "has no logarithm; valid: errors above 0, or --images N, which takes 0 as half of an image in N"
    check_rows(~(np.maximum(values, nearest) <= 0), values, source, wrong)
    rows = []
    results = keys.set_axis(["group", "draw", "size"], axis=1).assign(error=values)
    for name, own in results.groupby("group", sort=False):
        matrix = own.pivot(index="draw", columns="size", values="error")
        rows.append({group: name} | scaling(matrix.columns, matrix, nearest, shared=shared))
    return pd.DataFrame(rows, columns=[group, *COLUMNS])


def check_falling(runs: pd.DataFrame, group: str, size: str, errors: ArrayLike, source: str) -> None:
    """Check that in no group of `runs`, read from `source`, errors rise with size: of a rise there is no law.

    They do where the 95% interval of the slope of ln(error) over ln(size), over all rows, lies above 0. `errors` are
    (rows,), above 0.
    """
    from scipy import stats  # takes half a second

    names = level_texts(runs, group, source)
    logs = pd.DataFrame(
        {"size": np.log(positive(runs, size, source)), "error": np.log(np.asarray(errors, dtype=float))}
    )
    for name, own in logs.groupby(names, sort=False):
        if own["size"].nunique() < 2:
            continue
        line = stats.linregress(own["size"], own["error"])
        margin = stats.t.ppf(0.975, len(own) - 2) * line.stderr if len(own) > 2 else 0.0
        if line.slope > margin:
            raise TakeoffError(
                f"{source}: {group} {name}: errors rise with {size} (slope {line.slope:.3g} on log axes); "
                "valid: errors that fall, or an accuracy with accuracy or acc in its name"
            )
