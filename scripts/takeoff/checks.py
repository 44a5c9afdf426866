"""A study's images, checked before a job starts: how many are asked for, and where they come from."""

from pathlib import Path
from typing import TYPE_CHECKING

from takeoff.data.catalogue import entries
from takeoff.data.splits import sizes
from takeoff.errors import TakeoffError, choices

if TYPE_CHECKING:
    from takeoff.project import Project


def check_images(project: "Project") -> None:
    """Refuse more images than the catalogue has, and fewer than can be parted for validation.

    Raises:
        TakeoffError: a number of images is not possible.

    """
    dataset, entry = project.study.dataset, project.entry
    training: dict[str, object] = {"dataset.train_samples": dataset.train_samples}
    if levels := project.study.factors.get("train_samples"):
        training |= {f"factors.train_samples.{role}": level for role, level in levels}
    for key, level in training.items():
        number = entry.train if level == "all" and entry else level
        if isinstance(number, int):
            try:
                sizes(number, number, dataset.validation_fraction)
            except TakeoffError as error:
                told = str(error).removeprefix("train_samples ")
                raise TakeoffError(f"{project.source}: {key}: {told}") from None
    if entry is None or dataset.name in project.configuration.archives:
        return  # their own images: `prepare` counts them
    asked = [(key, number, entry.train) for key, number in training.items()]
    for key, number, available in [*asked, ("dataset.test_samples", dataset.test_samples, entry.test)]:
        if isinstance(number, int) and number > available:
            raise TakeoffError(
                f"{project.source}: {key}: {number} is more than there are; valid: up to {available}, or all"
            )


def _plain(name: str) -> str:
    """A name's letters and digits alone, in lower case: CIFAR-10 and cifar_10 are cifar10."""
    return "".join(character for character in name.lower() if character.isalnum())


def check_archive(project: "Project") -> None:
    """Refuse a dataset whose images can come from nowhere.

    Raises:
        TakeoffError: its name, or the place of its archive, is wrong.

    """
    dataset, local = project.study.dataset, project.local_archive
    if project.entry is not None and dataset.archive:
        raise TakeoffError(
            f"{project.source}: dataset.archive: {dataset.name} is a name in the catalogue, which says what its images "
            f"are; valid: another dataset.name, for images of your own; for a copy of {dataset.name}, its path in "
            "`archives` of the configuration"
        )
    if project.given_archive is None:
        # Spelt otherwise; what merely looks alike may be a dataset of the user's own.
        for name in project.configuration.archives:
            if name in entries() or _plain(name) != _plain(dataset.name):
                continue
            raise TakeoffError(
                f"archives: {name}: this study's dataset is called {dataset.name}; valid: that name, or "
                "no archive"
            )
    if local is not None and not Path(local).exists():
        key = "archives" if dataset.name in project.configuration.archives else "dataset.archive"
        raise TakeoffError(f"{key}: {dataset.name}: {local}: there is no such archive or folder")
    if project.given_archive is None and project.entry is None:
        raise TakeoffError(
            f"{project.source}: dataset.name: {dataset.name} is not in the catalogue; "
            f"{choices(dataset.name, entries())}; for your own images say where they are: dataset.archive"
        )
    entry = project.entry
    if project.given_archive is None and entry and not entry.addresses and entry.layout != "scikit-learn":
        raise TakeoffError(f"dataset {dataset.name} is never downloaded: {entry.how_to_obtain()}")
