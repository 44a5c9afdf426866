"""A job ends with the workflow that started it, and its ranks with torchrun: what is killed can end nothing itself."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

VARIABLE = "TAKEOFF_WORKFLOW"
"""Names the process of the workflow, in the environment of its jobs."""
LAUNCHER = "TAKEOFF_LAUNCHER"
"""Names torchrun's, in that of the ranks that it starts."""
EVERY, GRACE = 2.0, 20.0
"""Seconds between two looks, and until a job that does not end by itself is ended."""


def is_the_workflow() -> None:
    """Let jobs that this process starts end when it is gone."""
    os.environ[VARIABLE] = str(os.getpid())


def end_with_the_workflow() -> None:
    """End this process, by SIGTERM, when the workflow that started it is gone, or torchrun; none started it by hand."""
    for variable, name in ((VARIABLE, "the workflow"), (LAUNCHER, "torchrun")):
        given = os.environ.get(variable, "")
        if given.isdigit():
            threading.Thread(target=_watch, args=(int(given), name), name=name, daemon=True).start()


def _watch(process: int, name: str) -> None:
    while _lives(process):
        time.sleep(EVERY)
    print(f"error: {name} that started this job is gone: what is finished is kept", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        # Of a process that nobody has waited for, the name is left.
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's, or a system without /proc
    return not state.startswith(" Z")
