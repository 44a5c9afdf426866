"""Chance on a study's images: what guessing scores, and of how many images."""

from math import log
from typing import Any

from takeoff.data.card import Card, Split
from takeoff.statistics.chance import chance_line, majority_rate
from takeoff.study.model import Study
from takeoff.study.sizes import presented


def chance_of(card: dict[str, Any], study: Study) -> tuple[float, int]:
    """The majority rate of the test images, and how many of them are read: all, or a balanced part.

    A TakeoffError says that the card does not count them; so in `training_chance_of`.
    """
    return _chance(card, "test", study.dataset.test_samples)


def training_chance_of(card: dict[str, Any], study: Study) -> tuple[float, int]:
    """The majority rate of the training images, and how many of them training accuracy is taken on: not those held out
    for validation.
    """
    majority, images = _chance(card, "train", study.dataset.train_samples)
    return majority, presented(study, images)


def guessing_lines(
    study: Study, card: dict[str, Any] | None, classes: int, train: int, test: int
) -> tuple[float, float]:
    """The accuracies up to which test and training images count as guessed, as `Experiment.check` takes them.

    Without a card, before images are prepared, classes count as alike: so many of them, and so many images.
    """
    if card is not None:
        return chance_line(*chance_of(card, study)), chance_line(*training_chance_of(card, study))
    sizes = study.dataset.test_samples, study.dataset.train_samples
    tested, trained = (
        most if isinstance(own, str) else min(own, most) for own, most in zip(sizes, (test, train), strict=True)
    )
    return chance_line(1 / classes, tested), chance_line(1 / classes, trained)


def guessing_loss(card: dict[str, Any]) -> float:
    """The loss, in nats, of who knows only how frequent the training images' classes are: their entropy, ln(classes)
    where all are alike.
    """
    counts = Card(card).images_per_class("train")
    return sum(count * log(sum(counts) / count) for count in counts if count) / sum(counts)


def _chance(card: dict[str, Any], split: Split, wanted: int | str) -> tuple[float, int]:
    counts = Card(card).images_per_class(split)
    return majority_rate(counts), sum(counts) if isinstance(wanted, str) else min(wanted, sum(counts))
