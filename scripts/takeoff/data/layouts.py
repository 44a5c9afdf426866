"""What a layout is: which member of an archive is which class in which split; not how that is found out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from posixpath import basename, dirname

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.data.kinds import escaped

SEED = 2012


@dataclass(frozen=True)
class Layout:
    """Which member of an archive is which class in which split."""

    name: str
    train: dict[str, str]
    """The class of each member of the split."""
    test: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    """Readable names of classes."""
    notes: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    """Of the classes where it is not that of their names."""
    strays: tuple[str, ...] = ()
    """Files among the images that are none."""

    @property
    def splits(self) -> dict[str, dict[str, str]]:
        """The class of each member, by split."""
        return {"train": self.train, "test": self.test}

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in label order."""
        return self.order or tuple(sorted({*self.train.values(), *self.test.values()}))

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many classes, training and test images there are."""
        return len(self.classes), len(self.train), len(self.test)

    @property
    def labels(self) -> dict[str, NDArray[np.int64]]:
        """The label of each member, N, by split."""
        number = {name: label for label, name in enumerate(self.classes)}
        return {
            split: np.array([number[name] for name in members.values()], np.int64)
            for split, members in self.splits.items()
        }

    def without(self, members: Iterable[str]) -> "Layout":
        """The same without some members; its classes stay."""
        gone = set(members)
        train, test = ({m: name for m, name in each.items() if m not in gone} for each in self.splits.values())
        return replace(self, train=train, test=test, order=self.classes)


def strays_among(others: Iterable[str], members: Iterable[str]) -> tuple[str, ...]:
    """Those of the `others`, files that are no images, that lie in a folder with members."""
    others = set(others)
    holding = {dirname(name) for name in members} if others else set()
    return tuple(sorted(name for name in others if dirname(name) in holding))


def select(layout: Layout, wanted: Iterable[str], archive: str) -> Layout:
    """The members of the wanted classes, all if `wanted` is empty.

    Raises TakeoffError for an unknown class, a name that no table can hold, and unless at least two classes have images
    in both splits.
    """
    classes, wanted = layout.classes, set(wanted)
    for name in sorted(wanted - set(classes)):
        valid = classes if len(classes) <= 20 else [*get_close_matches(name, classes, 5, 0), "…"]
        raise TakeoffError(f"{archive}: has no class {name!r}; {choices(name, map(escaped, valid))}")
    wanted = wanted or set(classes)
    for name in sorted(wanted):
        if not name.isprintable():
            raise TakeoffError(f"{archive}: a class is called {name!a}; valid: printable characters, in UTF-8")
    train, test = ({m: name for m, name in each.items() if name in wanted} for each in layout.splits.values())
    for split, members in (("training", train), ("test", test)):
        if missing := sorted(wanted - set(members.values())):
            names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
            raise TakeoffError(f"{archive}: no {split} images of {len(missing)} class(es): {names}")
    if len(wanted) < 2:
        raise TakeoffError(f"{archive}: holds one class, {min(wanted)}; a network needs two to tell apart")
    return replace(layout, train=train, test=test, order=tuple(name for name in classes if name in wanted))


def hold_out(layout: Layout, fraction: float) -> Layout:
    """Move a fixed part of each class from `train` to `test`: those whose class and name have the smallest hashes, the
    same on every machine, with every library.
    """
    by_class = defaultdict(list)
    for member, name in layout.train.items():
        by_class[name].append(member)
    test = {}
    for name, members in by_class.items():
        members.sort(key=lambda m: sha256(f"{SEED}:{name}:{basename(m)}".encode(errors="surrogateescape")).digest())
        test.update(dict.fromkeys(members[: max(1, round(fraction * len(members)))], name))
    note = f"no test split: {fraction:g} of each class was held out, the same images each time (seed {SEED})"
    train = {member: name for member, name in layout.train.items() if member not in test}
    return replace(layout, train=train, test=test, notes=(*layout.notes, note))
