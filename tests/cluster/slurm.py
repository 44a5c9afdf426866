"""A real Slurm cluster on this machine: two nodes with a GPU each that is none, all files in one folder."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import psutil
from cluster.accounting import PACKAGES, PROGRAMS, mariadb, write_accounting
from gpu_driver import make_driver

NODES = ("n1", "n2")
DAEMONS = ("munged", "slurmctld", "slurmd")
INSTALL = "apt-get install --no-install-recommends munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins"
SBIN = os.pathsep + "/usr/sbin"
PARTITIONS = "PartitionName=cpu Nodes=ALL Default=YES\nPartitionName=gpu Nodes=ALL"


@dataclass(frozen=True)
class Layout:
    """What a cluster is made of."""

    nodes: tuple[str, ...] = NODES
    with_gpu: tuple[str, ...] = NODES
    partitions: str = PARTITIONS
    settings: str = ""
    """Lines for slurm.conf."""
    accounting: bool = False
    """Whether slurmdbd runs, so that `sacct` answers and limits hold."""


def why_not(layout: Layout = Layout()) -> str | None:
    """Why no cluster can start here, if so."""
    daemons = DAEMONS + (PROGRAMS if layout.accounting else ())
    missing = [name for name in daemons if not shutil.which(name, path=os.environ["PATH"] + SBIN)]
    if missing:
        return f"needs {', '.join(missing)} ({INSTALL}{f' {PACKAGES}' if layout.accounting else ''})"
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
    lines: dict[str, list[str]]
    """Daemon → the line that starts it, in order; a node's has its name."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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

    def start(self, name: str) -> None:
        """Start a daemon, and wait until it answers."""
        first, *rest = self.lines[name]
        program = str(shutil.which(first, path=self.environment["PATH"]))
        # A session of its own, or an interrupt at the terminal would stop it before the jobs are cancelled.
        self.running[name] = subprocess.Popen(
            [program, *rest], env=self.environment, start_new_session=True, cwd=self.state,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: self._answers(name), name)

    def kill(self, name: str) -> None:
        """Kill a daemon; of a node, its jobs with it."""
        self._stop(name, signal.SIGKILL)
        for process in [*_of_node(self.state, name)]:
            process.kill()

    def stop(self) -> None:
        """Stop what runs, the last that was started first."""
        for name in reversed(self.running.copy()):
            self._stop(name, signal.SIGTERM)

    def _stop(self, name: str, number: int) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self, name: str) -> bool:
        """Whether a daemon does what the next one needs."""
        if name == "munged":
            return (self.state / "munge.socket").exists()
        if name == "mariadbd":
            return (self.state / "mysql.socket").exists()
        if name == "slurmdbd":
            return bool(
                self._try("sacctmgr", "--noheader", "list", "cluster", "format=cluster")
                or self._try("sacctmgr", "--immediate", "add", "cluster", "takeoff")
            )
        if name == "slurmctld":
            return " UP" in self._try("scontrol", "ping")
        states = self._try("sinfo", "--noheader", "--Node", f"--nodes={name}", "--format=%t").split()
        return bool(states) and set(states) <= {"idle", "mix", "alloc"}

    def _try(self, *command: str) -> str:
        try:
            return self(*command)
        except subprocess.CalledProcessError:
            return ""


@contextmanager
def slurm(state: Path, layout: Layout = Layout()) -> Iterator[Slurm]:
    """Start a cluster, and stop it whatever happens."""
    cluster = Slurm(state, _written(state, layout))
    try:
        for name in cluster.lines:
            cluster.start(name)
        yield cluster
        cluster.cancel_all()
    finally:
        cluster.stop()


def _of_node(state: Path, name: str) -> Iterator[psutil.Process]:
    """What runs for the jobs of a node: their processes, and those of Slurm that watch them."""
    spool = str(state / f"spool-{name}")
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            own = environment.get("SLURMD_NODENAME") == name and str(state) in environment["PATH"]
            sockets = process.net_connections("unix") if process.name() == "slurmstepd" else []
            if own or any(str(one.laddr).startswith(spool) for one in sockets):
                yield process


def wait_for(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until `true` is."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not there after {seconds:g} s")
        time.sleep(0.1)


def _written(state: Path, layout: Layout) -> dict[str, list[str]]:
    """Write the configuration of a cluster; the lines that start its daemons."""
    for folder in ("bin", "controller", *(f"spool-{node}" for node in layout.nodes)):
        (state / folder).mkdir(parents=True)
    key = state / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))

    # Slurm counts device files as GPUs; any character device will do, and this one is /dev/null.
    gpu = state / "gpu0"
    os.mknod(gpu, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (state / "gres.conf").write_text(f"AutoDetect=off\nNodeName={','.join(layout.with_gpu)} Name=gpu File={gpu}\n")

    host = socket.gethostname().split(".")[0]
    port, accounting, database, *ports = _free_ports(3 + len(layout.nodes))
    template = Template(Path(__file__).with_name("slurm.conf.in").read_text(encoding="utf-8"))
    configuration = template.substitute(state=state, host=host, port=port) + layout.settings
    for node, node_port in zip(layout.nodes, ports, strict=True):
        configuration += (
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs=8 RealMemory=16000 "
            f"{'Gres=gpu:1' * (node in layout.with_gpu)} State=UNKNOWN\n"
        )
    configuration += layout.partitions
    munged = [
        "munged", "--foreground", "--force", f"--socket={state / 'munge.socket'}", f"--key-file={state / 'munge.key'}",
        f"--seed-file={state / 'munge.seed'}", f"--pid-file={state / 'munge.pid'}",
    ]  # fmt: skip
    lines = {"munged": munged}
    if layout.accounting:
        configuration += write_accounting(state, host, accounting, database)
        lines |= {"mariadbd": mariadb(state, database), "slurmdbd": ["slurmdbd", "-D"]}
    lines |= {"slurmctld": ["slurmctld", "-D"]} | {node: ["slurmd", "-D", "-N", node] for node in layout.nodes}
    (state / "slurm.conf").write_text(configuration)

    # A job calls srun without SLURM_CONF: the plugin drops every such variable.
    _write_command(state / "bin" / "srun", f'SLURM_CONF={state / "slurm.conf"} exec {shutil.which("srun")} "$@"')
    # Nodes show a GPU, and where jobs are submitted there is none.
    make_driver(state / "node-driver")
    _write_command(state / "prolog", f'echo "export LD_LIBRARY_PATH={state / "node-driver"}"')
    return lines


def _write_command(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as sockets:
        taken = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]
