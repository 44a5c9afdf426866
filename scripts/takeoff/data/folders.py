"""Images in folders: below folders of splits, with a folder per class or labels in a file; or class folders alone.

Words for splits are no classes, and what has no labels is not guessed at: it is left out with a note where that is
usual, as of a competition's test images, and refused with the reason elsewhere.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from posixpath import basename, dirname

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.kinds import escaped
from takeoff.data.labels import Labels, find_labels
from takeoff.data.layouts import Layout, strays_among
from takeoff.data.split_names import TEST_WORDS, split_name

BARE = ("test", "testing")
"""Splits whose images mostly come without labels."""
TABLES = "a folder per class, or a table (.csv, .tsv, .txt) with the name and the label of each image"


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


@dataclass(frozen=True)
class _Sorted:
    """What lies below the folders of one split."""

    members: dict[str, str]
    """The images in class folders, with their classes."""
    loose: list[str]
    root: str
    """The folder above the last of the class folders, with a slash; or nothing."""

    @property
    def images(self) -> list[str]:
        return sorted([*self.members, *self.loose])

    @property
    def classes(self) -> set[str]:
        return set(self.members.values())


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


def _below(archive: Archive, images: Sequence[str], folders: Sequence[str], known: Collection[str] = ()) -> _Sorted:
    """What lies below folders of one split; single folders, but for a class that is `known`, are gone through."""
    members: dict[str, str] = {}
    loose: list[str] = []
    root = ""
    for folder in folders:
        root = f"{folder}/" if folder else ""
        mine = [name for name in images if name.startswith(root)]
        while True:
            inside = {name: name[len(root) :].partition("/")[0] for name in mine if "/" in name[len(root) :]}
            tops = set(inside.values())
            if len(tops) != 1 or tops <= set(known):
                break
            inner = f"{root}{min(tops)}/"
            if not any("/" in name[len(inner) :] for name in inside):
                break
            loose += [name for name in mine if name not in inside]
            root, mine = inner, list(inside)
        members |= inside
        loose += [name for name in mine if name not in inside]
        named = {basename(f) for f in archive.folders if dirname(f) == root.rstrip("/")}
        if inside and not known and (empty := sorted(named - tops)):
            raise TakeoffError(f"{archive}: the class folder {escaped(root + empty[0])} holds no images")
    return _Sorted(dict(sorted(members.items())), sorted(loose), root)


def _training(archive: Archive, images: Sequence[str], group: _Group) -> tuple[_Sorted, Labels | None] | str:
    """The training images of a group, with labels where a file has them; a reason where nothing has."""
    for one, other in combinations(group.train, 2):
        a, b = ({name[len(folder) :] for name in images if name.startswith(f"{folder}/")} for folder in (one, other))
        if (a <= b or b <= a) and min(len(a), len(b)) > 1:
            raise TakeoffError(
                f"{archive}: {escaped(one)}/ and {escaped(other)}/ hold files of the same names; valid: one of them, "
                "or, where they are parts of one split, files with names of their own"
            )
    train = _below(archive, images, group.train)
    if len(train.classes) > 1:
        return train, None
    apart = set(group.folders) - set(group.train)
    found = find_labels(archive, train.images, "train", inside=group.train, apart=apart)
    if isinstance(found, Labels):
        _check_splits(archive, found, "train", group.train)
        return train, found
    if train.members and not train.loose:
        return train, None  # one class, which is refused for what it is
    return f"{_named(group.train)} has no class folders, and {found}"


def _check_splits(archive: Archive, labels: Labels, split: str, folders: Iterable[str]) -> None:
    """Raise TakeoffError where a table puts images into another split than their folder does."""
    for image, word in labels.splits.items():
        if (word.kind == "test") != (split == "test"):
            raise TakeoffError(
                f"{archive}: {escaped(labels.source)} says {word.word} of {escaped(basename(image))}, which is in "
                f"{_named(folders)}; valid: a table that agrees or has no column of splits, or all images in one folder"
            )


def _layout(archive: Archive, images: Sequence[str], group: _Group, train: _Sorted, labels: Labels | None) -> Layout:
    members = labels.classes if labels else train.members
    notes = []
    if len(group.train) > 1 or labels:
        notes.append(f"training images from {_named(group.train)}{_with(labels)}")
    notes += labels.notes if labels else ()
    notes += [] if labels else _outside(train, group.train)
    if group.both:
        notes.append(f"{_named(group.both)} was left out")
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
            notes.append(f"{_named(folders)} was left out")
            continue
        found = _below(archive, images, folders, classes)
        fits = bool(found.classes & classes)
        labels = None
        if not fits or found.loose:
            apart = set(group.folders) - set(folders)
            labels = find_labels(archive, found.images, "test", train, inside=folders, apart=apart)
        if isinstance(labels, Labels):
            _check_splits(archive, labels, "test", folders)
            test = labels.classes
            notes += [f"test images from {_named(folders)}{_with(labels)}", *labels.notes]
        elif fits or len(found.classes) > 1:
            test = found.members
            notes += [f"test images from {_named(folders)}", *_outside(found, folders)]
        else:
            notes.append(f"{_named(folders)} has no {'class folders' if found.loose else 'labels'} and was left out")
            if word not in BARE:
                reason = reason or f"{_named(folders)} has no class folders, and {labels}"
    if reason and not test:
        otherwise = "or no such folder, and a part of each class is held out"
        raise TakeoffError(f"{archive}: {reason}; valid: {TABLES}; {otherwise}")
    return test, notes


def _outside(found: _Sorted, folders: Iterable[str]) -> list[str]:
    """A note on the images beside the class folders, if there are any."""
    where = f" of {_named(folders)}" if any(folders) else ""
    return [f"{len(found.loose):,} images outside the class folders{where} were left out"] if found.loose else []


def _named(folders: Iterable[str]) -> str:
    return ", ".join(f"{escaped(basename(folder))}/" for folder in folders)


def _with(labels: Labels | None) -> str:
    return f", with the labels of {escaped(labels.source)}" if labels else ""


def flat(archive: Archive) -> Layout | None:
    """Images in one folder, with their labels in a file."""
    images = sorted(archive.images)
    if not images or len({dirname(name) for name in images}) > 1:
        return None
    found = find_labels(archive, images, "train")
    if not isinstance(found, Labels):
        return None
    return _by_table(archive, found)


def _by_table(archive: Archive, labels: Labels) -> Layout:
    """Images with labels in a file, in the splits that it says, if any."""
    notes = [f"all images{_with(labels)}", *labels.notes]
    if not labels.splits:
        return Layout("labels in a table", labels.classes, notes=tuple(notes))
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for image, word in labels.splits.items():
        parts[word.word if word.kind == "test" else "train"][image] = labels.classes[image]
    tests = [word for word in TEST_WORDS if word in parts]
    if "train" not in parts:
        raise TakeoffError(f"{archive}: {escaped(labels.source)} says train of no image; valid: train, and {tests[0]}")
    notes += [f"test images are those that {escaped(labels.source)} says {word} of" for word in tests[:1]]
    notes += [f"{len(parts[word]):,} images that it says {word} of were left out" for word in tests[1:]]
    test = parts[tests[0]] if tests else {}
    return Layout("labels in a table", parts["train"], test, notes=tuple(notes))


def class_folders(archive: Archive) -> Layout | None:
    """Class folders, mostly of images, with nothing above them but folders that stand alone."""
    images = sorted(archive.images)
    found = _below(archive, images, [""])
    if not found.members:
        return None
    root = found.root
    files = [name for name in archive.files if name.startswith(root) and "/" in name[len(root) :]]
    if 2 * len(found.members) <= len(files):
        return None
    below = defaultdict(set)
    for name, label in found.members.items():
        below[label].add(dirname(name[len(root) + len(label) + 1 :]).partition("/")[0])
    splits = [label for label in sorted(below) if (word := split_name(label)) and not word.rest]
    notes = []
    # A train among other vehicles is one; a word for test images never is a class.
    if splits and (len(splits) > 1 or len(below) < 3 or splits[0].lower() != "train"):
        beside = ", ".join(escaped(label) for label in sorted(below) if label not in splits)
        raise TakeoffError(
            f"{archive}: {', '.join(map(escaped, splits))}: words for splits are no classes"
            + (f", and beside stand {beside[:100]}" if beside else ", and no labelled training images stand beside")
            + "; valid: train/ and test/, each with a folder per class, or class folders alone"
        )
    if splits:
        notes.append(f"the folder {splits[0]} was taken for a class, as those beside it")
    first, *others = below.values()
    if len(first) > 1 and "" not in first and all(other == first for other in others):
        above, same = (", ".join(map(escaped, sorted(names)[:4])) for names in (below, first))
        raise TakeoffError(
            f"{archive}: {above} hold the same folders, {same}: if those are classes, call the ones above train and "
            "test; else put each class's images in one folder"
        )
    notes += _outside(found, [""])
    strays = strays_among(archive.files - archive.images, found.members)
    return Layout("class folders", found.members, notes=tuple(notes), strays=strays)
