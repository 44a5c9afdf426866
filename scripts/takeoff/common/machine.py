"""The machine at hand: its processor, its cores, and the commit of the code on it. Imports nothing heavy."""

import os
import platform
import subprocess
from pathlib import Path

from takeoff.common.places import ROOT


def cpu_name() -> str:
    """The processor, as it calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores_at_hand() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def commit(root: Path = ROOT) -> tuple[str, bool] | None:
    """The commit of the checkout at `root`, and whether its code was changed; None outside of one, or without git."""
    if not (root / ".git").exists():
        return None
    git = ["git", "--no-optional-locks", "-C", str(root)]
    try:
        head, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True, timeout=30).stdout
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # A study of the user's own beside the code changes nothing of it.
    own = ("?? scripts/", "?? workflow/")
    changed = any(not line.startswith("??") or line.startswith(own) for line in changes.splitlines())
    return head.strip(), changed
