"""What the compute experiment measures of its claims, from the fastest setting of each device."""

from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.compute.design import HOW, MILLION, MONTHS, Design
from takeoff.experiments.compute.tables import RATE, two_digits
from takeoff.statistics.measures import Measure

BLOCKS = "the interval is over blocks of one measurement on one machine, not over machines"


def measure(compute: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The GPU's rate over 1 MFLOP/s, and over that of one CPU thread; both over blocks."""
    gpu, thread = fastest(tables, gpu=True), fastest(tables, gpu=False)
    if gpu is None:
        here = "" if thread is None else f"; {_over(tables, thread)}"
        reason = f"no GPU was measured: {HOW}"
        return [Measure.missing(MILLION, reason + here), Measure.missing(MONTHS, reason)]
    rate = _blocks(tables, gpu)
    label, reason = f"training rate over 1 MFLOP/s: {gpu}", f"{_over(tables, gpu)}; {BLOCKS}"
    found = [Measure.of(MILLION, "rate", label, rate / 1e6, "ratio", reason=reason)]
    if thread is None:
        reason = "no CPU thread was measured: measure again with scripts/probe.py"
        return [*found, Measure.missing(MONTHS, reason)]
    ratio = (rate / _blocks(tables, thread)).dropna()
    took = tables["times"].set_index("machine")["duration"]
    reason = f"the trainings of this study's factorial take {took[thread]} on one CPU thread and {took[gpu]} on the GPU"
    reason += f", at the sustained rates; {BLOCKS}"
    label = f"time over time: {thread} over {gpu}"
    return [*found, Measure.of(MONTHS, "time", label, ratio, "ratio", reason=reason)]


def fastest(tables: Tables, gpu: bool) -> str | None:
    """The machine with the highest rate among the GPU's settings, or among those of one CPU thread; None: none."""
    rates = tables["rates"][tables["rates"]["n_blocks"] > 0]
    own = rates["device"] != "cpu" if gpu else (rates["device"] == "cpu") & (rates["threads"] == 1)
    return str(rates.loc[rates.loc[own, RATE].idxmax(), "machine"]) if own.any() else None


def _blocks(tables: Tables, machine: str) -> pd.Series:
    """A machine's rate by block."""
    blocks = tables["blocks"]
    return blocks[blocks["machine"] == machine].set_index("block")[RATE]


def _over(tables: Tables, machine: str) -> str:
    """How many times as fast as machines of the 1980s it is, with the range of what "1980s" may mean."""
    row = tables["rates"].set_index("machine").loc[machine]
    one, tenth, ten = (two_digits(row[f"over_{name}_mflops"]) for name in ("1", "0_1", "10"))
    return f"{machine} does {one} times 1 MFLOP/s, {tenth} times 0.1 MFLOP/s and {ten} times 10 MFLOP/s"
