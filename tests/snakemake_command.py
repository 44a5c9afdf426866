"""Running the workflow as a user does."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY

BIN = Path(sys.executable).parent


def run_snakemake(
    folder: Path,
    *arguments: str,
    config: tuple[str, ...] = (),
    home: Path = REPOSITORY,
    path: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the workflow of `home` in `folder`, where its results and its state go."""
    folder.mkdir(exist_ok=True)
    line = [str(BIN / "snakemake"), "-s", str(home / "Snakefile"), "--directory", str(folder), *arguments]
    if config:
        line += ["--config", *config]
    environment = os.environ | ({"PATH": path} if path else {})
    # Whole workflows are slow enough, and are not to hide what no test of a part of them covers.
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=1800, check=False)
