"""What a study's values may be beyond their types: counts that a machine can hold, lists without doubles, places.

They stand apart from the models, on which the digests of trained results depend.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from takeoff.common.addresses import check_place
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices, shown, unprintable
from takeoff.data.catalogue import entries
from takeoff.study.model import MOST_TUNING_SEEDS, Study
from takeoff.study.settings import Count, LearningRate, ascending

EPOCHS, SEEDS, RATES, IMAGES, RUNS = 100_000, 1000, 100, 1_000_000_000, 1_000_000
MOST = {
    "title": 200,
    "seeds": SEEDS,
    "dataset.name": 100,
    "dataset.classes": 1000,
    "dataset.train_samples": IMAGES,
    "dataset.test_samples": IMAGES,
    "recipe.epochs": EPOCHS,
    "recipe.epoch_images": IMAGES,
    "recipe.batch_size": 1_000_000,
    "tuning.learning_rates": RATES,
    "tuning.weight_decays": RATES,
    "tuning.blocks": SEEDS,
    "tuning.first_seed": 1_000_000_000,
    "factors": 30,
    "budget.runs": 10 * RUNS,
    "budget.core_hours": 10_000_000,
}
"""The most that a key's number may be, or that its list or text may have."""
WORDNET = re.compile(r"n[0-9]{8}")
"""What the classes of ImageNet are called by, where the catalogue does not list them."""
LONGEST_CLASSES = 60_000
"""Bytes of all names of classes: they are given to a command."""

Epochs = Annotated[Count, Field(le=EPOCHS)]
Seeds = Annotated[Count, Field(le=SEEDS)]
Scores = Annotated[Count, Field(le=1000)]
"""Of an epoch."""
Times = Annotated[Count, Field(le=100)]
"""How many times as long something is trained."""
TuningSeeds = Annotated[int, Field(ge=2, lt=MOST_TUNING_SEEDS, strict=True)]
Rates = Annotated[tuple[LearningRate, ...], Field(min_length=2, max_length=RATES), AfterValidator(ascending)]
"""An experiment's own grid."""


def once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list in which nothing stands twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{shown([*values])}: one stands twice in the list")
    return values


def check_bounds(study: Study, source: Path | str) -> None:
    """Refuse, with a TakeoffError, what exceeds `MOST`, and texts, classes and places that can be none."""
    for key, most in MOST.items():
        value: Any = study
        for name in key.split("."):
            value = getattr(value, name)
        if value is None or value == "all":
            continue
        size, what = (value, "") if isinstance(value, int | float) else (len(value), _ITEMS.get(type(value), ""))
        if size > most:
            raise TakeoffError(f"{source}: {key}: {shown(size)}{what} is too many; valid: up to {most:,}{what}")
    checks: dict[str, Callable[[Study], None]] = {
        "title": _check_title,
        "dataset.archive": _check_archive,
        "dataset.classes": _check_classes,
    }
    for key, check in checks.items():
        try:
            check(study)
        except ValueError as error:
            raise TakeoffError(f"{source}: {key}: {error}") from None


_ITEMS: dict[type, str] = {str: " characters", list: " items", tuple: " items", dict: " keys"}


def _check_title(study: Study) -> None:
    if not study.title.strip() or unprintable(study.title):
        raise ValueError(f"{shown(study.title)} is not valid; valid: a line of text")


def _check_archive(study: Study) -> None:
    if study.dataset.archive is not None:
        check_place(study.dataset.archive)


def _check_classes(study: Study) -> None:
    classes = study.dataset.classes
    if classes is None:
        return
    if len(classes) < 2:
        raise ValueError(f"{shown(classes)} is not valid; valid: two or more, or null for all")
    if twice := next((name for place, name in enumerate(classes) if name in classes[:place]), None):
        raise ValueError(f"{shown(twice)} stands twice; valid: each class once")
    for name in classes:
        if not name.strip() or unprintable(name) or "/" in name:
            raise ValueError(f"{shown(name)} is not valid; valid: the name of a class")
    if (size := sum(len(name.encode()) + len('"",') for name in classes)) > LONGEST_CLASSES:
        raise ValueError(f"names of {size:,} bytes; valid: up to {LONGEST_CLASSES:,} in all")
    if (entry := entries().get(study.dataset.name)) is None:
        return
    for name in classes:
        if entry.class_names and name not in entry.class_names:
            raise ValueError(f"{shown(name)}: {entry.name} has no such class; {choices(name, entry.class_names)}")
        if not entry.class_names and not WORDNET.fullmatch(name):
            raise ValueError(f"{shown(name)}: {entry.name} has no such class; valid: numbers of WordNet, as n01440764")
