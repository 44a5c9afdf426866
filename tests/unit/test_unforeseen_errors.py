"""A command that fails as nobody thought of: a line, and what led to it for whoever asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY


@pytest.fixture
def broken(tmp_path: Path) -> list[str]:
    """A command that fails as nobody thought of."""
    lines = ["from takeoff.common.commands import run_command", "def main():", "    raise KeyError('two\\nlines')"]
    (tmp_path / "broken.py").write_text("\n".join([*lines, "run_command(main)"]))
    return [sys.executable, str(tmp_path / "broken.py")]


@pytest.mark.parametrize(("variable", "traced"), [({}, False), ({"TAKEOFF_TRACEBACK": "1"}, True)])
def test_an_error_that_nobody_thought_of_is_a_line(broken: list[str], variable: dict[str, str], traced: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TAKEOFF")} | variable
    environment["PYTHONPATH"] = str(REPOSITORY / "scripts")
    done = subprocess.run(broken, env=environment, capture_output=True, text=True, check=False)
    *above, line = done.stderr.splitlines()
    assert (done.returncode, bool(above)) == (1, traced)
    assert line.startswith("error: ")
    for word in ("KeyError", "broken.py, line 3", "report", "TAKEOFF_TRACEBACK" if not traced else "above"):
        assert word in line
    assert ("Traceback" in done.stderr) == traced
