"""With what each file of a study was made: Snakemake's own records stay behind where results are copied.

Without its records Snakemake takes a finished file for up to date, whatever the study or the code says today.
"""

import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json, write_json, write_text

FILE = "made.json"
"""Of a study's folder: of each file the digest that its rule had, and whose Snakemake has a record of it."""
NAME = Path(".snakemake") / "takeoff"
"""What Snakemake's records in this folder are called: they move with it, and are not copied with results."""


class Provenance:
    """What made the files of a study, as it is written down."""

    def __init__(self, folder: Path, digests: Mapping[str, str]) -> None:
        """`digests`: of each file that a rule makes, by its path in `folder`, what that rule's digest is today."""
        self.folder, self.digests = folder, digests
        self.made = self._read()

    def outdated(self) -> list[Path]:
        """The files that came without a record, and that another study or other code has made; dates do not count."""
        if self.made is None:  # of results from before there was such a list nothing is known
            return []
        here, found = self._name(), []
        for file, digest in self.digests.items():
            made = self.made.get(file, {})
            if made.get("records") != here and made.get("digest") != digest and (self.folder / file).is_file():
                found.append(self.folder / file)
        return found

    def begin(self) -> None:
        """Write down that what is missing will be in Snakemake's records here, even if it is made by a run that is
        killed. Where nothing was known, what is there is taken for what would be made now.
        """
        here, known = self._name(), self.made is not None
        made = dict(self.made or {})
        for file, digest in self.digests.items():
            if not (self.folder / file).is_file():
                made[file] = {"digest": "", "records": here}
            elif not known:
                made[file] = {"digest": digest, "records": ""}
        self._write(made)

    def end(self, since: float) -> None:
        """Write down what made the files that were written since that time, in seconds since 1970."""
        paths = {file: self.folder / file for file in self.digests}
        new = [file for file, path in paths.items() if path.is_file() and path.stat().st_mtime >= since]
        self._write((self.made or {}) | {file: {"digest": self.digests[file], "records": self._name()} for file in new})

    def _write(self, made: dict[str, Any]) -> None:
        self.made = made
        with suppress(OSError):  # where nothing can be written, nothing is made, either
            write_json(self.folder / FILE, made)

    def _read(self) -> dict[str, Any] | None:
        """The list; None where there are results without one. One that is damaged lists nothing."""
        path = self.folder / FILE
        if not path.exists():
            return None if (self.folder / "study.json").exists() else {}
        try:
            return {file: dict(made) for file, made in load_json(path).items()}
        except (TakeoffError, AttributeError, TypeError, ValueError):
            return {}

    def _name(self) -> str:
        if not NAME.is_file():
            write_text(NAME, uuid4().hex)
        # Records are kept by the paths of files: results that were renamed or copied beside have none.
        return f"{NAME.read_text(encoding='utf-8')} {self.folder.as_posix()}"


def forget_outdated(rules: Iterable[Any], folder: Path, looks: bool, apart: Collection[str]) -> Provenance | None:
    """Remove what came with copied results, and another study or other code has made; what made the rest is returned.

    Where the run only looks, the line about it is all there is, and None is returned.
    """
    digests = {
        Path(file).relative_to(folder).as_posix(): rule.params.get("digest")
        for rule in rules
        for file in map(str, rule.output)
        if file not in apart and Path(file).is_relative_to(folder)
    }
    made = Provenance(folder, {file: digest for file, digest in digests.items() if isinstance(digest, str)})
    outdated = made.outdated()
    if outdated:
        print(
            f"{folder.as_posix()}: {len(outdated)} files, as {outdated[0].name}, are of another study or of other "
            "code; a run makes them anew, and keeps finished runs that still fit",
            file=sys.stderr,
        )
    if looks:
        return None
    for file in outdated:
        file.unlink(missing_ok=True)
    made.begin()
    return made
