"""What every other file here uses: the project, its paths, and the slots for GPUs."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/scripts")

from takeoff.digests import code_digest
from takeoff.errors import TakeoffError, collect_rarely
from takeoff.project import load_project
from takeoff.tracking.server import kind_of, without_secrets
from takeoff.wiring import (
    command,
    folder_of,
    log_to,
    option,
    run_in_this_python,
    script,
)

run_in_this_python()
collect_rarely()

try:
    PROJECT = load_project(config, Path(workflow.basedir) / "config" / "studies")
    if PROJECT.tracking_uri:
        kind_of(PROJECT.tracking_uri)
except TakeoffError as error:
    sys.exit(f"error: {error}")

STUDY = PROJECT.folder.as_posix()
DATA = PROJECT.data.as_posix()
CONFIG = PROJECT.configuration

# Files are named here rather than by the rule that makes them: a job on a cluster must not run that rule again.
CARD = f"{DATA}/card.json"
PLAN = f"{STUDY}/plan.csv"
STUDY_FILE = f"{STUDY}/study.json"
CRITERIA = f"{STUDY}/criteria.json"
SPEED = f"{STUDY}/speed.csv"
CLAIMS = f"{STUDY}/claims.csv"

# A job asks for a GPU where training will be on one, and on a cluster it keeps to what it asked for; the machine
# at hand has as many slots as `--resources gpu=N` says, or one. Without a limit `--cores all` would start them all.
GPUS = int(
    CONFIG.device == "cuda"
    or CONFIG.device == "auto"
    and not workflow.remote_exec
    and shutil.which("nvidia-smi") is not None
)
workflow.global_resources.setdefault("gpu", 1)


resource_scopes:
    gpu="local",
