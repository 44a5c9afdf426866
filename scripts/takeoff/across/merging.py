"""Finished runs of other results of a study, brought among its own, and all of them packed into one small file.

A run's key says all that its numbers depend on, but not which seeds a study lists. So the workflow takes a run from
another machine as its own, and trains what is still missing.
"""

import lzma
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from takeoff.common.errors import TakeoffError
from takeoff.common.files import atomic_path
from takeoff.data.archives import StrictInfo
from takeoff.jobs.runs import load_record

PACKED = "runs.tar.xz"
"""What a study's packed runs are called."""
RECORDS = {"network": (("run", "curve", "probe"),), "classical": (("run",), ("runs", "validation_images", "notes"))}
"""The keys of an arm's finished runs, final and for tuning."""
_PLACE = re.compile(r"(?:.*/)?(arms/[^/]+/runs/[0-9a-f]{16}\.json)")


def merge(results: Path, source: Path, arms: Mapping[str, str]) -> dict[str, int]:
    """Bring the run files of `source`, a results folder, one with `runs.tar.xz`, or such a file, under `results`, and
    count what became of them.

    `arms` are those of the study, with the kind of each. A TakeoffError says that there is no run file.
    """
    counts = dict.fromkeys(("taken", "already there", "of other arms", "damaged"), 0)
    with _unpacked(source) as folder:
        paths = run_files(folder)
        if not paths:
            raise TakeoffError(f"{source}: no arms/ARM/runs/*.json in it; valid: results of a study, or {PACKED}")
        for path in paths:
            place, arm = results / path.relative_to(folder), path.parent.parent.name
            if arm not in arms:
                counts["of other arms"] += 1
            elif not loads(path, arms[arm]):
                counts["damaged"] += 1
            elif loads(place, arms[arm]):
                counts["already there"] += 1
            else:
                with atomic_path(place) as temporary:
                    shutil.copyfile(path, temporary)
                counts["taken"] += 1
    return counts


def pack(results: Path, out: Path) -> int:
    """Write the run files of `results` to `out`, a `.tar.xz` of the same bytes for the same files; how many there are.

    A TakeoffError says that there is none.
    """
    paths = run_files(results)
    if not paths:
        raise TakeoffError(f"{results}: no arms/ARM/runs/*.json in it; valid: results of a study that was trained")
    with atomic_path(out) as temporary, tarfile.open(temporary, "w:xz", preset=9) as archive:
        for path in paths:
            member = tarfile.TarInfo(path.relative_to(results).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(member, file)
    return len(paths)


def run_files(folder: Path) -> list[Path]:
    """The files of finished runs in a results folder, sorted by name."""
    return sorted(filter(_is_run, folder.glob("arms/*/runs/*.json")), key=Path.as_posix)


def _is_run(path: Path) -> bool:
    return _PLACE.fullmatch(path.as_posix()) is not None


def loads(path: Path, kind: str) -> bool:
    """Whether a file holds a finished run of an arm of this kind, under that run's own key."""
    for keys in RECORDS[kind]:
        record = load_record(path, *keys)
        if record is not None:
            return "run" not in record or record["run"].get("run_key") == path.stem
    return False


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """A results folder: the source itself, or what of its packed runs is one."""
    if source.is_dir() and not (source / "arms").is_dir() and (source / PACKED).is_file():
        source /= PACKED
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise TakeoffError(f"{source}: there is no such file or folder; valid: results of a study, or {PACKED}")
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with tarfile.open(source, tarinfo=StrictInfo) as archive:
                for member in archive:
                    place = _PLACE.fullmatch(member.name)
                    if member.isfile() and place and (file := archive.extractfile(member)):
                        (folder / place[1]).parent.mkdir(parents=True, exist_ok=True)
                        (folder / place[1]).write_bytes(file.read())
        except (tarfile.TarError, EOFError, lzma.LZMAError) as error:
            raise TakeoffError(
                f"{source}: not an archive of runs, or damaged: {' '.join(str(error).split())}"
            ) from None
        yield folder
