"""Words for splits: what a folder or a table is called that holds training, validation or test images, or a part of
them. Knows nothing of archives.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["train", "test", "both"]
TEST_WORDS = ("test", "testing", "val", "valid", "validation", "eval", "evaluation", "holdout", "heldout")
"""Of several the first that has labels gives the test images."""
TRAIN_WORDS = ("train", "training")
_OF = "set sets data dataset image images img imgs pics photos pictures folder part split of x".split()
"""What else such a name says, and tells nothing; so do numbers, and letters that stand alone."""
_WORD = re.compile(rf"({'|'.join([*TRAIN_WORDS, *TEST_WORDS])})({'|'.join(_OF)})?")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TOGETHER = re.compile(rf"({'|'.join(TRAIN_WORDS)})(val|valid|validation)")


@dataclass(frozen=True)
class SplitName:
    """What a name says."""

    kind: Kind
    """`both` of training and validation images together."""
    word: str
    """The word itself, in lower case."""
    rest: tuple[str, ...]
    """Other words: seg of seg_train. Without any the name is nothing but a split's."""


@lru_cache(maxsize=4096)
def split_name(name: str) -> SplitName | None:
    """What a name says of a split; None where it says nothing, or names training and test images alike.

    >>> split_name("train.X1")
    SplitName(kind='train', word='train', rest=())
    >>> split_name("ILSVRC2012_img_val")
    SplitName(kind='test', word='val', rest=('ilsvrc',))
    >>> split_name("trains"), split_name("contest"), split_name("train_test_split")
    (None, None, None)
    """
    words: list[str] = []
    rest: list[str] = []
    parts = [name.lower()] if _WORD.fullmatch(name.lower()) else [part.lower() for part in _PART.findall(name)]
    for part in parts:
        if found := _TOGETHER.fullmatch(part):
            words += found.groups()
        elif found := _WORD.fullmatch(part):
            words.append(found[1])
        elif part not in _OF and len(part) > 1 and not part.isdigit():
            rest.append(part)
    trains = any(word in TRAIN_WORDS for word in words)
    if not words or (trains and "test" in words):
        return None
    tests = [word for word in words if word in TEST_WORDS]
    kind: Kind = "both" if trains and tests else "train" if trains else "test"
    return SplitName(kind, (tests or words)[0], tuple(rest))
