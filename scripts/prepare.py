"""Prepare an archive of images: python scripts/prepare.py --archive PATH --resolution 32 --out DIR."""

import argparse
import csv
from pathlib import Path

from takeoff.common.arguments import positive
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_text


def main() -> None:
    """Parse the arguments, write train.safetensors, test.safetensors and card.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    words = "a .tar, .tgz, .tar.xz, .zip or a folder; none: digits or mnist-5000"
    parser.add_argument("--archive", type=Path, help=words)
    parser.add_argument("--sha256", help="refuse the archive unless it has this checksum")
    parser.add_argument("--resolution", type=int, help="pixels of an image's side (default: the catalogue's)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    parser.add_argument("--dataset", help="a name in the catalogue (for titles, licence), or your own")
    words = "keep only these classes: a,b,c; a name that has a comma stands in double quotes"
    parser.add_argument("--classes", default="", help=words)
    parser.add_argument("--remember", type=Path, help="a file for the path of the archive, for later runs")
    parser.add_argument("--test-fraction", type=float, default=0.2, help="held out without a test split")
    parser.add_argument("--threads", type=positive, help="that decode images (default: the cores at hand)")
    parser.add_argument("--leave-out-damaged", action="store_true", help="leave out damaged files, and count them")
    given = parser.parse_args()

    from takeoff.data import catalogue
    from takeoff.data.card import SPLITS
    from takeoff.data.preparing import Request, prepare

    entry = catalogue.entries().get(given.dataset)
    resolution = given.resolution or (entry.resolution if entry else None)
    if resolution is None:
        raise TakeoffError("how large should the images be? Give --resolution, in pixels")
    classes = tuple(name for row in csv.reader([given.classes], skipinitialspace=True) for name in row if name)
    if given.classes and not classes:
        raise TakeoffError(f"--classes {given.classes}: no class; valid: their names, a,b,c")
    options = (given.sha256, classes, given.test_fraction, given.threads, given.leave_out_damaged)
    request = Request(given.archive, resolution, given.dataset, *options)
    card = prepare(request, given.out)
    if given.remember and given.archive:
        write_text(given.remember, f"{given.archive}\n")
    sizes = " and ".join(f"{card.images(split):,} {split}" for split in SPLITS)
    print(f"{given.out}: {sizes} images of {len(card.classes)} classes at {resolution} px")
    for note in card.notes:
        print(f"note: {note}")


if __name__ == "__main__":
    run_command(main)
