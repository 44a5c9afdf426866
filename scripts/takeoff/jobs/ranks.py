"""One command as several processes that train each run together: started by torchrun, or on a cluster by srun.

Each process, a rank, makes the same decisions from the same files and numbers; the first one writes.
"""

import os
import sys
from datetime import timedelta

import torch
from torch import distributed

from takeoff.common.errors import TakeoffError
from takeoff.common.parent import LAUNCHER, VARIABLE

STARTED = "TAKEOFF_RANKS"
"""Says in the environment of each of these processes how many there are."""
FIRST_PORT, PORTS = 20_000, 20_000
"""Of a Slurm job's first process, by the job's number, where its ranks meet."""
WAIT = timedelta(minutes=30)
"""For the slowest rank, which may read images from a slow disk."""


def start(ranks: int) -> None:
    """Become so many processes of the command that runs, unless it is one of them."""
    if ranks == 1 or STARTED in os.environ:
        return
    environment = os.environ | {STARTED: str(ranks)}
    if os.environ.get("SLURM_NTASKS") == str(ranks):
        environment.pop(VARIABLE, None)  # Slurm ends every rank with its job, on other nodes, too
        words = ["srun", f"--ntasks={ranks}", "--kill-on-bad-exit=1"]
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):  # which srun does not take from the job since Slurm 22.05
            words.append(f"--cpus-per-task={cores}")
        words += [sys.executable, *sys.argv]
    else:
        environment[LAUNCHER] = str(os.getpid())  # this process becomes torchrun
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *sys.argv]
    sys.stdout.flush()
    os.execvpe(words[0], words, environment)


def started() -> int:
    """How many processes train each run together, of which this is one."""
    return int(os.environ.get(STARTED, "1"))


def join(device: torch.device) -> tuple[int, int]:
    """Meet the other ranks of this command, if it has any: which one this is, and how many there are.

    A `TakeoffError` says where the processes that were started are not as many.
    """
    ranks = started()
    if ranks == 1:
        return 0, 1
    if not distributed.is_initialized():
        if "RANK" not in os.environ:
            _as_torchrun_does()
        if int(os.environ["WORLD_SIZE"]) != ranks:
            raise TakeoffError(
                f"{os.environ['WORLD_SIZE']} processes were started; valid: {ranks}, as gpus_per_run says"
            )
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=WAIT, device_id=device if device.type == "cuda" else None)
    return distributed.get_rank(), ranks


def leave() -> None:
    """Part from the other ranks at the end of all work: a thread of theirs that outlives Python would abort it."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _as_torchrun_does() -> None:
    """Say where ranks meet, from what Slurm says of its tasks."""
    given = os.environ
    first = given["SLURM_STEP_NODELIST"]
    if "[" in first:  # node[3-5,8] and the like
        stem, _, numbers = first.partition("[")
        first = stem + numbers.partition(",")[0].partition("-")[0].rstrip("]")
    given["MASTER_ADDR"] = first.partition(",")[0] if given["SLURM_STEP_NUM_NODES"] != "1" else "127.0.0.1"
    given["MASTER_PORT"] = str(FIRST_PORT + int(given["SLURM_JOB_ID"]) % PORTS)
    given |= {"RANK": given["SLURM_PROCID"], "WORLD_SIZE": given["SLURM_STEP_NUM_TASKS"]}


def wait_for_all(ranks: int) -> None:
    """Wait until every rank is here: what the first one wrote before can be read."""
    if ranks > 1:
        distributed.barrier()
