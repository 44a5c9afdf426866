"""Chance on a study's test images: what guessing scores, and of how many images."""

from typing import Any

from takeoff.errors import TakeoffError
from takeoff.study.model import Study


def chance_of(card: dict[str, Any], study: Study) -> tuple[float, int]:
    """The majority rate of the test images, and how many of them are read: all, or a balanced part.

    Raises:
        TakeoffError: the card does not count the test images of every class.

    """
    from takeoff.statistics.chance import majority_rate

    asked = study.dataset.test_samples
    try:
        counts = (card.get("images_per_class") or card["counts"])["test"]
        numbers = list(counts.values() if isinstance(counts, dict) else counts)
        images = sum(numbers) if isinstance(asked, str) else min(asked, sum(numbers))
        return majority_rate(numbers), images
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TakeoffError(
            "card.json: images_per_class.test is missing or wrong; valid: the test images of every class"
        ) from None
