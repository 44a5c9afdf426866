"""Studies as users write them, planned or refused where they are written, and the working directory they lie in."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import small_study
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import unprintable
from takeoff.workflow import digests
from takeoff.workflow.project import Project, load_project

TEXT = yaml.safe_dump(small_study(), sort_keys=False)
SECRET = "s3cret"
FEW = {"activation": {"baseline": "tanh", "treatment": "relu"}, "norm": {"baseline": "none", "treatment": "batch"}}


def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, also known as HERE and as the user's home, with some folders in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "HERE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    for name in ("folder", "my birds"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.tgz").touch()
    return tmp_path


def planned(text: str | bytes | None = None, name: str = "mine.yaml", **config: Any) -> Project:
    """The project of a study with this text, planned as the workflow's rules do, but for the time that it takes."""
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        config = {"study": name} | config
    project = load_project(config)
    assert project.arms
    assert project.packs + project.classical_packs
    digests.preparing(project.images)
    return project


def refused(text: str | bytes | None = None, name: str = "mine.yaml", **config: Any) -> str:
    """The one line that refuses it; nothing was made, and no password is in it."""
    before = set(Path().iterdir()) | {Path(name)}
    with pytest.raises(TakeoffError) as raised:
        planned(text, name, **config)
    message = str(raised.value)
    assert not unprintable(message)
    assert len(message) < 1200
    assert SECRET not in message
    assert set(Path().iterdir()) <= before
    return message


def changed(**values: Any) -> str:
    """The small study, with the values at these keys (`recipe__epochs`)."""
    study = small_study()
    for key, value in values.items():
        *above, last = key.split("__")
        place = study
        for part in above:
            place = place[part]
        place[last] = value
    return json.dumps(study)  # which is YAML, and has each value as it is


def of_images(archive: Any, **more: Any) -> str:
    """The study of images of one's own."""
    return changed(dataset=small_study()["dataset"] | {"name": "birds", "resolution": 32, "archive": archive} | more)


def switched(**experiments: Any) -> str:
    return changed(experiments=experiments, factors=FEW, budget={"runs": 100_000, "core_hours": 10**6})
