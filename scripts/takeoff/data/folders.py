"""Images below folders of splits, with a folder per class or labels in a file.

Words for splits are no classes, and what has no labels is not guessed at: it is left out with a note where that is
usual, as of a competition's test images, and refused with the reason elsewhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from posixpath import basename, dirname

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.below import TABLES, Below, below, named
from takeoff.data.kinds import escaped
from takeoff.data.labels import Labels, find_labels
from takeoff.data.layouts import Layout, strays_among
from takeoff.data.split_names import TEST_WORDS, split_name

BARE = ("test", "testing")
"""Splits whose images mostly come without labels."""


@dataclass(frozen=True)
class _Group:
    """Folders of splits that stand in one folder, by the words for them."""

    parent: str
    train: list[str]
    """The folders of training images: one, or its parts."""
    tests: dict[str, list[str]]
    both: list[str]

    @property
    def depth(self) -> int:
        return self.parent.count("/") + bool(self.parent)

    @property
    def folders(self) -> list[str]:
        return [*self.train, *(folder for each in self.tests.values() for folder in each), *self.both]


def split_folders(archive: Archive) -> Layout | None:
    """The shallowest folders of splits whose training images have labels."""
    images = sorted(archive.images)
    groups = _groups(images)
    reasons: list[str] = []
    for depth in sorted({group.depth for group in groups}):
        found = []
        for group in (group for group in groups if group.depth == depth):
            train = _training(archive, images, group)
            if isinstance(train, str):
                if _whole(images, group):
                    reasons.append(train)
            else:
                found.append((group, *train))
        if len(found) > 1:
            names = ", ".join(escaped(group.parent) or "the top" for group, *_ in found)
            raise TakeoffError(f"{archive}: holds several sets of images, in {names}; valid: one of these folders")
        if found:
            return _layout(archive, images, *found[0])
    if reasons:
        raise TakeoffError(f"{archive}: {reasons[0]}; valid: {TABLES}")
    return None


def _groups(images: Sequence[str]) -> list[_Group]:
    """Every place where folders of splits stand, but for those inside of others."""
    folders: set[str] = set()
    for name in images:
        folder = dirname(name)
        while folder and folder not in folders:
            folders.add(folder)
            folder = dirname(folder)
    named: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for folder in sorted(folders):
        if word := split_name(basename(folder)):
            key = word.kind if word.kind != "test" else word.word
            named[dirname(folder), word.rest][key].append(folder)
    groups = []
    for (parent, rest), kinds in named.items():
        tests = {word: kinds[word] for word in TEST_WORDS if word in kinds}
        train = kinds.get("train") or kinds.get("both", [])
        if train and (tests or not rest):
            groups.append(_Group(parent, train, tests, kinds.get("both", []) if "train" in kinds else []))
    inside = {f"{folder}/" for group in groups for folder in group.folders}
    return [group for group in groups if not any(f"{group.parent}/".startswith(folder) for folder in inside)]


def _whole(images: Iterable[str], group: _Group) -> bool:
    """Whether what the group holds is what there is: its folders are not classes among others of their kind."""
    parent = f"{group.parent}/" if group.parent else ""
    if not all(name.startswith(parent) for name in images):
        return False
    beside = {name[len(parent) :].partition("/")[0] for name in images if "/" in name[len(parent) :]}
    return bool(group.tests) or len(group.train) > 1 or len(beside - {basename(group.train[0])}) < 2


def _training(archive: Archive, images: Sequence[str], group: _Group) -> tuple[Below, Labels | None] | str:
    """The training images of a group, with labels where a file has them; a reason where nothing has."""
    for one, other in combinations(group.train, 2):
        a, b = ({name[len(folder) :] for name in images if name.startswith(f"{folder}/")} for folder in (one, other))
        if (a <= b or b <= a) and min(len(a), len(b)) > 1:
            raise TakeoffError(
                f"{archive}: {escaped(one)}/ and {escaped(other)}/ hold files of the same names; valid: one of them, "
                "or, where they are parts of one split, files with names of their own"
            )
    train = below(archive, images, group.train)
    if len(train.classes) > 1:
        return train, None
    apart = set(group.folders) - set(group.train)
    found = find_labels(archive, train.images, "train", inside=group.train, apart=apart)
    if isinstance(found, Labels):
        _check_splits(archive, found, "train", group.train)
        return train, found
    if train.members and not train.loose:
        return train, None  # one class, which is refused for what it is
    return f"{named(group.train)} has no class folders, and {found}"


def _check_splits(archive: Archive, labels: Labels, split: str, folders: Iterable[str]) -> None:
    """Raise TakeoffError where a table puts images into another split than their folder does."""
    for image, word in labels.splits.items():
        if (word.kind == "test") != (split == "test"):
            raise TakeoffError(
                f"{archive}: {escaped(labels.source)} says {word.word} of {escaped(basename(image))}, which is in "
                f"{named(folders)}; valid: a table that agrees or has no column of splits, or all images in one folder"
            )


def _layout(archive: Archive, images: Sequence[str], group: _Group, train: Below, labels: Labels | None) -> Layout:
    members = labels.classes if labels else train.members
    notes = []
    if len(group.train) > 1 or labels:
        notes.append(f"training images from {named(group.train)}{labels.said if labels else ''}")
    notes += labels.notes if labels else ()
    notes += train.left_out(group.train, labelled=labels is not None)
    if group.both:
        notes.append(f"{named(group.both)} was left out")
    test, said = _test_images(archive, images, group, members)
    roots = tuple(f"{folder}/" for folder in group.folders)
    elsewhere = [name for name in images if not name.startswith(roots)]
    if elsewhere:
        said.append(f"{len(elsewhere):,} images in other folders were left out, as {escaped(elsewhere[0])}")
    strays = strays_among(archive.files - archive.images, [*train.members, *test] if labels is None else [])
    name = "labels in a table" if labels else "class folders"
    return Layout(name, members, test, notes=(*notes, *said), strays=strays)


def _test_images(
    archive: Archive, images: Sequence[str], group: _Group, train: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The test images of a group, from the first of its splits that has labels, and notes on all of them."""
    classes, test = set(train.values()), dict[str, str]()
    notes: list[str] = []
    reason = None
    for word, folders in group.tests.items():
        if test:
            notes.append(f"{named(folders)} was left out")
            continue
        found = below(archive, images, folders, classes)
        fits = bool(found.classes & classes)
        labels = None
        if not fits or found.loose:
            apart = set(group.folders) - set(folders)
            labels = find_labels(archive, found.images, "test", train, inside=folders, apart=apart)
        if isinstance(labels, Labels):
            _check_splits(archive, labels, "test", folders)
            test = labels.classes
            notes += [f"test images from {named(folders)}{labels.said}", *labels.notes]
            notes += found.left_out(folders, labelled=True)
        elif fits or len(found.classes) > 1:
            test = found.members
            notes += [f"test images from {named(folders)}", *found.left_out(folders)]
        else:
            notes.append(f"{named(folders)} has no {'class folders' if found.loose else 'labels'} and was left out")
            if word not in BARE:
                reason = reason or f"{named(folders)} has no class folders, and {labels}"
    if reason and not test:
        otherwise = "or no such folder, and a part of each class is held out"
        raise TakeoffError(f"{archive}: {reason}; valid: {TABLES}; {otherwise}")
    return test, notes
