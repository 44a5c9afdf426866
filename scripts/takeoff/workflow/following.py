"""Finished arms appear in MLflow while others train: the importer runs beside the jobs, now and then."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from takeoff.common.places import SCRIPTS
from takeoff.data.card import CARD
from takeoff.workflow.project import Project
from takeoff.workflow.wiring import TRY


@dataclass
class Imports:
    """Imports of the arms that are finished, one at a time, from a study's `folder`; its images have this `card`.

    What fails stands in the log, and stops nothing: the workflow logs all runs at its end.
    """

    folder: Path
    card: str
    seconds: float
    """Between two imports."""
    options: Sequence[str] = ()
    """Of the importer, more."""
    _last: float = field(default_factory=time.monotonic)
    _logged: set[tuple[Path, int]] = field(default_factory=set)
    """Tables of runs, and when they were written, that the last import took in."""
    _running: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start an import where it is time, and arms finished since the last one that succeeded."""
        if time.monotonic() - self._last < self.seconds or (self._running and self._running.poll() is None):
            return
        self._last = time.monotonic()
        if self._running and self._running.returncode:
            self._logged = set()
        try:
            found = {(path, path.stat().st_mtime_ns) for path in self.folder.glob("arms/*/runs.parquet")}
            if found - self._logged:
                self._running, self._logged = self._start(), found
        except OSError:  # a full disk, or a job that has just removed a table: later
            return

    def _start(self) -> "subprocess.Popen[bytes]":
        line = [sys.executable, str(SCRIPTS / "track.py"), "--only", "finished", "--card", self.card]
        line += ["--study", str(self.folder / "study.json"), "--results", str(self.folder)]
        line += ["--out", str(self.folder / "tracked_finished.json"), *self.options]
        log = self.folder / "logs" / "track-finished.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("a", encoding="utf-8") as said:
            print(f"{TRY} {time.strftime('%FT%TZ', time.gmtime())}", file=said, flush=True)
            # Those who train go first.
            nicely = ["nice", "-n", "10", *line] if os.name == "posix" else line
            return subprocess.Popen(nicely, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def stop(self) -> None:
        """End an import that runs: a run that it left half-made is made anew by the next one."""
        if self._running and self._running.poll() is None:
            self._running.terminate()
            self._running.wait()


def imports_of(project: Project) -> Imports | None:
    """Those of a project, unless its configuration logs nothing, or all at the end."""
    machine = project.configuration
    if not (project.tracking_uri and machine.tracking_minutes) or machine.partial:
        return None
    options = [] if machine.weights_kept else ["--no-models"]
    card = project.images.prepared / CARD
    return Imports(project.folder, str(card), 60 * machine.tracking_minutes, options)
