"""Print the folder that a study's results go to: folder.py study=digits set='seeds=8'."""

import argparse

from takeoff.common.commands import run_command
from takeoff.workflow.project import project_of


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="*", metavar="KEY=VALUE", help="keys of config.yaml that have another value")
    print(project_of(parser.parse_args().config).folder.as_posix())


if __name__ == "__main__":
    run_command(main)
