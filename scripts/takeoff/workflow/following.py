"""Finished arms appear in MLflow while others train: the importer runs beside the jobs, now and then."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from takeoff.common.places import SCRIPTS


@dataclass
class Imports:
    """Imports of the arms that are finished, one at a time, from a study's `folder`; its images have this `card`.

    What fails stands in the log, and stops nothing: the workflow logs all runs at its end.
    """

    folder: Path
    card: str
    seconds: float
    """Between two imports."""
    _last: float = field(default_factory=time.monotonic)
    _seen: int = 0
    _running: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start an import where it is time, and arms finished since the last one."""
        if time.monotonic() - self._last < self.seconds or (self._running and self._running.poll() is None):
            return
        self._last, finished = time.monotonic(), sum(1 for _ in self.folder.glob("arms/*/runs.parquet"))
        if finished == self._seen:
            return
        self._seen = finished
        line = [sys.executable, str(SCRIPTS / "track.py"), "--only", "finished", "--card", self.card]
        line += ["--study", str(self.folder / "study.json"), "--results", str(self.folder)]
        log = self.folder / "logs" / "track-finished.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as said:
            # Those who train go first.
            nicely = ["nice", "-n", "10", *line] if os.name == "posix" else line
            self._running = subprocess.Popen(nicely, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def stop(self) -> None:
        """End an import that runs: a run that it left half-made is made anew by the next one."""
        if self._running and self._running.poll() is None:
            self._running.terminate()
            self._running.wait()
