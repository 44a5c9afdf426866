"""What was measured for the claims: an estimate with its error, and what a reader must know of it.

A table of measures, `measured.csv`, knows no criterion: judging joins it with the claims'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import shown
from takeoff.common.tables import check_once, column
from takeoff.statistics.criterion import Range
from takeoff.statistics.intervals import ROUNDING, mean_interval

Veto = Literal["", "any"]
COLUMNS = (
    "claim part label unit estimate standard_error degrees_of_freedom n bound_below bound_above most veto reason values"
).split()


@dataclass(frozen=True)
class Measure:
    """One measured quantity of a claim, whatever is claimed of it."""

    claim: str
    """The claim's name; empty where there is none yet."""
    part: str
    """The name of the quantity among the claim's own."""
    label: str
    """What is measured, in words: `epochs to 25% training error, tanh over ReLU`."""
    estimate: float
    """In `unit`; of a ratio, its natural logarithm; NaN where it could not be measured."""
    error: float
    """The estimate's standard error, on the same scale; NaN where there is none (a single value)."""
    freedom: float
    """Degrees of freedom of that error, for Student's t; infinite for a normal one."""
    unit: str = ""
    """`points`, `log-odds`, `ratio`; empty for what has none."""
    bound: Range = (0.0, 0.0)
    """How far below and above the interval the quantity may lie besides, on the estimate's scale, both 0 or more:
    infinite where censoring leaves only a bound, a step of a grid where only grid points were tried."""
    most: float = float("inf")
    """No value of the quantity lies farther from 0: 2 for a difference of correlations."""
    veto: Veto = ""
    """`any`: no verdict may rest on it, whatever its interval; the reason says why."""
    reason: str = ""
    """What a reader must know of the measurement."""
    values: tuple[float, ...] = ()
    """What the estimate is the mean of, one per seed, on its scale; empty where it is no such mean."""
    arms: tuple[str, ...] | None = None
    """The arms whose tuning it depends on; None: all that the experiment has. No column of the table."""

    def __post_init__(self) -> None:
        if not all(end >= 0 for end in self.bound) or self.error < 0:
            raise ValueError(f"{self.label}: bound and error are 0 or more")

    @classmethod
    def of(
        cls,
        claim: str,
        part: str,
        label: str,
        values: ArrayLike,
        unit: str = "",
        bound: Range = (0.0, 0.0),
        veto: Veto = "",
        reason: str = "",
        arms: tuple[str, ...] | None = None,
    ) -> "Measure":
        """The mean of `values`, (n,), one per seed and paired; of a ratio, the ratios themselves, above 0.

        A spread that is only rounding counts as none, as in `intervals.mean_interval`. No value, one that is not
        finite, or a ratio that is not above 0 is a ValueError.
        """
        sample = np.asarray(values, dtype=float)
        ratio = unit == "ratio"
        if ratio:
            if not (sample > 0).all():
                raise ValueError(f"{label}: a ratio is above 0")
            sample = np.log(sample)
        size = 1.0 if ratio else float(np.abs(sample).max(initial=0))
        mean, error, freedom = mean_interval(sample, size=size).estimate, 0.0, float(sample.size - 1)
        if freedom == 0:
            error = np.nan
        elif np.ptp(sample) > ROUNDING * size:
            error = float(sample.std(ddof=1) / np.sqrt(sample.size))
        known: Any = {"veto": veto, "reason": reason, "values": tuple(sample.tolist()), "arms": arms}
        return cls(claim, part, label, mean, error, freedom, unit, bound, **known)

    @classmethod
    def missing(cls, claim: str, reason: str, part: str = "", label: str = "", unit: str = "") -> "Measure":
        """A quantity that could not be measured, and why; without a part, the whole claim could not be tested."""
        return cls(claim, part, label, np.nan, np.nan, np.nan, unit, reason=reason)

    @property
    def n(self) -> int | None:
        """How many values the estimate rests on, where its degrees of freedom say so."""
        return int(self.freedom) + 1 if float(self.freedom).is_integer() else None

    @property
    def ratio(self) -> bool:
        """Whether estimate and error are of a natural logarithm."""
        return self.unit == "ratio"

    @property
    def testable(self) -> bool:
        """Whether there is an estimate with an error; two values that agree by chance are no evidence of none."""
        known = np.isfinite(self.estimate) and np.isfinite(self.error) and self.freedom > 0
        return bool(known and (self.error > 0 or self.freedom > 1))

    def scaled(self, value: float) -> float:
        """A value in the quantity's own units on the estimate's scale: the logarithm of a ratio."""
        if not self.ratio:
            return value
        return float(np.log(value)) if value > 0 else -np.inf

    def unscaled(self, value: float) -> float:
        """A value on the estimate's scale in the quantity's own units."""
        return float(np.exp(value)) if self.ratio else value


def product_of(label: str, one: Measure, other: Measure) -> Measure:
    """The product of two ratios, which are independent; claim, part and bound are those of `one`.

    The logarithms' variances add; degrees of freedom after Welch and Satterthwaite (1946, Biometrics Bulletin 2,
    110–114). Where the values of either are all equal there is no error.
    """
    variances, freedoms = (one.error**2, other.error**2), (one.freedom, other.freedom)
    # Values that are all equal have an error of 0, which is not to make the other's more certain.
    error, freedom = np.nan, min(freedoms)
    if min(variances) > 0:
        error = float(np.sqrt(sum(variances)))
        freedom = sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    estimate = one.estimate + other.estimate
    return replace(one, label=label, estimate=estimate, error=error, freedom=freedom, values=())


def measures_table(measures: Iterable[Measure]) -> pd.DataFrame:
    """`measured.csv`: a row per quantity; of a ratio, `estimate`, `standard_error` and bounds are of its natural
    logarithm. A row without a part says why its claim could not be tested.
    """
    rows = []
    for one in measures:
        numbers = (one.estimate, one.error, one.freedom, one.n, *one.bound, one.most)
        values = " ".join(map(repr, one.values))
        rows.append((one.claim, one.part, one.label, one.unit, *numbers, one.veto, one.reason, values))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def read_measures(path: Path, units: Mapping[tuple[str, str], str]) -> list[Measure]:
    """The measures in `measured.csv`; `units` are those of the claims' parts, by claim and part. A TakeoffError says
    that the file is missing, or what in it is wrong.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file; scripts/analyse.py experiment writes it") from None
    except ValueError as wrong:
        raise TakeoffError(f"{path}: not a table: {' '.join(str(wrong).split())}") from None
    known = pd.DataFrame({name: column(table, name, str(path)) for name in COLUMNS})
    check_once(known[["claim", "part"]], str(path), "a row for each part of a claim")
    return [_read(path, row, units) for row in known.to_dict("records")]


def _read(path: Path, row: Mapping[str, str], units: Mapping[tuple[str, str], str]) -> Measure:
    """The measure in a row; a TakeoffError names its column, value and what is valid."""
    claim, part = row["claim"], row["part"]

    def wrong(name: str, valid: str) -> TakeoffError:
        where = f"{path}: {claim}{'.' * bool(part)}{part}: column {name}"
        return TakeoffError(f"{where}: {shown(row[name])} is not valid; valid: {valid}")

    def check(name: str, right: bool, valid: str) -> None:
        if not right:
            raise wrong(name, valid)

    def number(name: str) -> float:
        try:
            return float(row[name] or "nan")
        except ValueError:
            raise wrong(name, "a number, or nothing") from None

    try:
        values = tuple(map(float, row["values"].split()))
    except ValueError:
        raise wrong("values", "numbers, or nothing") from None
    unit = units.get((claim, part), row["unit"])
    mean, error, freedom = (number(name) for name in ("estimate", "standard_error", "degrees_of_freedom"))
    n, below, above, most = (number(name) for name in ("n", "bound_below", "bound_above", "most"))
    check("unit", row["unit"] == unit, unit or "nothing")
    check("estimate", not np.isinf(mean) and (part != "" or np.isnan(mean)), "a finite number of a part, or nothing")
    # Two values or more have an error, if only of 0; what is no mean of values may have none.
    none = len(values) < 2
    check("standard_error", 0 <= error < np.inf or (np.isnan(error) and none), "from 0 up" + ", or nothing" * none)
    least = "above 0 where there is a standard error, else from 0 up, or nothing"
    check("degrees_of_freedom", freedom > 0 or (np.isnan(error) and not freedom < 0), least)
    check("values", all(map(np.isfinite, values)) and len(values) in {0, freedom + 1}, "n finite numbers, or nothing")
    for name, bound in {"bound_below": below, "bound_above": above}.items():
        check(name, bound >= 0, "from 0 up")
    check("most", most > 0, "above 0")
    check("veto", row["veto"] in get_args(Veto), "any, or nothing")
    veto: Any = row["veto"]
    one = Measure(
        claim, part, row["label"], mean, error, freedom, unit, (below, above), most, veto, row["reason"], values
    )
    known = one.n is not None
    check(
        "n", n == one.n if known else bool(np.isnan(n)), f"{one.n}, by the degrees of freedom" if known else "nothing"
    )
    return one
