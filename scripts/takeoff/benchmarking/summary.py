"""The short table for a README, throughput.md: one line per setting, and where and with what it was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from takeoff.benchmarking.table import MEMORY, PLAIN, Row, setting_words

HEADER = (
    "setting",
    "plain loop",
    "in memory",
    "engine",
    "engine to plain",
    "engine to in memory",
    "of the ceiling",
)
BUSY = "two cores busy"
UNITS = "Images per second, the median of interleaved blocks; in brackets the ratios of the blocks."


def markdown(rows: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """The table, its units, and the machine; where the engine has several ways, of each setting its fastest."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    lines = ["| " + " | ".join(HEADER) + " |", "| " + " | ".join("---" for _ in HEADER) + " |"]
    lines += [line for words, group in groups.items() for line in _lines(words, group)]
    lines += ["", " ".join([UNITS, *_where(rows, facts)])]
    return "\n".join(lines) + "\n"


def _group(row: Row) -> str:
    """What is measured beside each other: a setting, or all cores busy with one."""
    if row.comparison == "loops":
        return setting_words(row)
    return f"{row.resolution} px, width {row.width:g}, batch {row.batch}, {BUSY}"


def _lines(words: str, group: Sequence[Row]) -> list[str]:
    """A line of the table; none where a loop was left out."""
    plain, memory = (next((row for row in group if row.loop == name), None) for name in (PLAIN, MEMORY))
    ways = [row for row in group if row.loop not in {PLAIN, MEMORY} and row.images_per_second]
    if plain is None or memory is None or not ways:
        return []
    best = max(ways, key=lambda row: row.images_per_second or 0)
    name = (
        f" ({best.processes} processes)"
        if best.processes > 1
        else ""
        if len(ways) == 1
        else f" ({best.loop})"
    )
    cells = [
        words,
        _speed(plain),
        _speed(memory),
        _speed(best) + name,
        f"{best.ratio_to_plain:.2f} ({best.ratio_low:.2f} to {best.ratio_high:.2f})",
        f"{(best.images_per_second or 0) / (memory.images_per_second or 1):.2f}",
        f"{best.share_of_ceiling:.0%}" if best.share_of_ceiling else "",
    ]
    return ["| " + " | ".join(cells) + " |"]


def _speed(row: Row) -> str:
    return f"{row.images_per_second:,.0f}"


def _where(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[str]:
    """The machine, the versions, and how busy it was."""
    precisions: dict[str, list[str]] = {}
    for row in rows:
        found = precisions.setdefault(row.loop, [])
        if not any(word.startswith(row.precision) for word in found):
            found.append(row.precision + f" with {row.resolution} px" * bool(found))
    gpu = "" if facts["device"] == "cpu" else f"{facts['device']}, "
    words = [
        f"{gpu}{facts['cores']} cores of {facts['cpu']}",
        f"Python {facts['python']}",
        f"torch {facts['torch']}",
        f"commit {facts['commit'] or 'unknown'} (engine {facts['engine']})",
        ", ".join(f"{loop} in {' and '.join(found)}" for loop, found in precisions.items()),
        f"{rows[0].images} images",
    ]
    if facts["load_before"] is not None:
        words.append(f"load before {facts['load_before']:g}")
    return ["; ".join(words) + "."]
