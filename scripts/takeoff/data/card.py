"""The card of prepared data, card.json: classes, counts, means and digest. The one place that reads it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter

from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of, write_json

CARD = "card.json"
OWN_DIGEST = "card_digest"
"""The key, in the file, of the digest of all others."""
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
T = TypeVar("T")


def _reader(key: str, kind: type[T], valid: str) -> T:
    """A property that reads a key; typed, as `dataclasses.field` is, by what it stands for."""
    return cast(T, property(lambda card: card.value(key, kind, valid)))


class Card(dict[str, Any]):
    """What `prepare` writes of a dataset; what is missing in it, or wrong, raises TakeoffError where it is read."""

    classes = _reader("classes", list[str], "the names of the classes, in label order")
    channels = _reader("channels", int, "1 or 3")
    resolution = _reader("resolution", int, "the side of the images, in pixels")
    mean = _reader("mean", list[float], "of each channel of the training images, of pixels from 0 to 1")
    std = _reader("std", list[float], "the standard deviation of each channel, of pixels from 0 to 1")
    colours = _reader("colours", list[list[float]], "the principal components of the training images' colours")
    digest = _reader("digest", str, "the SHA-256 of all images and labels, in hexadecimal")

    @property
    def notes(self) -> list[str]:
        """What is to be known of how the images were read; none where the card has no such key."""
        return self.value("notes", list[str], "lines of text") if self.get("notes") else []

    def images(self, split: Split) -> int:
        """How many images a split has."""
        return self.value(f"images.{split}", int, f"the number of {split} images")

    def images_per_class(self, split: Split) -> list[int]:
        """How many images a split has of every class, in label order."""
        return self.value(f"images_per_class.{split}", list[int], f"the number of {split} images of every class")

    def value(self, key: str, kind: type[T], valid: str) -> T:
        """The value at a dotted key, neither empty nor zero; where it is not of this kind, the message says `valid`."""
        found: Any = self
        for name in key.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        with suppress(ValueError):
            if found:
                return TypeAdapter(kind).validate_python(found, strict=True)
        raise TakeoffError(f"{CARD}: {key} is missing or wrong; valid: {valid}; prepare the data again")


def save_card(path: Path, card: Card) -> None:
    """Write a card with its digest, whole or not at all."""
    write_json(path, card | {OWN_DIGEST: digest_of(card)})


def load_card(path: Path, *needed: str) -> Card:
    """The card at `path`; TakeoffError where it is missing, damaged or changed, or lacks a key that is needed."""
    try:
        card = Card(json.loads(path.read_text(encoding="utf-8")))
        # Cards of earlier versions have no digest.
        if card.pop(OWN_DIGEST, None) not in {None, digest_of(card)}:
            raise ValueError("changed since it was written")
    except FileNotFoundError:
        raise TakeoffError(f"{path}: no such file; scripts/prepare.py writes it") from None
    except (ValueError, TypeError) as error:
        raise TakeoffError(f"{path}: damaged ({error}); prepare the data again") from None
    if missing := [key for key in needed if key not in card]:
        raise TakeoffError(f"{path}: lacks {', '.join(missing)}; prepare the data again")
    return card
