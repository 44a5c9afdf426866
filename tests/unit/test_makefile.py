"""What the Makefile hands on to the commands."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

GIVEN = {"STUDY": "Bob's $x.yaml", "SET": "title='a \"b\" $HOME `id`' seeds=3", "ARCHIVES": "digits: $HOME/it's"}


@pytest.mark.parametrize("way", ["command line", "environment"])
def test_quotes_and_dollars_reach_the_commands_as_they_were_given(tmp_path: Path, way: str) -> None:
    (tmp_path / "ready").touch()  # an environment that is newer than what it is made of
    words = ["make", "--silent", "plan", f"VENV={tmp_path}", "RUN=printf '%s\\n'"]
    environment = dict(os.environ)
    if way == "environment":
        environment |= GIVEN
    else:
        words += [f"{key}={value}" for key, value in GIVEN.items()]
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    expected = [f"study={GIVEN['STUDY']}", f"set={GIVEN['SET']}", f"archives={{{GIVEN['ARCHIVES']}}}"]
    assert said[said.index("--config") + 1 : said.index("--")] == expected
