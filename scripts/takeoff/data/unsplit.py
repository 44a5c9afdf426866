"""Images without folders of splits: class folders alone, or images in one folder or in parts, with labels in a file."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from posixpath import dirname

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.below import NO_CLASSES, TABLES, Below, below
from takeoff.data.folder_names import alike
from takeoff.data.kinds import escaped
from takeoff.data.labels import Labels, find_labels
from takeoff.data.layouts import Layout, strays_among
from takeoff.data.split_names import TEST_WORDS, split_name


def labelled(archive: Archive) -> Layout | None:
    """Images in one folder, or in folders that are no classes by their names, with their labels in a file."""
    images = sorted(archive.images)
    found = below(archive, images, [""])
    one = len({dirname(name) for name in found.images}) == 1
    if not images or not (one or found.parts or _numbered(found)):
        return None
    labels = find_labels(archive, found.images, "train")
    if isinstance(labels, Labels):
        return _by_table(archive, labels, found)
    if found.parts:
        names = ", ".join(map(escaped, found.parts[:4])) + (" …" if len(found.parts) > 4 else "")
        raise TakeoffError(f"{archive}: {names}: {NO_CLASSES}, and {labels}; valid: {TABLES}, or one folder of these")
    return None


def _numbered(found: Below) -> bool:
    """Whether folders of loose images differ by their numbers alone: parts of a set, perhaps."""
    return alike(found.classes) and all(dirname(name) == found.root + label for name, label in found.members.items())


def _by_table(archive: Archive, labels: Labels, found: Below) -> Layout:
    """Images with labels in a file, in the splits that it says, if any."""
    notes = [f"all images{labels.said}", *labels.notes, *found.left_out(labelled=True)]
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
    found = below(archive, images, [""])
    if not found.members:
        return None
    root = found.root
    files = [name for name in archive.files if name.startswith(root) and "/" in name[len(root) :]]
    if 2 * len(found.members) <= len(files):
        return None
    folders: dict[str, list[str]] = defaultdict(list)
    for name, label in found.members.items():
        folders[label].append(name[len(root) + len(label) + 1 :])
    splits = [label for label in sorted(folders) if (word := split_name(label)) and not word.rest]
    notes = []
    # A train among other vehicles is one; a word for test images never is a class.
    if splits and (len(splits) > 1 or len(folders) < 3 or splits[0].lower() != "train"):
        beside = ", ".join(escaped(label) for label in sorted(folders) if label not in splits)
        raise TakeoffError(
            f"{archive}: {', '.join(map(escaped, splits))}: words for splits are no classes"
            + (f", and beside stand {beside[:100]}" if beside else ", and no labelled training images stand beside")
            + "; valid: train/ and test/, each with a folder per class, or class folders alone"
        )
    if splits:
        notes.append(f"the folder {splits[0]} was taken for a class, as those beside it")
    _check_domains(archive, folders)
    if _numbered(found):
        notes.append(f"folders that differ by numbers alone were taken for classes, as {escaped(min(folders))}")
    if tests := [part for part in root.split("/") if (word := split_name(part)) and word.kind == "test"]:
        notes.append(f"all images are from {escaped(tests[-1])}/: no folder of training images stands beside it")
    notes += found.left_out()
    strays = strays_among(archive.files - archive.images, found.members)
    return Layout("class folders", found.members, notes=tuple(notes), strays=strays)


def _check_domains(archive: Archive, folders: Mapping[str, Collection[str]]) -> None:
    """Raise TakeoffError where most class folders hold folders, and these are mostly the same: they are the classes."""
    inside = {label: _tops(names) for label, names in folders.items()}
    holding = {label: names for label, names in inside.items() if len(names - {""}) > 1}
    counts = Counter(name for names in holding.values() for name in names - {""})
    shared = sorted(name for name, count in counts.items() if count > 1)
    if 2 * len(holding) > len(folders) and 2 * len(shared) > len(counts):
        above, same = (", ".join(map(escaped, sorted(names)[:4])) for names in (holding, shared))
        raise TakeoffError(
            f"{archive}: {above} hold the same folders, {same}: if those are classes, call the ones above train and "
            "test, or choose one of them; else put each class's images in one folder"
        )


def _tops(names: Collection[str]) -> set[str]:
    """The folders that paths begin with, single ones gone through; nothing where files stand."""
    while True:
        tops = {name.partition("/")[0] if "/" in name else "" for name in names}
        if len(tops) != 1 or "" in tops:
            return tops
        names = [name.partition("/")[2] for name in names]
