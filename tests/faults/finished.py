"""What runs left behind, without what differs from one time to the next."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from takeoff.workflow.leftovers import TEMPORARY

TIMES = ["seconds", "images_per_second", "started_at"]
UNROUNDED = ["way", "test_correct", "test_top5_correct"]
"""With how many others a run was trained at once, and the test images that it had right."""


def records(arm: Path) -> dict[str, Any]:
    """The values in each run's file, by its name."""
    found = {}
    for path in sorted((arm / "runs").glob("[!.]*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [content["run"], *content["curve"], *content["probe"]]
        found[path.name] = [{key: row[key] for key in row if key not in TIMES} for row in rows]
    return found


def tables(arm: Path) -> dict[str, pd.DataFrame]:
    """The values in each table of an arm."""
    return {
        path.name: pd.read_parquet(path).drop(columns=TIMES, errors="ignore") for path in sorted(arm.glob("*.parquet"))
    }


def assert_same(one: Path, other: Path) -> None:
    """Two folders of an arm hold the same values, to the bit."""
    assert records(one) == records(other)
    assert tables(one).keys() == tables(other).keys()
    for name, table in tables(one).items():
        pd.testing.assert_frame_equal(table, tables(other)[name], check_exact=True)
    rates = [json.loads((arm / "learning_rate.json").read_text()) for arm in (one, other)]
    for rate in rates:
        for choice in rate["choices"]:
            for run in choice.get("runs", []):
                for key in run.keys() & set(TIMES):
                    del run[key]
    assert rates[0] == rates[1]


def assert_close(one: Path, other: Path) -> None:
    """Two folders of an arm hold the same values within rounding, as of runs that were fused with others."""
    assert tables(one).keys() == tables(other).keys()
    for name, table in tables(one).items():
        expected = tables(other)[name].drop(columns=UNROUNDED, errors="ignore")
        pd.testing.assert_frame_equal(table[expected.columns], expected, rtol=0.001, atol=0.01)


def temporary(folder: Path) -> list[Path]:
    """Files that were being written."""
    return [path for path in folder.rglob(".*-*") if TEMPORARY.fullmatch(path.name)]
