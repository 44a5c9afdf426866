"""How many images a study trains on, and how many each epoch of its full set presents, before any is read."""

from takeoff.common.errors import TakeoffError
from takeoff.data.catalogue import entries
from takeoff.data.splits import sizes
from takeoff.study.model import Study


def full_size(study: Study, option: str) -> int:
    """The study's training images, validation images counted among them; `option` is the key that needs to know.

    Raises TakeoffError where the study takes all images of a set whose size the catalogue does not say.
    """
    dataset = study.dataset
    if isinstance(dataset.train_samples, int):
        return dataset.train_samples
    if dataset.name not in entries() or dataset.archive is not None or dataset.classes is not None:
        raise TakeoffError(
            f"{option}: how many training images {dataset.name} has is not known beforehand; "
            "valid: dataset.train_samples as a number, not all"
        )
    return entries()[dataset.name].train


def presented(study: Study, images: int) -> int:
    """The images that an epoch of the set of `images` presents: all but those held out for validation."""
    return images - int(study.dataset.validation_fraction * images)


def part_of(study: Study, share: float, option: str) -> int:
    """A share of the study's training images, in whole ones.

    Raises TakeoffError where too few are left to hold any out, or the size of the full set is not known.
    """
    full = full_size(study, option)
    part = round(share * full)
    try:
        return sizes(full, part, study.dataset.validation_fraction)[0]
    except TakeoffError as error:
        raise TakeoffError(f"{option}: {share:g} of {full} images leaves {part}: {error}") from None
