"""What the measured rates say of the compute experiment's claims."""

from collections.abc import Mapping

import pandas as pd

from takeoff.experiments.claims import Finding
from takeoff.experiments.compute import CLAIMS, DAYS, HOURS, MILLION
from takeoff.experiments.compute_tables import two_digits
from takeoff.statistics.verdicts import Part

Tables = Mapping[str, pd.DataFrame]
HOW = "run the study on a machine with a GPU, with device: auto or device: cuda"
BLOCKS = "the interval is over blocks of one measurement on one machine, not over machines"


def findings(tables: Tables) -> list[Finding]:
    """A finding per claim: each from the fastest setting of its device, by mean rate."""
    million, months = (claim.name for claim in CLAIMS)
    gpu, thread = fastest(tables, gpu=True), fastest(tables, gpu=False)
    if gpu is None:
        here = "" if thread is None else f"; {_over(tables, thread)}"
        reason = f"no GPU was measured: {HOW}{here}"
        return [Finding(million, reason=reason), Finding(months, reason=f"no GPU was measured: {HOW}")]
    rate = blocks_of(tables, gpu)
    part = Part.of(f"training rate over 1 MFLOP/s: {gpu}", rate / 1e6, MILLION, ratio=True)
    found = [Finding(million, (part,), f"{_over(tables, gpu)}; {BLOCKS}")]
    if thread is None:
        return [
            *found,
            Finding(months, reason="no CPU thread was measured: measure again with scripts/probe.py"),
        ]
    ratio = (rate / blocks_of(tables, thread)).dropna()
    part = Part.of(
        f"time over time: {thread} over {gpu}",
        ratio,
        (HOURS, float("inf")),
        contradicts=((0.0, DAYS),),
        ratio=True,
    )
    words = _durations(tables, thread, gpu)
    return [*found, Finding(months, (part,), f"{words}, at the sustained rates; {BLOCKS}")]


def fastest(tables: Tables, gpu: bool) -> str | None:
    """The machine with the highest rate among the GPU's settings, or among those of one CPU thread; None: none."""
    rates = tables["rates"]
    rates = rates[rates["n_blocks"] > 0]
    rates = (
        rates[rates["device"] != "cpu"]
        if gpu
        else rates[(rates["device"] == "cpu") & (rates["threads"] == 1)]
    )
    return None if rates.empty else str(rates.loc[rates["flops_per_second"].idxmax(), "machine"])


def blocks_of(tables: Tables, machine: str) -> pd.Series:
    """A machine's rate by block."""
    blocks = tables["blocks"]
    return blocks[blocks["machine"] == machine].set_index("block")["flops_per_second"]


def _over(tables: Tables, machine: str) -> str:
    """How many times as fast as machines of the 1980s it is, with the range of what "1980s" may mean."""
    row = tables["rates"].set_index("machine").loc[machine]
    return (
        f"{machine} does {times_words(row['over_1_mflops'])} 1 MFLOP/s, {times_words(row['over_0_1_mflops'])} "
        f"0.1 MFLOP/s and {times_words(row['over_10_mflops'])} 10 MFLOP/s"
    )


def _durations(tables: Tables, thread: str, gpu: str) -> str:
    times = tables["times"].set_index("machine")["duration"]
    return f"the trainings of this study's factorial take {times[thread]} on one CPU thread and {times[gpu]} on the GPU"


def times_words(ratio: float) -> str:
    """As in `5,300 times` and `1.2 million times`."""
    return f"{two_digits(ratio)} times"
