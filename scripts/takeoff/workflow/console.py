"""What a person sees while the workflow runs: one live line on a terminal, plain lines elsewhere, and at the end what
was found or what went wrong. Snakemake's log file keeps all that Snakemake says.

It takes the place of Snakemake's handler for the terminal, and follows the same records.
"""

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from takeoff.study.model import Study
from takeoff.workflow.following import Imports
from takeoff.workflow.watching import Now, Watch, described, duration
from takeoff.workflow.wiring import BENCHMARK, TRIES, Commands

SNAKEMAKES = "DefaultStreamHandler"
"""The name of Snakemake's own handler for the terminal."""
QUIET = re.compile(
    r"Building DAG of jobs|Using shell|Provided (cores|resources)|Rules claiming|Select jobs|Execute \d+ jobs|"
    r"Conda environments: ignored|Assuming unrestricted|Config file|Removing output files|Complete log|Elapsed time|"
    r"Workflow finished|Touching output|Waiting at most|Exiting because a job|Write-protecting|Trying to restart|"
    r"Creating report|Adding .* \(.*B\)\.$|Report created|Cannot restore|"
    r".*has been submitted with SLURM|SLURM run ID|Shutting down|Will exit after|Removing temporary|storing outputs"
)
"""Records of no event of their own that say nothing of the study."""
EVERY = 30.0
"""Seconds between two plain lines."""
TICK = 0.5
"""Seconds between two looks at what the jobs have written."""
STAGES = {
    "fetch": "downloading images",
    "prepare": "preparing images",
    "study": "planning",
    "probe": "timing steps",
    "measure": "timing training, beside plain loops",
    "judge": "judging claims",
    "track_runs": "logging runs to MLflow",
    "track": "logging figures and verdicts to MLflow",
    "summary": "writing the summary",
}
"""What a rule is doing, in words."""
LAST = 20
"""Lines of a job's log, at most, that say why it failed."""
PRINTS = {"plan", "compare"}
"""Rules whose output is for the terminal."""
TRAINS = re.compile(r"(?:^|_)((?:train|fit_classical)_\d+)$")
"""How the name of a rule ends that trains a pack of arms; as a module's it may begin otherwise."""
RUN = re.compile(r"\d\d:\d\d:\d\d  ")
"""How a line of a job's log begins that says how a run ended."""


@dataclass
class Job:
    """A job of Snakemake's: its rule, and its log."""

    rule: str
    log: Path | None
    read: int = 0
    """Bytes of the log that were shown, or are of an earlier try."""

    def __post_init__(self) -> None:
        kept = self.log and self.log.parent / TRIES / self.log.name
        self.read = kept.stat().st_size if kept and kept.exists() else 0

    @property
    def stage(self) -> str | None:
        """What it is doing; None of training, which says so itself."""
        if TRAINS.search(self.rule):
            return None
        verb, _, rest = self.rule.partition("_")
        if verb in {"analyse", "draw"} and rest:
            return f"{'analysing' if verb == 'analyse' else 'drawing'} {rest}"
        return STAGES.get(self.rule, self.rule)

    def lines(self) -> Iterator[str]:
        """What its log says of runs that ended since the last call."""
        if self.log is None or not TRAINS.search(self.rule):
            return
        try:
            with self.log.open("rb") as file:
                file.seek(self.read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self.read += len(whole + newline)
        yield from (line for line in whole.decode(errors="replace").splitlines() if RUN.match(line))

    def reason(self) -> list[str]:
        """Why it failed: the end of its log, from the error on."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log else []
        except OSError:
            lines = []
        began = [n for n, line in enumerate(lines) if line.startswith(("error: ", "Traceback (most recent"))]
        return lines[began[-1] if began else -LAST :][-LAST:]


@dataclass
class Console(logging.Handler):
    """Follows Snakemake's records, and shows a study's progress and end."""

    before: logging.StreamHandler[Any]
    """Snakemake's own handler, whose words are used where it has something to say."""
    running: dict[int, Job] = field(default_factory=dict)
    failed: dict[int, Job] = field(default_factory=dict)
    begun: dict[str, Job] = field(default_factory=dict)
    """By their rules, the jobs that have begun."""
    made: bool = False
    """Whether results were made, and not only something printed."""
    looks: bool = True
    """Whether Snakemake was called to look at something, as in a dry run, or a rule prints something for people."""
    interrupted: bool = False
    imports: Imports | None = None
    """Of finished arms into MLflow, while others train."""

    def __post_init__(self) -> None:
        super().__init__()
        self.terminal = Terminal(file=self.before.stream, highlight=False, soft_wrap=True)
        self.began = time.monotonic()
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: Live | None = None

    def follows(
        self,
        study: Study,
        folder: Path,
        at_once: int,
        called: Mapping[str, str],
        packs: Mapping[str, Sequence[str]],
        commands: Commands,
    ) -> None:
        """Of which study, in which folder, with how many runs beside each other, there is progress to show; what arms
        are called there, which of them each rule trains, and what its user may call next.
        """
        self.study, self.folder, self.watch = study, folder, Watch(folder, max(1, at_once))
        self.called, self.packs, self.commands = called, packs, commands

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what Snakemake says: jobs that begin, end and fail; what else matters is shown."""
        try:
            if not self._took(record) and self.before.filter(record):
                self._say(_last_of_traceback(self.before.format(record)))
            if str(record.msg).startswith("Nothing to be done"):  # after which Snakemake calls nothing
                self.watch.asked = frozenset()
                self.succeeded()
        except Exception:  # as `logging` has it: what is said stops nothing
            self.handleError(record)

    def _took(self, record: logging.LogRecord) -> bool:
        """Whether a record is no concern of a person's as it stands."""
        event, own = getattr(record, "event", None), record.__dict__
        if event == "job_info":
            log = own.get("log") or []
            new = Job(own["rule_name"], Path(log[0]) if log else None)
            self.running[own["jobid"]] = self.begun[new.rule] = new
            if own["rule_name"] in PRINTS:
                self.looks = True
                self._stop()
            else:
                self._start()
        elif event == "job_finished":
            self._show_runs(self.running.pop(own["job_id"], None))
            self.failed.pop(own["job_id"], None)
        elif event == "job_error":
            if job := self.running.pop(own["jobid"], None):
                self.failed[own["jobid"]] = job
        elif event == "run_info":
            trained = [found[1] for rule in own["stats"] if (found := TRAINS.search(rule))]
            self.watch.asked = frozenset(arm for rule in trained for arm in self.packs.get(rule, ()))
        elif event == "error":
            # Of a job that failed more is said at the end; an error of the workflow's own is shown.
            of_job = own.get("exception") in {"RuleException", "CalledProcessError"}
            return of_job or "At least one job did not complete" in str(record.msg)
        elif event is None:
            self.interrupted |= str(record.msg).startswith("Terminating processes on user request")
            return _quiet(record)
        return True

    def succeeded(self) -> None:
        """Say what was found, and where it is."""
        self._stop()
        if self._measures:
            log = next((job.log for job in self.begun.values() if job.log), None)
            took = duration(time.monotonic() - self.began)
            where = f"; its tables and figure are in {log.parent.parent.as_posix()}" if log else ""
            self._say(f"benchmark: done in {took}{where}")
            return
        if not self.made and (self.looks or not (self.folder / "claims.csv").exists()):
            return
        from takeoff.reporting.found import found_lines, read_found  # takes pandas, which only the end needs

        now = self.watch.now()
        runs = f"{now.runs} runs, " if now else ""
        how = f"done in {duration(time.monotonic() - self.began)}" if self.made else "all there, nothing to do"
        self._say(f"{self.study.title}: {runs}{how}")
        for line in found_lines(read_found(self.folder, self.study)):
            self._say(f"  {line}")
        if (self.folder / "summary.md").exists():
            self._say(f"  in a page: {self.folder.as_posix()}/summary.md, with tables and figures beside it")
            self._say(f"  one page to keep or send: {self.commands.report}")
        self._say(f"  every run in MLflow's UI: {self.commands.ui}")

    def stopped(self) -> None:
        """Say what went wrong, or that the user stopped it, and how to go on."""
        self._stop()
        for job in [] if self.interrupted else self.failed.values():
            self._say(f"failed: {job.rule}{f', whose log is {job.log}' if job.log else ''}")
            for line in job.reason():
                self._say(f"  {line}")
        now = None if self._measures else self.watch.now()
        kept = f"{now.finished} of {now.runs} runs are finished, and kept" if now else "what is finished is kept"
        first, when = ("stopped: ", "to go on") if self.interrupted else ("", "once that is put right, to go on")
        self._say(f"{first}{kept}; {when}, run the same command again")

    @property
    def _measures(self) -> bool:
        """Whether this is a benchmark alone; not as long as no job has begun, when nobody can tell."""
        return bool(self.begun) and self.begun.keys() <= BENCHMARK

    def _start(self) -> None:
        """Show progress from now on, until the end."""
        self.made = True
        if self._thread is not None:
            return
        if self.terminal.is_terminal:
            self._live = Live(console=self.terminal, refresh_per_second=4, transient=True)
            self._live.start()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        self._ends.set()
        if self._thread:
            self._thread.join()
        if self.imports:
            self.imports.stop()
        if self._live:
            self._live.stop()

    def _follow(self) -> None:
        said, last = -EVERY, ""
        while not self._ends.wait(TICK):
            now = self.watch.now()
            if self.imports and now and now.training:
                self.imports.look()
            if self._live:
                self._live.update(self._picture(now))
                continue
            for job in list(self.running.values()):
                self._show_runs(job)
            if time.monotonic() - said >= EVERY and (line := self._line(now)) != last:
                self._say(f"{time.strftime('%H:%M:%S')}  {line}")
                said, last = time.monotonic(), line

    def _show_runs(self, job: Job | None) -> None:
        if job and not self._live:
            for line in job.lines():
                self._say("  ".join(self.called.get(part, part) for part in line.split("  ")))

    def _doing(self, now: Now | None, most: int = 3) -> str:
        """What runs now, in words."""
        stages = [stage for job in list(self.running.values()) if (stage := job.stage)]
        training = [described(now.training, most, self.called)] if now and now.training else []
        return "; ".join([*training, *dict.fromkeys(stages)])

    def _line(self, now: Now | None) -> str:
        if now is None or self._measures:
            return self._doing(None) or "planning"
        left = f", {duration(now.seconds_left)} of training left" if now.seconds_left is not None else ""
        doing = self._doing(now)
        return f"{now.finished} of {now.runs} runs{left}{f': {doing}' if doing else ''}"

    def _picture(self, now: Now | None) -> Table:
        """A bar of the expected computation, and below it what runs."""
        grid = Table.grid()
        if not self._measures:
            left = "" if now is None or now.seconds_left is None else f"{duration(now.seconds_left)} of training left"
            runs = f"{now.finished} of {now.runs} runs" if now else ""
            bar = ProgressBar(total=1.0, completed=now.share if now else 0.0, width=30)
            first = Table.grid(padding=(0, 2))
            first.add_row(self.study.title, bar, runs, left)
            grid.add_row(first)
        doing = self._doing(now, 2) or ("planning" if now is None else "starting jobs")
        grid.add_row(Text(doing, style="dim", no_wrap=True, overflow="ellipsis"))
        return grid

    def _say(self, text: str) -> None:
        self.terminal.print(Text.from_ansi(text))


def _last_of_traceback(text: str) -> str:
    """What Snakemake says, of a traceback its last line alone, as where the disk of its own state is full."""
    before, traceback, rest = text.partition("Traceback (most recent call last):")
    return f"{before.strip()} {rest.strip().splitlines()[-1]}" if traceback and rest.strip() else text


def _quiet(record: logging.LogRecord) -> bool:
    return QUIET.match(str(record.msg or "")) is not None or not record.msg


def console_of(workflow: Any) -> Console | None:
    """The console of this run; None in a job, and where Snakemake's own words were asked for.

    A workflow that uses this one as a module speaks for itself.
    """
    words = workflow.output_settings
    own = workflow.is_main_process and workflow.modifier.is_main_snakefile()
    if not own or words.dryrun or words.verbose or words.debug_dag or words.quiet:
        return None
    from snakemake.logging import logger

    return console(logger)


def console(logger: logging.Logger) -> Console | None:
    """A console in the place of Snakemake's own handler for the terminal; None where it has another."""
    before = next((one for one in logger.handlers if one.name == SNAKEMAKES), None)
    if not isinstance(before, logging.StreamHandler):
        return None
    logging.raiseExceptions = False  # a log file on a full disk is not for the terminal
    made = Console(before)
    logger.removeHandler(before)
    logger.addHandler(made)
    return made
