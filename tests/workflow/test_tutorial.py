"""The tutorial's commands, run as they stand, one after the other."""

import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY
from snakemake_command import BIN, clone

STEPS = re.findall(r"^```sh\n(.*?)^```$", (REPOSITORY / "config" / "TUTORIAL.md").read_text(), re.DOTALL | re.MULTILINE)


def trained(folder: Path, study: str) -> set[str]:
    """The files of finished runs."""
    return {path.name for path in folder.glob(f"results/{study}/arms/*/runs/*.json")}


@pytest.mark.slow
def test_every_step_does_what_it_says(tmp_path: Path) -> None:
    assert len(STEPS) == 6
    home = clone(tmp_path / "clone")
    for name in ("Makefile", "requirements.lock"):
        (home / name).symlink_to(REPOSITORY / name)
    # The environment is that of the tests, and counts as made.
    (home / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (home / ".venv" / name).symlink_to(BIN.parent / name)
    (home / ".venv" / "ready").touch()
    # MLflow has tests of its own.
    config = home / "config" / "config.yaml"
    config.write_text(config.read_text().replace("tracking_uri: null", "tracking_uri: 'off'"))
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(step: int) -> str:
        line = ["bash", "-euo", "pipefail", "-c", STEPS[step - 1]]
        done = subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run(1)
    first = trained(home, "pictures")
    assert len(first) == 4 * (2 + 2)
    assert "ReLU instead of tanh" in (home / "results" / "pictures" / "summary.md").read_text()
    run(2)
    assert trained(home, "pictures") == first
    before = trained(home, "activation")
    run(3)
    assert not before
    assert trained(home, "activation") == first  # copied, and none beside them
    effects = pd.read_csv(home / "results" / "activation" / "factorial" / "effects.csv")
    assert set(effects["term"]) == {"activation"}
    run(4)
    assert len(trained(home, "pictures") - first) == 4 * 2
    assert first <= trained(home, "pictures")
    said = run(5)
    gelu = home / "results" / "pictures,factors.activation.treatment=gelu"
    assert (gelu / "report.html").is_file()
    assert "GELU instead of tanh" in said
    assert "4 arms, 24 runs" in run(6)
