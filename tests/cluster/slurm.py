"""A real Slurm cluster on this machine: two nodes with a GPU each that is none, all files in one folder."""

import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from gpu_driver import make_driver

NODES = ("n1", "n2")
DAEMONS = ("munged", "slurmctld", "slurmd")
INSTALL = "apt-get install --no-install-recommends munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins"
SBIN = os.pathsep + "/usr/sbin"


def why_not() -> str | None:
    """Why no cluster can start here, if so."""
    missing = [name for name in DAEMONS if not shutil.which(name, path=os.environ["PATH"] + SBIN)]
    if missing:
        return f"needs {', '.join(missing)} ({INSTALL})"
    return None if os.geteuid() == 0 else "Slurm's daemons and its device files need root"


@dataclass(frozen=True)
class Job:
    """What Slurm knows of a job."""

    number: str
    state: str
    node: str
    partition: str
    rule: str
    gpus: str
    """As required: `gres:gpu:1`, or `N/A`."""


@dataclass(frozen=True)
class Slurm:
    """A cluster that runs."""

    state: Path

    @property
    def environment(self) -> dict[str, str]:
        """What commands need to find the cluster."""
        path = f"{self.state / 'bin'}{os.pathsep}{os.environ['PATH']}{SBIN}"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        return clean | {"PATH": path, "SLURM_CONF": str(self.state / "slurm.conf")}

    def __call__(self, *command: str) -> str:
        """What one of Slurm's commands answers."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300, check=True)
        return done.stdout.strip()

    def jobs(self, folder: Path) -> list[Job]:
        """Every job that was submitted from a folder, in order."""
        columns = "JobID:|,State:|,NodeList:|,Partition:|,Comment:|,tres-per-job:|,WorkDir:1000"
        table = self("squeue", "--all", "--states=all", "--noheader", "--sort=i", f"--Format={columns}")
        rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
        return [
            Job(number, state, node, partition, comment.removeprefix("rule_"), gpus)
            for number, state, node, partition, comment, gpus, place in rows
            if place == str(folder)
        ]

    def cancel_all(self) -> None:
        """Cancel every job, and wait until none is left."""
        self("scancel", "--user=root")
        wait_for(lambda: not self("squeue", "--noheader"), "jobs to end")


@contextmanager
def slurm(state: Path) -> Iterator[Slurm]:
    """Start a cluster, and stop it whatever happens."""
    cluster = Slurm(state)
    _write_configuration(state)
    with ExitStack() as running:

        def start(*line: str) -> None:
            running.enter_context(_daemon(line, cluster.environment))

        munge = state / "munge.socket"
        start(
            "munged", "--foreground", "--force", f"--socket={munge}", f"--key-file={state / 'munge.key'}",
            f"--seed-file={state / 'munge.seed'}", f"--pid-file={state / 'munge.pid'}",
        )  # fmt: skip
        wait_for(munge.exists, "munged")
        start("slurmctld", "-D", "-c")
        wait_for(lambda: " UP" in _try(cluster, "scontrol", "ping"), "slurmctld")
        for node in NODES:
            start("slurmd", "-D", "-N", node)
        wait_for(lambda: _try(cluster, "sinfo", "-h", "-N", "-p", "cpu", "-o", "%t") == "idle\nidle", "nodes")
        try:
            yield cluster
        finally:
            cluster.cancel_all()


def wait_for(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until `true` is."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not there after {seconds:g} s")
        time.sleep(0.1)


def _try(cluster: Slurm, *command: str) -> str:
    try:
        return cluster(*command)
    except subprocess.CalledProcessError:
        return ""


@contextmanager
def _daemon(line: tuple[str, ...], environment: dict[str, str]) -> Iterator[None]:
    program = str(shutil.which(line[0], path=environment["PATH"]))
    # A session of its own, or an interrupt at the terminal would stop it before the jobs are cancelled.
    process = subprocess.Popen(
        [program, *line[1:]], env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _write_configuration(state: Path) -> None:
    for folder in ("bin", "controller", *(f"spool-{node}" for node in NODES)):
        (state / folder).mkdir(parents=True)
    key = state / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))

    # Slurm counts device files as GPUs; any character device will do, and this one is /dev/null.
    gpu = state / "gpu0"
    os.mknod(gpu, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (state / "gres.conf").write_text(f"AutoDetect=off\nNodeName={','.join(NODES)} Name=gpu File={gpu}\n")

    host = socket.gethostname().split(".")[0]
    port, *ports = _free_ports(1 + len(NODES))
    template = Template(Path(__file__).with_name("slurm.conf.in").read_text(encoding="utf-8"))
    configuration = template.substitute(state=state, host=host, port=port)
    for node, node_port in zip(NODES, ports, strict=True):
        configuration += (
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} "
            "CPUs=8 RealMemory=16000 Gres=gpu:1 State=UNKNOWN\n"
        )
    (state / "slurm.conf").write_text(configuration)

    # A job calls srun without SLURM_CONF: the plugin drops every such variable.
    _write_command(state / "bin" / "srun", f'SLURM_CONF={state / "slurm.conf"} exec {shutil.which("srun")} "$@"')
    # Nodes show a GPU, and where jobs are submitted there is none.
    make_driver(state / "node-driver")
    _write_command(state / "prolog", f'echo "export LD_LIBRARY_PATH={state / "node-driver"}"')


def _write_command(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as sockets:
        taken = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]
