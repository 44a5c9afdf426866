"""How a command ends: without a last search for garbage, but where something would take what is left for a leak."""

import subprocess
import sys

import pytest
from conftest import SCRIPTS

SCRIPT = """
import sys
from takeoff.errors import run_command

class Cycle:
    def __init__(self):
        self.own = self

    def __del__(self):
        print("collected")

def main():
    Cycle()
    if len(sys.argv) > 1:
        sys.modules[sys.argv[1]] = sys

run_command(main)
"""


@pytest.mark.parametrize(("imported", "told"), [([], ""), (["triton"], "collected\n")])
def test_the_last_search_for_garbage_is_spared(imported: list[str], told: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", script, *imported], capture_output=True, text=True, check=True
    )
    assert done.stdout == told
