"""Labels that stand in a file instead of in the names of folders: a table with a row per image, the development kit of
ILSVRC2012, or an XML file per image.
"""

import csv
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from takeoff.data.archives import Archive
from takeoff.data.imagenet import kit_labels
from takeoff.data.kinds import stem
from takeoff.data.split_names import split_name

TABLES = (".csv", ".tsv", ".txt")
MOST_TABLES = 50
NAMED = set("label labels class classes classname category target breed species wnid synset predictionstring".split())
"""What the column of labels is called, where there are more than two columns."""
COLUMNS = 10
_OBJECT = re.compile(rb"<object>.*?<name>\s*(.*?)\s*</name>", re.DOTALL)


@dataclass(frozen=True)
class Labels:
    """The class of each image, and the file that says it."""

    classes: dict[str, str]
    source: str


def find_labels(
    archive: Archive, images: Sequence[str], split: Literal["train", "test"], others: Collection[str] = ()
) -> Labels | str:
    """The labels of all these images, of one split, where a file in the archive has them; else what is wrong, in words.

    A table whose name is that of another split does not count. Nor does, in one of no split, what may be said of the
    `others`, the images of another split: numbers often begin anew. What submits guesses has one label for all.
    """
    if found := kit_labels(archive, images):
        return Labels(*found)
    wanted = set(_tables(archive, images, split))
    tables = dict(archive.read(wanted)) if wanted else {}
    short: tuple[int, str] = (0, "no file says their classes")
    for name, data in sorted(tables.items(), key=lambda item: (item[0].count("/"), item[0])):
        named = split_name(stem(name)) is not None
        keys = _keys(images)
        for key in () if named else _keys(others):
            keys.pop(key, None)
        classes = _labels_in(data.decode("utf-8-sig", "replace"), keys)
        if len(classes) == len(images) and len(set(classes.values())) > 1:
            return Labels({image: classes[image] for image in images}, posixpath.basename(name))
        missing = next((image for image in images if image not in classes), None)
        if missing and len(classes) > short[0] and len(set(classes.values())) > 1:
            short = (len(classes), f"{posixpath.basename(name)} has no label for {posixpath.basename(missing)}")
    return _of_xml(archive, images) or short[1]


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
    """What a table may call an image: its name, with its folder or without, with its ending or without."""
    keys: dict[str, str] = {}
    twice = set()
    for image in images:
        name = posixpath.basename(image)
        for key in {name, stem(name), f"{posixpath.basename(posixpath.dirname(image))}/{name}"}:
            if keys.setdefault(key, image) != image:
                twice.add(key)
    return {key: image for key, image in keys.items() if key not in twice}


def _labels_in(text: str, keys: Mapping[str, str]) -> dict[str, str]:
    """The label of each image that a table names; none where a row does not tell which of its columns is the label, or
    an image has two.
    """
    rows = _rows(text)
    if not rows:
        return {}
    width = min(COLUMNS, max(map(len, rows[:100])))
    hits = [sum(len(row) > place and row[place] in keys for row in rows) for place in range(width)]
    key = hits.index(max(hits))
    if not hits[key]:
        return {}
    head = [cell.lower() for cell in rows[0]]
    headed = rows[0][key : key + 1] != [] and rows[0][key] not in keys and not any(cell.isdigit() for cell in head)
    named = [place for place, cell in enumerate(head) if headed and place != key and cell in NAMED]
    if named:
        column = named[0]
    elif width == 2:
        column = 1 - key
    elif not headed and len(head) > key + 1:
        column = key + 1
    else:
        return {}
    boxes = headed and head[column] == "predictionstring"  # of Kaggle's ImageNet: a class, then boxes
    found: dict[str, str] = {}
    for row in rows:
        if len(row) > max(key, column) and (image := keys.get(row[key])) and (label := row[column]):
            label = label.split()[0] if boxes else label
            if found.setdefault(image, label) != label:
                return {}
    return found


def _rows(text: str) -> list[list[str]]:
    first, _, _ = text.partition("\n")
    delimiter = next((mark for mark in "\t;," if mark in first), None)
    if delimiter is None:
        return [line.split() for line in text.splitlines() if line.strip()]
    try:
        rows = csv.reader(text.splitlines(), delimiter=delimiter)
        return [[cell.strip() for cell in row] for row in rows if row]
    except csv.Error:
        return []


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
