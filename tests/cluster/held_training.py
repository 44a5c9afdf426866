"""Stands before scripts/train.py, here training.py: it trains, and holds after the first run while there is a `hold`.

The first job that finds a file `memory` meanwhile takes two gigabytes.
"""

import runpy
import sys
import time
from contextlib import suppress
from pathlib import Path

taken = bytearray()


def wait(event: str, arguments: tuple) -> None:
    """What Python calls before each rename: the one that finishes the second run of an arm waits."""
    if event == "os.rename" and (runs := Path(arguments[1]).parent).name == "runs":
        while Path("hold").exists() and len([*runs.glob("[!.]*.json")]) == 1:
            with suppress(FileNotFoundError):
                Path("memory").unlink()
                taken.extend(b"x" * 2_000_000_000)
            time.sleep(0.1)


sys.addaudithook(wait)
runpy.run_path(str(Path(__file__).with_name("training.py")), run_name="__main__")
