"""How many images a study trains on, and how many each epoch of its full set presents: known before any is read."""

from takeoff.data.catalogue import entries
from takeoff.errors import TakeoffError
from takeoff.study.model import Study


def full_size(study: Study, option: str) -> int:
    """The study's training images, validation images counted among them.

    Args:
        study: the study.
        option: the key that needs to know, for the message.

    Raises:
        TakeoffError: the study takes all images of a set whose size the catalogue does not say.

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

    Raises:
        TakeoffError: too few are left to hold any out, or the size of the full set is not known.

    """
    samples = round(share * full_size(study, option))
    if int(study.dataset.validation_fraction * samples) < 1 or presented(study, samples) < 2:
        raise TakeoffError(
            f"{option}: {share:g} of {full_size(study, option)} images leaves {samples}, too few to hold out "
            f"{study.dataset.validation_fraction:.0%} for validation; valid: a greater share"
        )
    return samples
