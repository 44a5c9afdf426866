"""The machine at hand and the versions on it, without torch: what a measurement must be read with."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from takeoff.digests import ENGINE, code_digest
from takeoff.files import digest_of

ROOT = Path(__file__).parents[3]


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


def load() -> float | None:
    """Processes that wanted a core, on average over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def commit(root: Path = ROOT) -> str | None:
    """The commit of the checkout, with `+` where files differ from it; None outside one."""
    if not (root / ".git").exists():
        return None
    try:
        head, changes = (
            subprocess.run(
                ["git", "--no-optional-locks", "-C", str(root), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            ).stdout.strip()
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "scripts", "tests"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(changes)


def measured_digest() -> str:
    """What a measurement depends on: the engine, the plain loops, and the machine."""
    code = code_digest(*ENGINE, "probing", "benchmarking")
    loops = ROOT / "tests" / "benchmarks" / "plain_loops.py"
    plain = loops.read_text(encoding="utf-8") if loops.is_file() else ""
    return digest_of([code, plain, cpu_name(), cores_at_hand()])


def facts(device: str) -> dict[str, Any]:
    """What identifies the machine, the versions and the code.

    Args:
        device: `cpu`, or the GPU's name.

    """
    return {
        "device": device,
        "cpu": cpu_name(),
        "cores": cores_at_hand(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "torchvision", "numpy")},
        "commit": commit(),
        "engine": code_digest(*ENGINE),
        "command": " ".join(["python", "scripts/benchmark.py", *sys.argv[1:]]),
        "load_before": load(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
