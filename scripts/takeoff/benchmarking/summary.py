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
UNITS = "Images per second, the median of interleaved blocks; in brackets the ratios of the blocks."


def markdown(rows: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """The table, its units, and the machine; where the engine has several ways, of each setting its fastest."""
    lines = ["| " + " | ".join(HEADER) + " |", "| " + " | ".join("---" for _ in HEADER) + " |"]
    settings = dict.fromkeys(setting_words(row) for row in rows if row.comparison == "loops")
    for words in settings:
        group = [row for row in rows if row.comparison == "loops" and setting_words(row) == words]
        plain, memory = (next((row for row in group if row.loop == name), None) for name in (PLAIN, MEMORY))
        ways = [row for row in group if row.loop not in {PLAIN, MEMORY} and row.images_per_second]
        if plain is None or memory is None or not ways:
            continue
        best = max(ways, key=lambda row: row.images_per_second or 0)
        name = "" if len(ways) == 1 else f" ({best.loop})"
        cells = [
            words,
            _speed(plain),
            _speed(memory),
            _speed(best) + name,
            f"{best.ratio_to_plain:.2f} ({best.ratio_low:.2f} to {best.ratio_high:.2f})",
            f"{(best.images_per_second or 0) / (memory.images_per_second or 1):.2f}",
            f"{best.share_of_ceiling:.0%}" if best.share_of_ceiling else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", " ".join([UNITS, *_together(rows), *_where(rows, facts)])]
    return "\n".join(lines) + "\n"


def _speed(row: Row) -> str:
    return f"{row.images_per_second:,.0f}"


def _together(rows: Sequence[Row]) -> list[str]:
    """What several processes gain, where that was measured."""
    pair = [row for row in rows if row.comparison == "processes" and row.images_per_second]
    if len(pair) != 2:
        return []
    many, one = (row.images_per_second or 0 for row in pair)
    return [
        f"{pair[0].processes} processes of one thread each, at the same time: {many:,.0f}; one of {pair[1].threads} "
        f"threads: {one:,.0f}."
    ]


def _where(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[str]:
    """The machine, the versions, and how busy it was."""
    precisions = {row.loop: row.precision for row in rows}
    gpu = "" if facts["device"] == "cpu" else f"{facts['device']}, "
    words = [
        f"{gpu}{facts['cores']} cores of {facts['cpu']}",
        f"Python {facts['python']}",
        f"torch {facts['torch']}",
        f"commit {facts['commit'] or 'unknown'} (engine {facts['engine']})",
        ", ".join(f"{loop} in {precision}" for loop, precision in precisions.items()),
        f"{rows[0].images} images",
    ]
    if facts["load_before"] is not None:
        words.append(f"load before {facts['load_before']:g}")
    return ["; ".join(words) + "."]
