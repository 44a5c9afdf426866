"""Running the workflow as a user does."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from conftest import REPOSITORY

BIN = Path(sys.executable).parent
PARTS = ("Snakefile", "config", "envs", "profiles", "scripts", "workflow")
"""What of the repository the workflow needs."""

Done = subprocess.CompletedProcess[str]


def run_snakemake(
    folder: Path,
    *arguments: str,
    config: tuple[str, ...] = (),
    snakefile: Path = REPOSITORY / "Snakefile",
    environment: Mapping[str, str] | None = None,
    fails: bool = False,
) -> Done:
    """Run the workflow in `folder`, where its results and its state go; `environment` changes that of the test.

    It must succeed, or fail where it is to.
    """
    folder.mkdir(exist_ok=True)
    line = [str(BIN / "snakemake"), "-s", str(snakefile), "--directory", str(folder), *arguments]
    if config:
        line += ["--config", *config]
    changed = os.environ | dict(environment or {})
    # Whole workflows are slow enough, and are not to hide what no test of a part of them covers.
    changed.pop("COVERAGE_PROCESS_CONFIG", None)
    done = subprocess.run(line, capture_output=True, text=True, env=changed, timeout=1800, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done


def said(done: Done) -> str:
    """What Snakemake said: in its log file, where it made one, which has more than a terminal shows."""
    logs = Path(done.args[done.args.index("--directory") + 1]) / ".snakemake" / "log"
    kept = [] if {"-n", "--dry-run"} & set(done.args) else sorted(logs.glob("*.log"))
    return kept[-1].read_text() if kept else done.stdout + done.stderr


def jobs(done: Done) -> set[str]:
    """The rules that ran, or would run."""
    return set(re.findall(r"^(?:local)?rule (\w+):", said(done), re.MULTILINE))


def clone(folder: Path) -> Path:
    """Copy the workflow, so that it can be changed."""
    for part in PARTS:
        source, place = REPOSITORY / part, folder / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            place.symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place)
    return folder
