"""Where a study's images come from and how many there are, checked before a job starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from takeoff.common.addresses import local_path, place
from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of
from takeoff.common.spelling import choices, plain
from takeoff.data.archives import check_there, files_below
from takeoff.data.card import Card
from takeoff.data.catalogue import Entry, entries
from takeoff.data.splits import sizes
from takeoff.study.model import Dataset, Study


@dataclass(frozen=True)
class Shape:
    """What of a dataset a plan's counts depend on: its images, classes and channels."""

    train: int
    test: int
    classes: int
    channels: int

    @classmethod
    def of_card(cls, card: Card) -> "Shape":
        """The shape of images that were prepared."""
        return cls(card.images("train"), card.images("test"), len(card.classes), card.channels)


@dataclass(frozen=True)
class ImageSource:
    """The catalogue, the user's own archive, or both: a copy of a dataset of the catalogue."""

    dataset: Dataset
    archives: Mapping[str, str]
    """Of the configuration: dataset → path of an archive or folder."""
    folder: Path
    """The folder `data` of the results."""

    @property
    def entry(self) -> Entry | None:
        """The dataset's entry in the catalogue, if it has one."""
        return entries().get(self.dataset.name)

    @property
    def shape(self) -> Shape | None:
        """The dataset's, as the catalogue says; None where it is the user's own."""
        if (entry := self.entry) is None:
            return None
        return Shape(entry.train, entry.test, len(self.dataset.classes or ()) or entry.classes, entry.channels)

    @cached_property
    def given(self) -> str | None:
        """The user's own archive, folder or address, if there is one: as the configuration says, or the study, or as
        earlier runs had it.
        """
        named = self.archives.get(self.dataset.name)
        if named is None and self.dataset.archive is not None:
            named = place(self.dataset.archive)
        return named if named is not None else self.remembered

    @cached_property
    def remembered(self) -> str | None:
        """The archive that earlier runs with these results read a dataset of the catalogue from; what is fetched is
        none of the user's.
        """
        if self.dataset.name in self.archives or self.dataset.archive is not None:
            return None
        try:
            return place(self.origin.read_text(encoding="utf-8").strip())
        except (OSError, ValueError):
            return None

    @property
    def origin(self) -> Path:
        """The file that keeps the path of an archive that the configuration named."""
        return self.folder / self.dataset.name / "archive.txt"

    @property
    def to_remember(self) -> Path | None:
        """The same, where there is such a path to keep."""
        return self.origin if self.local and self.dataset.archive is None else None

    @property
    def local(self) -> str | None:
        """The user's own archive, if it lies on this machine's disk."""
        path = None if self.given is None else local_path(self.given)
        return None if path is None else str(path)

    @property
    def fetched(self) -> Path | None:
        """Where the download goes, if there is one to make."""
        entry = self.entry
        if self.local or (entry and not entry.addresses):
            return None
        file = Path(urlsplit(self.given).path).name if self.given else entry and entry.file
        return self.folder / self.dataset.name / str(file)

    @property
    def prepared(self) -> Path:
        """The folder of the prepared images."""
        classes = self.dataset.classes
        chosen = f"-{digest_of(classes)[:8]}" if classes else ""
        return self.folder / self.dataset.name / f"{self.dataset.resolution}px{chosen}"

    def files(self) -> list[tuple[str, int, int]]:
        """The files below a folder of images, with sizes and dates: the folder's own date says nothing of them.

        Raises TakeoffError where one may not be read, or a link leads to nothing.
        """
        root = Path(self.local or "")
        if self.local is None or not root.is_dir():
            return []
        return sorted(
            (name, facts.st_size, facts.st_mtime_ns) for _, found in files_below(root) for name, _, facts in found
        )

    def check(self, study: str) -> None:
        """Raise TakeoffError where the dataset's name, or the place of its archive, is wrong; `study` is its file."""
        name, entry = self.dataset.name, self.entry
        named = f"{study}: dataset.archive" if self.dataset.archive is not None else f"archives: {name}"
        if name in self.archives:
            named = f"archives: {name}"
        try:
            given = self.given
        except ValueError as error:
            raise TakeoffError(f"{named}: {error}") from None
        if entry is not None and self.dataset.archive:
            raise TakeoffError(
                f"{study}: dataset.archive: {name} is a name in the catalogue, which says what its images are; valid: "
                f"another dataset.name, for images of your own; for a copy of {name}, its path in `archives` of the "
                "configuration"
            )
        if self.local is not None:
            kept = f", where earlier runs read it; valid: archives={{{name}: PATH}}, or to remove {self.origin}"
            _check_local(Path(self.local), self.folder.parent, named, kept if self.remembered else "")
        if self.dataset.sha256 and (given is None or (self.local and Path(self.local).is_dir())):
            what = "there is no archive" if given is None else f"{self.local} is a folder"
            raise TakeoffError(f"{study}: dataset.sha256: {what} to have it; valid: null")
        if given is not None:
            return
        # Spelt otherwise, or the study's own name; a longer name is taken for a dataset of the user's own.
        for other in self.archives.keys() - entries().keys():
            close = not other.startswith(name) and get_close_matches(other, [name], 1, 0.8)
            if close or plain(other) == plain(name) or other == Path(study).stem:
                raise TakeoffError(
                    f"archives: {other}: this study's dataset is called {name}; valid: that name, or no archive"
                )
        if entry is None:
            raise TakeoffError(
                f"{study}: dataset.name: {name} is not in the catalogue; {choices(name, entries())}; for your own "
                "images say where they are: dataset.archive"
            )
        if not entry.addresses and not entry.package:
            raise TakeoffError(f"dataset {name} is never downloaded: {entry.how_to_obtain()}")


def _check_local(path: Path, results: Path, key: str, otherwise: str) -> None:
    """Raise TakeoffError where no images can be read from a path, or others than images: `key` names it."""
    try:
        if not path.exists():
            raise TakeoffError(f"{key}: {path}: there is no such archive or folder{otherwise}")
        if path.is_dir() and any(place.resolve().is_relative_to(path.resolve()) for place in (Path(), results)):
            raise TakeoffError(f"{key}: {path}: holds the folder that you run in, or results; valid: images alone")
        try:
            check_there(path)
        except TakeoffError as error:
            raise TakeoffError(f"{key}: {error}") from None
        if not os.access(path, os.R_OK):
            raise TakeoffError(f"{key}: {path}: cannot be read; valid: an archive or folder that you may read")
    except OSError as error:
        raise TakeoffError(f"{key}: {path}: {error.strerror}") from None


def check_counts(study: Study, source: str, shape: Shape | None) -> None:
    """Raise TakeoffError where more images are wanted than there are, or too few to hold any out for validation.

    `source` is the study's file; `shape` is None where nobody has counted the images yet.
    """
    dataset, levels = study.dataset, study.factors.get("train_samples", ())
    training: dict[str, object] = {"dataset.train_samples": dataset.train_samples}
    training |= {f"factors.train_samples.{role}": level for role, level in levels}
    for key, number in (training | {"dataset.test_samples": dataset.test_samples}).items():
        there = None if shape is None else shape.train if key in training else shape.test
        images = there if number == "all" else int(str(number))
        if images is None:
            continue
        if there is not None and images > there:
            raise TakeoffError(f"{source}: {key}: {images} is more than there are; valid: up to {there}, or all")
        if key in training:
            try:
                sizes(images, images, dataset.validation_fraction)
            except TakeoffError as error:
                reason = str(error).removeprefix("train_samples ")
                raise TakeoffError(f"{source}: {key}: {reason}") from None
