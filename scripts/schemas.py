"""Write the JSON schemas in workflow/schemas and the tables of config/README.md, from the typed models."""

import argparse
from pathlib import Path

from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_text
from takeoff.workflow.schemas import generated

REPOSITORY = Path(__file__).parent.parent


def main() -> None:
    """Write every generated file, or only say whether one is out of step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is out of step")
    arguments = parser.parse_args()
    files = generated(REPOSITORY)
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
    if not arguments.check:
        for path in stale:
            write_text(path, files[path])
            print(f"wrote {path.relative_to(REPOSITORY)}")
    elif stale:
        names = ", ".join(path.relative_to(REPOSITORY).as_posix() for path in stale)
        raise TakeoffError(f"out of step with the models: {names}; run: python scripts/schemas.py")


if __name__ == "__main__":
    run_command(main)
