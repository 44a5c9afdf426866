"""How the workflow's rules call the commands: shell lines, folders, and the Python they run in."""

import csv
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from getpass import getuser
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from takeoff.common.addresses import OF_ARCHIVE, without_secrets
from takeoff.common.documents import read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.places import CLONED, SCRIPTS, configured

TRY = "=== try of"
"""How the line of a log begins that stands before what one try of a job says."""


class Commands(NamedTuple):
    """Lines for a terminal: what a user may call next."""

    report: str
    ui: str


TRIES = ".tries"
"""The folder beside logs in which they have a second name: before a job Snakemake removes its log."""
_BEGIN = (
    f'l={{log:q}}; k="$(dirname "$l")/{TRIES}/$(basename "$l")"; mkdir -p "${{{{k%/*}}}}"; touch "$k"; '
    f'ln -f "$k" "$l" 2> /dev/null || true; echo "{TRY} $(date -u +%FT%TZ)" >> {{log:q}};'
)


LOOKS = frozenset(
    "plan compare --lint -l --unlock --summary -S --detailed-summary -D --dag --rulegraph --filegraph --d3dag "
    "--archive --list --list-rules --list-target-rules --lt --list-changes --lc --list-input-changes --li "
    "--list-params-changes --lp --list-untracked --lu --list-conda-envs --cleanup-metadata --cm --delete-all-output "
    "--delete-temp-output --containerize --export-cwl --touch -t".split()
)
"""Words of Snakemake's command line, and rules for people, that make no result."""
BENCHMARK = frozenset({"measure", "draw_benchmark", "benchmark"})
"""Rules that are of no study."""


def only_looks(words: Sequence[str]) -> bool:
    """Whether Snakemake, called with these words, makes no result.

    >>> [only_looks(words.split()) for words in ("--cores 2", "--report=x.html", "--report x --report-after-run")]
    [False, True, False]
    >>> [only_looks([word]) for word in ("--list-params-changes", "--lu", "all")]
    [True, True, False]
    """
    return bool(LOOKS & _options(words)) or only_reports(words)


def only_reports(words: Sequence[str]) -> bool:
    """Whether it writes a report of what has run already."""
    given = _options(words)
    return "--report" in given and "--report-after-run" not in given


def only_measures(words: Sequence[str], results: str) -> bool:
    """Whether Snakemake, called with these words, makes files of the benchmark alone, and nothing of a study.

    >>> [only_measures(words.split(), "r") for words in ("-c1 benchmark", "-n r/benchmark/cpu/throughput.svg")]
    [True, True]
    >>> [only_measures(words.split(), "r") for words in ("-c1", "measure all", "--until benchmark")]
    [False, False, False]
    """
    from snakemake.cli import get_argument_parser

    targets = set(get_argument_parser().parse_known_args(words)[0].targets)
    return bool(targets) and all(Path(each).is_relative_to(Path(results, "benchmark")) for each in targets - BENCHMARK)


def check_finished(files: Sequence[str]) -> None:
    """Refuse, with a TakeoffError, a report that lacks some of its files, of which Snakemake has a line for each."""
    if missing := [file for file in files if not Path(file).exists()]:
        raise TakeoffError(
            f"{missing[0]}: not there, of {len(files)} files that a report shows {len(missing)} are missing; valid: a "
            "study that has run to its end, as `make study` runs it; then the report"
        )


def _options(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def verb(name: str) -> Callable[..., str]:
    """A param: how a command is called. It is no part of what a job depends on, so that a clone may move."""
    path, here = SCRIPTS / f"{name}.py", Path.cwd()
    script = (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
    call = f"python {quote(script)}" if CLONED else f"takeoff {name}"
    # Snakemake compares no param that is a function of threads.
    return lambda wildcards, threads: call


def command(arguments: str) -> str:
    """The shell line of a rule with a param `verb`: its log takes all that it says, after what earlier tries said."""
    return f"{_BEGIN} {{params.verb}} {arguments} >> {{log:q}} 2>&1"


def printing(arguments: str) -> str:
    """The same for people: what the command prints goes to the terminal, too; an error to its log alone, from which the
    workflow takes it for its own last words.
    """
    # The error is the last of the log, however far the printing is behind.
    return (
        f"{_BEGIN} s=0; {{params.verb}} {arguments} 2> {{log:q}}.error | tee -a {{log:q}} || s=$?; "
        "cat {log:q}.error >> {log:q}; rm {log:q}.error; exit $s"
    )


def unwatched(value: object) -> Callable[..., object]:
    """A param that no result depends on: a job does not run again where it changed."""
    return lambda wildcards, threads: value


def option(name: str, value: object) -> str:
    """An option of a command and its value, quoted; nothing where there is no value."""
    return f"--{name} {quote(str(value))}" if value else ""


def asked(own: Mapping[str, int | str], **usual: object) -> dict[str, object]:
    """The resources of a rule: as usual, or as the configuration has them."""
    if "gres" in own:  # names the GPUs, which Slurm must not be asked for twice
        usual["gpu"] = 0
    if "mem" in own:
        usual.pop("mem_mb", None)
    return {**usual, **own}


def ranks_asked(ranks: int, threads: int, gpus: int) -> dict[str, object]:
    """What a cluster is asked for where so many processes train a run together: a task for each, with its own GPU."""
    if ranks == 1:
        return {}
    return {"mpi": "srun", "tasks": ranks, "cpus_per_task": threads} | ({"tasks_per_gpu": 1} if gpus else {})


def check_ranks(ranks: int, gpus: int) -> None:
    """Refuse, with a TakeoffError, more processes for each run than this machine has GPUs, which they cannot share."""
    if ranks > gpus:
        raise TakeoffError(f"gpus_per_run: {ranks} is more than the {gpus} that torch can use here; valid: 1 to {gpus}")


def memory(mb: int, copies: int, most: float = math.inf) -> Callable[..., int]:
    """A resource: so many megabytes, and so many copies of the files that a job reads, of which it keeps at most so
    many megabytes each; times the try.
    """

    def asked_for(wildcards: object, input: Iterable[str], attempt: int) -> int:  # noqa: A002 (Snakemake's own name)
        # Where a file is not there yet, Snakemake asks again. Its own `size_mb` it cannot read while it plans.
        files = sum(Path(file).stat().st_size for file in input) / 1e6
        return attempt * round(mb + copies * min(files, most))

    return asked_for


def classes_option(names: Sequence[str]) -> str:
    """The option that names the classes to keep, each in quotes, as one of them may have a comma; nothing for all."""
    listed = io.StringIO()
    csv.writer(listed, quoting=csv.QUOTE_ALL, lineterminator="").writerow(names)
    return quote(f"--classes={listed.getvalue()}") if names else ""


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
    try:
        getuser()
    except (KeyError, OSError):  # a container's user may have no name, which Snakemake and torch ask for
        os.environ["LOGNAME"] = f"uid{os.getuid()}"


def read_configuration(workflow: Any) -> None:
    """Let Snakemake read `config.yaml`, once it is known to be what a configuration can be; a TakeoffError says where
    it is not.

    The values are those of our own loader, also of files given by `--configfile`: to Snakemake's, 010 is 8.
    """
    from snakemake.utils import update_config  # of the workflow alone: other commands have no need of Snakemake

    file, given = configured("config.yaml"), workflow.config_settings
    values = read_yaml(file)
    try:
        workflow.configfile(str(file))
    except ValueError as error:  # Snakemake takes 2026-02-30 for a date
        raise TakeoffError(f"{file}: {error}; valid: text in quotes where it looks like a date") from None
    if not workflow.modifier.skip_configfile:
        for one in (values, *map(read_yaml, given.configfiles), given.config):
            update_config(workflow.config, one)


def log_to(uri: str) -> None:
    """Say where MLflow is to jobs here; their command lines, which logs and reports show, hold no password."""
    os.environ["MLFLOW_TRACKING_URI"] = uri


def fetch_from(address: str | None) -> str | None:
    """Say the same of an archive's address, if there is one; what of it may be shown."""
    os.environ[OF_ARCHIVE] = address or ""
    return address and without_secrets(address)
