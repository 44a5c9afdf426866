"""Labels that stand in a file instead of in the names of folders: a table with a row per image, the development kit of
ILSVRC2012, or an XML file per image.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.imagenet import kit_labels
from takeoff.data.kinds import escaped, stem
from takeoff.data.split_names import SplitName, split_name
from takeoff.data.tables import LARGEST, Table, read_table, same_classes

TABLES = (".csv", ".tsv", ".txt")
MOST_TABLES = 50
MOST_ROWS, PER_IMAGE = 200_000, 20
"""Rows of a table: so many, and so many more for every image, of which each may have some boxes."""
_OBJECT = re.compile(rb"<object>.*?<name>\s*(.*?)\s*</name>", re.DOTALL)


@dataclass(frozen=True)
class Labels:
    """The class of each image, and the file that says it."""

    classes: dict[str, str]
    source: str
    splits: dict[str, SplitName] = field(default_factory=dict)
    """The split of each image, where the file says it too."""
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The end of a note on what images were read."""
        return f", with the labels of {escaped(self.source)}"


def find_labels(
    archive: Archive,
    images: Sequence[str],
    split: Literal["train", "test"],
    others: Collection[str] = (),
    inside: Collection[str] = (),
    apart: Collection[str] = (),
) -> Labels | str:
    """The labels of all these images, of one split, where a file in the archive has them; else what is wrong, in words.

    A table does not count whose name is that of another split, or that lies in a folder of one, `apart`. Nor does, in
    one of no split and not `inside` of this one's folders, what may be said of the `others`, the images of another
    split: numbers often begin anew. What submits guesses has one label for all. Raises TakeoffError where two tables
    have labels for all images and disagree.
    """
    if found := kit_labels(archive, images):
        return Labels(*found)
    tables = _read_tables(archive, images, split, others, inside, apart)
    faults = {name: fault for name, table in tables.items() if (fault := _fault(table, images))}
    fitting = [name for name in tables if name not in faults]
    for one, other in ((fitting[0], other) for other in fitting[1:]):
        if not same_classes(tables[one].labels, tables[other].labels):
            raise TakeoffError(
                f"{archive}: {escaped(one)} and {escaped(other)} disagree on the classes of the images; "
                "valid: one table of labels"
            )
    if fitting:
        return _labels(archive, images, fitting[0], tables[fitting[0]])
    worst = max(faults, key=lambda name: tables[name].count, default=None)
    return _of_xml(archive, images) or (
        f"{escaped(posixpath.basename(worst))} {faults[worst]}" if worst else "no file says their classes"
    )


def _read_tables(
    archive: Archive,
    images: Sequence[str],
    split: str,
    others: Collection[str],
    inside: Collection[str],
    apart: Collection[str],
) -> dict[str, Table]:
    """The tables that speak of the images, the shallowest first: if one has a column called so, only such."""
    wanted = {name for name in _tables(archive, images, split) if not _lies_in(name, apart)}
    own = _keys(images) if wanted else {}
    # A text that is called as an image says something of that one: where objects stand in it, say.
    wanted = {name for name in wanted if not (name.endswith(".txt") and stem(name) in own)}
    if not wanted:
        return {}
    alone = own.keys() - _keys(others).keys()
    shared = {key: image for key, image in own.items() if key in alone}
    tables = {}
    for name, data in archive.read(wanted, LARGEST + 1):
        named = split_name(stem(name)) is not None or _lies_in(name, inside)
        table = read_table(data, own if named else shared, MOST_ROWS + PER_IMAGE * len(archive.images))
        if table:
            tables[name] = table
    certain = any(table.named for table in tables.values())
    names = sorted(tables, key=lambda name: (name.count("/"), name))
    return {name: tables[name] for name in names if tables[name].named or not certain}


def _lies_in(name: str, folders: Iterable[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


def _fault(table: Table, images: Sequence[str]) -> str:
    """Why a table does not say the class of each image, if it does not."""
    if table.fault:
        return table.fault
    if missing := next((image for image in images if image not in table.labels), None):
        return f"has no label for {escaped(posixpath.basename(missing))}"
    return "" if len(set(table.labels.values())) > 1 else "has one label for all of them"


def _labels(archive: Archive, images: Sequence[str], name: str, table: Table) -> Labels:
    """The labels of a table that fits, with the splits that it says, and notes on what in it was not used."""
    source, notes = posixpath.basename(name), list[str]()
    words = {value: split_name(value) for value in set(table.splits.values())}
    known = {value: word for value, word in words.items() if word}
    if words and len(known) < len(words):
        unknown = min(words.keys() - known.keys())
        notes.append(f"{escaped(source)} has a column of splits that was not read, with {escaped(unknown)!r} in it")
    whole = len(known) == len(words) and len(table.splits) == len(images)
    names = {key for image in archive.images for key in _names(image)} if table.absent else set()
    if absent := sorted(table.absent - names):
        notes.append(f"{escaped(source)} names {len(absent):,} images that are not there, as {escaped(absent[0])}")
    splits = {image: known[value] for image, value in table.splits.items()} if whole else {}
    return Labels({image: table.labels[image] for image in images}, source, splits, tuple(notes))


def _tables(archive: Archive, images: Sequence[str], split: str) -> Iterable[str]:
    """The names of tables that may speak of the images: all if they are few, else those in folders above."""
    named = [name for name in archive.files if name.lower().endswith(TABLES)]
    if len(named) > MOST_TABLES:
        folder = posixpath.dirname(posixpath.commonprefix(images))
        named = [name for name in named if f"{folder}/".startswith(posixpath.dirname(name).rstrip("/") + "/")]
        named += [name for name in archive.files if name.lower().endswith(TABLES) and "/" not in name]
    for name in named:
        word = split_name(stem(name))
        if "submission" not in name.lower() and (word is None or word.kind in (split, "both")):
            yield name


def _keys(images: Iterable[str]) -> dict[str, str]:
    """The image that a table means by what it may call one, if that is one image."""
    keys: dict[str, str] = {}
    twice = set()
    for image in images:
        for key in _names(image):
            if keys.setdefault(key, image) != image:
                twice.add(key)
    return {key: image for key, image in keys.items() if key not in twice}


def _names(image: str) -> set[str]:
    """What a table may call an image: its name, with its folder or without, with its ending or without."""
    name = posixpath.basename(image)
    return {name, stem(name), f"{posixpath.basename(posixpath.dirname(image))}/{name}"}


def _of_xml(archive: Archive, images: Sequence[str]) -> Labels | None:
    """Labels from an XML file per image, as of PASCAL VOC, where each of them names one class."""
    files = {stem(name): name for name in archive.files if name.lower().endswith(".xml")}
    wanted = {files.get(stem(image), ""): image for image in images}
    if "" in wanted or len(wanted) < len(images):
        return None
    found = {}
    for name, data in archive.read(wanted):
        classes = set(_OBJECT.findall(data))
        if len(classes) != 1:
            return None
        found[wanted[name]] = classes.pop().decode("utf-8", "replace")
    return Labels({image: found[image] for image in images}, "the XML file of each")
