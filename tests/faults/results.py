"""The results of a small study, made command by command as the workflow calls them, without it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from conftest import small_study
from takeoff.experiments.registry import enabled, wanted
from takeoff.study.loading import load_study
from takeoff.study.manifest import changed_files
from takeoff.study.planned import planned_arms, write_arm
from takeoff.workflow.digests import changed

from faults.processes import ended, started

ARM = "relu"
STEPS = ("experiment", "judge", "summarise")


@dataclass
class Results:
    """A study, its images and its results, in one folder; what commands say goes to a log."""

    folder: Path
    log: Path

    @property
    def own(self) -> Path:
        return self.folder / "small"

    @property
    def arm(self) -> Path:
        return self.own / "arms" / ARM

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def source(self) -> Path:
        return self.folder / "small.yaml"

    def do(self, command: str, *arguments: object) -> str | None:
        """The line with which a command refuses, or None."""
        self.log.unlink(missing_ok=True)
        code = ended(started(command, *arguments, log=self.log))
        if code == 0:
            return None
        said = self.log.read_text(encoding="utf-8").splitlines()
        assert code == 1, said
        errors = [line for line in said if line.startswith("error: ")]
        assert errors == said[-1:], said
        assert "that Takeoff does not know" not in errors[0]
        return errors[0]

    def plan(self) -> None:
        """Write the arms down that are not as planned, as the workflow does."""
        study = load_study(self.source)
        for arm in planned_arms(study, wanted(enabled(study, str(self.source)))):
            path = self.arm.parent / arm.name / "arm.json"
            if changed(path, arm):
                write_arm(path, arm)

    def train(self) -> str | None:
        """Train what is missing, once the workflow has removed what was changed."""
        self.plan()
        for path in changed_files([self.arm]):
            path.unlink()
        return self.do("train", "--data", self.data, "--device", "cpu", *self.arm.parent.iterdir())

    def report(self, step: str) -> str | None:
        """Analyse, judge or sum up."""
        own, data = self.own, ("--data", self.data)
        common = ("--study", self.source, "--results", own)
        if step == "experiment":
            return self.do("analyse", step, "factorial", *common, *data, "--out", own / "factorial")
        if step == "judge":
            return self.do(step, *common, *data, "--out", own)
        return self.do(step, *common, "--card", self.data / "card.json", "--out", own / "summary.md")

    def copied(self, place: Path) -> "Results":
        """A copy, to be damaged."""
        shutil.copytree(self.folder, place)
        return Results(place, place.parent / "log.txt")


def finished_results(place: Path, digits: Path) -> Results:
    """Results to which nothing has happened."""
    place.mkdir()
    results = Results(place, place.parent / "log.txt")
    results.source.write_text(yaml.safe_dump(small_study()))
    shutil.copytree(digits, results.data)
    own, card = results.own, results.data / "card.json"
    written = ("--out", own / "plan.csv", "--study-out", own / "study.json", "--criteria-out", own / "criteria.json")
    assert results.do("plan", "--study", results.source, "--card", card, *written, "--arms-out", own / "arms") is None
    assert results.train() is None
    assert [results.report(step) for step in STEPS] == [None] * len(STEPS)
    return results
