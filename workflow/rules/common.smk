"""What every other file here uses: the project, its paths, and the slots for GPUs."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/scripts")

from takeoff.errors import TakeoffError
from takeoff.project import load_project
from takeoff.wiring import command, folder_of, run_in_this_python, script

run_in_this_python()

try:
    PROJECT = load_project(config, Path(workflow.basedir) / "config" / "studies")
except TakeoffError as error:
    sys.exit(f"error: {error}")

STUDY = PROJECT.folder.as_posix()
DATA = PROJECT.data.as_posix()
CONFIG = PROJECT.configuration

# A job asks for a GPU where training will be on one; the machine at hand has as many slots as it shows GPUs,
# or as `--resources gpu=N` says. Without a limit of its own `--cores all` would start them all at once.
GPUS = int(
    CONFIG.device != "cpu"
    and (CONFIG.device == "cuda" or shutil.which("nvidia-smi") is not None)
)
workflow.global_resources.setdefault("gpu", max(1, GPUS))


resource_scopes:
    gpu="local",
