"""What a study costs from an empty folder to its report: seconds, those of its cores, and how many of these train.

python tests/benchmarks/study_cost.py --study digits

Training is timed by the wall clock of each job's one thread, the rest by processor time.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "workflow" / "profiles" / "local"


def main() -> None:
    """Run the study as `make study` does, in a folder of its own, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="What a study costs from an empty folder to its report.")
    parser.add_argument("--study", default="digits", help="its name, or its file (default: %(default)s)")
    parser.add_argument("--cores", default="all", help="as snakemake takes it (default: %(default)s)")
    parser.add_argument(
        "--config",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="more of it, as snakemake takes it: threads=2",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(arguments.study)
        name, study = file.stem, file.resolve() if file.is_file() else arguments.study
        began, before = time.perf_counter(), core_seconds()
        line = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--directory", folder]
        line += ["--cores", arguments.cores, "--workflow-profile", PROFILE]
        line += ["--config", f"study={study}", *arguments.config]
        line += ["--report", f"results/{name}/report.html", "--report-after-run"]
        done = subprocess.run([str(word) for word in line], stdout=sys.stderr, check=False)
        wall, spent = time.perf_counter() - began, core_seconds() - before
        if done.returncode:
            sys.exit(done.returncode)
        runs = list(kept(Path(folder) / "results" / name))
    steps = sum(run["seconds"] for run in runs if run.get("method") == "network")
    fits = sum(run["seconds"] for run in runs if run.get("method") != "network")
    print(f"| {name} | seconds | share |\n| --- | ---: | ---: |")
    print(f"| from start to report | {wall:.0f} | |")
    for what, seconds in (
        ("of all cores together", spent),
        ("… in steps of networks", steps),
        ("… in fits of older methods", fits),
    ):
        print(f"| {what} | {seconds:.0f} | {seconds / spent:.0%} |")


def core_seconds() -> float:
    """Processor time of all processes that this one started and that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kept(study: Path) -> Iterator[dict]:
    """Every run that tuned or counted, of networks and of older methods; its `seconds` are those of training alone."""
    for path in study.glob("arms/*/runs/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        yield from [record["run"]] if "run" in record else record["runs"]


if __name__ == "__main__":
    main()
