"""Fetch a dataset's archive, verified: python scripts/fetch.py --dataset cifar10 --out ARCHIVE."""

import argparse
import os
from pathlib import Path

from takeoff.common.addresses import OF_ARCHIVE
from takeoff.common.arguments import above_zero, positive
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.data import catalogue
from takeoff.data.archives import Archive
from takeoff.data.fetching import Patience, fetch


def main() -> None:
    """Parse the arguments, fetch the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", help="a name in the catalogue: gives addresses and checksum")
    parser.add_argument("--out", type=Path, required=True, help="where the archive goes")
    words = f"addresses or paths to try instead, in turn (default: the one in {OF_ARCHIVE} of the environment)"
    parser.add_argument("--url", nargs="+", default=[*filter(None, [os.environ.get(OF_ARCHIVE)])], help=words)
    parser.add_argument("--sha256", help="the checksum, instead of the catalogue's")
    parser.add_argument("--md5", help="the checksum, instead of the catalogue's")
    parser.add_argument("--stall", type=above_zero, default=Patience.stall, help="seconds of silence to give up at")
    parser.add_argument("--tries", type=positive, default=Patience.tries, help="tries at each address")
    given = parser.parse_args()
    if not given.dataset and not given.url:
        raise TakeoffError("nothing to fetch: give --dataset or --url")

    addresses, sums, size = given.url, catalogue.Sums(given.sha256, given.md5), None
    if given.dataset:
        entry = catalogue.entry(given.dataset)
        if not addresses and not entry.addresses:
            raise TakeoffError(f"{entry.name} is not downloaded; {entry.how_to_obtain()}")
        addresses = addresses or entry.addresses
        if not sums:
            sums, size = entry.sums, entry.size
    fetch(addresses, given.out, sums, Patience(given.stall, given.tries), size)
    if not sums:
        _check(given.out)


def _check(archive: Path) -> None:
    """Without a checksum a page to sign in, or half of a file, would be kept, and never asked for anew."""
    try:
        Archive(archive)
    except TakeoffError as fault:
        archive.unlink()
        raise TakeoffError(f"what came is no whole archive, and is not kept: {fault}") from None


if __name__ == "__main__":
    run_command(main)
