"""Words in messages: what is nearest to a misspelt one, and any text in one line that shows no password."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 200
"""Characters of a value in a message."""
MOST_NAMES = 30
"""Valid names in a message."""
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
"""Which some scripts, and emoji, need within words."""
_MEANT = {"gpu": "cuda"}
"""Words that look more like another than like what they mean."""


def choices(value: object, valid: Iterable[object]) -> str:
    """The end of a message: what would be valid, the nearest spelling first, in capitals or not.

    >>> choices("ReLU", ["tanh", "relu"])
    'did you mean relu? Valid: tanh, relu'
    >>> choices("gpu", ["cpu", "cuda"])
    'did you mean cuda? Valid: cpu, cuda'
    """
    names = [str(v) for v in valid]
    near = nearest(value, names)
    if len(names) > MOST_NAMES:
        first = [*([near] if near else []), *(name for name in names if name != near)][:MOST_NAMES]
        names = [*first, f"and {len(names) - len(first)} more"]
    return (f"did you mean {near}? " if near else "") + "Valid: " + ", ".join(names)


def nearest(value: object, valid: Iterable[str]) -> str | None:
    """The valid name that is spelt most like a value, if one is: the same letters first.

    >>> nearest("CIFAR-10", ["cifar100", "cifar10"])
    'cifar10'
    """
    names, word = [*valid], str(value)[:LONGEST]
    same = [name for name in names if plain(name) == plain(word)]
    if (meant := _MEANT.get(word.lower())) in names:
        same.append(meant)
    found = next((near for one in (word, word.lower()) if (near := get_close_matches(one, names, 1))), [])
    return next(iter([*same, *found]), None)


def plain(name: str) -> str:
    """A name's letters and digits alone, in lower case: CIFAR-10 and cifar_10 are cifar10."""
    return "".join(character for character in name.lower() if character.isalnum())


def unprintable(text: str) -> bool:
    """Whether a text has control characters, line breaks among them, or others that change how it is shown."""
    return any(unicodedata.category(one) in _UNSEEN and one not in _JOINERS for one in text)


def one_line(text: str) -> str:
    """A text in one line of what can be printed, not longer than a message bears."""
    line = printable(text[: 4 * LONGEST])
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def printable(text: str) -> str:
    """A text of any length in one line of what can be printed."""
    return " ".join("".join(" " if unprintable(one) else one for one in text).split())


def shown(value: object) -> str:
    """A value in a message: as Python writes it, no longer than it bears, without what could be a password.

    >>> shown("http://me:secret@host")
    "'http://***@host'"
    >>> shown(["https://host/x.tgz?key=secret"])
    "['https://host/x.tgz?***']"
    """
    text = re.sub(r"(:/*)[^/\s'\"]*@", r"\1***@", one_line(repr(value)))
    return re.sub(r"(://[^\s'\"?]*\?)[^\s'\"]+", r"\1***", text)
