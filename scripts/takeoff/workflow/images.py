"""Where a study's images come from and how many there are, checked before a job starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from takeoff.common.errors import TakeoffError, choices
from takeoff.common.files import digest_of
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

    @property
    def given(self) -> str | None:
        """The user's own archive, folder or address, if there is one."""
        return self.archives.get(self.dataset.name) or self.dataset.archive

    @property
    def local(self) -> str | None:
        """The user's own archive, if it lies on this machine's disk."""
        if self.given is None or (":" in self.given and not self.given.startswith("file://")):
            return None
        return self.given.removeprefix("file://")

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
        """The files below a folder of images, with sizes and dates: the folder's own date says nothing of them."""
        root = Path(self.local or "")
        found = [Path(place) / name for place, _, names in os.walk(self.local or "") for name in names]
        stats = [(path.relative_to(root).as_posix(), path.stat()) for path in found]
        return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)

    def check(self, study: str) -> None:
        """Raise TakeoffError where the dataset's name, or the place of its archive, is wrong; `study` is its file."""
        name, entry = self.dataset.name, self.entry
        if entry is not None and self.dataset.archive:
            raise TakeoffError(
                f"{study}: dataset.archive: {name} is a name in the catalogue, which says what its images are; valid: "
                f"another dataset.name, for images of your own; for a copy of {name}, its path in `archives` of the "
                "configuration"
            )
        if self.local is not None and not Path(self.local).exists():
            key = "archives" if name in self.archives else "dataset.archive"
            raise TakeoffError(f"{key}: {name}: {self.local}: there is no such archive or folder")
        if self.given is not None:
            return
        # Spelt otherwise; what merely looks alike may be a dataset of the user's own.
        for other in self.archives.keys() - entries().keys():
            if _plain(other) == _plain(name):
                raise TakeoffError(
                    f"archives: {other}: this study's dataset is called {name}; valid: that name, or no archive"
                )
        if entry is None:
            raise TakeoffError(
                f"{study}: dataset.name: {name} is not in the catalogue; {choices(name, entries())}; for your own "
                "images say where they are: dataset.archive"
            )
        if not entry.addresses and entry.layout != "scikit-learn":
            raise TakeoffError(f"dataset {name} is never downloaded: {entry.how_to_obtain()}")


def _plain(name: str) -> str:
    """A name's letters and digits alone, in lower case: CIFAR-10 and cifar_10 are cifar10."""
    return "".join(character for character in name.lower() if character.isalnum())


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
