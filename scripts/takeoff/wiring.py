"""How the workflow's rules call the commands in scripts/: shell lines, folders, and the Python they run in."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

SCRIPTS = Path(__file__).parent.parent


def script(verb: str) -> str:
    """The path of a command, seen from where the workflow runs, so that a clone may move."""
    path, here = SCRIPTS / f"{verb}.py", Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def command(verb: str, arguments: str) -> str:
    """A rule's shell line: output goes to its log, and what a person must read to the terminal too."""
    return f"python {quote(script(verb))} {arguments} > {{log:q}} 2> >(tee -a {{log:q}} >&2)"


def option(name: str, value: object) -> str:
    """An option of a command and its value, quoted; nothing where there is no value."""
    return f"--{name} {quote(str(value))}" if value else ""


def folder_of(key: str | None = None) -> Callable[..., str]:
    """A param: the folder of the rule's first output or, by name, of one of its inputs."""
    if key is None:
        return lambda wildcards, output: Path(output[0]).parent.as_posix()
    # A list of files is in one folder.
    return lambda wildcards, input: _first(input[key]).parent.as_posix()  # noqa: A006 (Snakemake's own name)


def _first(files: Any) -> Path:
    return Path(files if isinstance(files, str) else files[0])


def run_in_this_python() -> None:
    """Let jobs find the Python that runs the workflow, whether or not its environment is activated."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def log_to(uri: str) -> None:
    """Tell jobs of this machine where MLflow is; their command lines, which logs and reports show, tell no password."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
