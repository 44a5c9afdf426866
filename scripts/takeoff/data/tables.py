"""A table of labels: which of its columns names the images, which says their classes, and which their splits. Knows
nothing of folders.
"""

import csv
import io
import posixpath
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from takeoff.data.kinds import called_image, escaped

LARGEST = 200_000_000  # bytes; ImageNet's table of training images, boxes and all, has 70 MB
LONGEST_LINE = 1 << 20  # characters: a file of zeros is one line
COLUMNS = 10
"""The name of the image stands in one of the first columns."""
LABELS = frozenset(
    "label labels class classes classname category categories target targets species breed wnid synset diagnosis dx "
    "finding findings predictionstring".split()
)
"""What a column of labels is called."""
_WITH = frozenset("id ids name names index idx code image true".split())
"""What such a heading says besides: class_id, Image Label."""
_IMAGE = frozenset("image images img file filename filepath path id name picture photo".split())
_SPLITS = frozenset("split splits set subset partition".split())
_NO_LABELS = _SPLITS | frozenset(
    "id uid uuid index idx fold folds width height size sizes area channels depth format mode url urls link path paths "
    "file filename folder hash md5 sha sha1 sha256 date time datetime timestamp year month day age weight score rating "
    "confidence count number num lat lon latitude longitude license licence author source camera".split()
)
"""What a column is called that says something else of an image."""
_MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "null"))
_WORD = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*")


@dataclass(frozen=True)
class Table:
    """What a table says of the images that were asked for."""

    labels: dict[str, str] = field(default_factory=dict)
    named: bool = False
    """Whether a heading calls its column one of labels; another is a guess."""
    splits: dict[str, str] = field(default_factory=dict)
    """What a column of splits says, where there is one."""
    absent: frozenset[str] = frozenset()
    """What stands in the column of images and is none of these."""
    count: int = 0
    """How many of the images it names."""
    fault: str = ""


def encoding(data: bytes) -> str:
    """The encoding of a text by the mark that it begins with: UTF-16, as spreadsheets write it, else UTF-8."""
    return "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def read_table(data: bytes, keys: Mapping[str, str], most: int) -> Table | None:
    """What a table, of at most so many rows, says of images by what it may call them; None where that is nothing."""
    if len(data) > LARGEST:
        return Table(fault=f"has more than {LARGEST:,} bytes")
    try:
        return _read(data, keys, most)
    except csv.Error:
        return None


def same_classes(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two tell the same images apart, be it by other names."""
    pairs = {(label, other[image]) for image, label in one.items()}
    return len(pairs) == len(set(one.values())) == len(set(other.values()))


@dataclass(frozen=True)
class _Columns:
    """Where a table has what, by its first row and by which cells name images."""

    first: list[str]
    headed: bool
    key: int
    width: int

    @property
    def labels(self) -> list[int]:
        """The columns of labels: those called so; else the only other one, if it is not called something else; in a
        table without headings, the next.
        """
        other = [1 - self.key] if self.width == 2 and self.key < 2 else []
        if not self.headed:
            return other or [self.key + 1] * (len(self.first) > self.key + 1)
        if self.is_label(self.key):
            return []  # a list of the classes
        named = [place for place in range(len(self.first)) if self.is_label(place)]
        return named or [place for place in other if not _words(self.first, place) & _NO_LABELS]

    @property
    def split(self) -> int | None:
        """The column of splits, if there is one."""
        places = range(len(self.first)) if self.headed else ()
        return next((i for i in places if i not in self.labels and _words(self.first, i) & _SPLITS), None)

    def is_label(self, place: int) -> bool:
        """Whether a column's heading calls it one of labels."""
        words = _words(self.first, place)
        return self.headed and (self.called(place, LABELS) or (bool(words & LABELS) and words <= LABELS | _WITH))

    def called(self, place: int, names: Container[str]) -> bool:
        """Whether a column's heading, as a whole, is one of these."""
        return self.headed and place < len(self.first) and self.first[place].lower() in names


def _read(data: bytes, keys: Mapping[str, str], most: int) -> Table | None:
    first: list[str] = []
    width = 0
    named: dict[int, set[str]] = {}
    for number, row in _rows(data):
        if number > most:
            return Table(fault=f"has more than {most:,} rows")
        first = first or row
        width = max(width, len(row)) if number <= 100 else width
        for place, cell in enumerate(row[:COLUMNS]):
            if image := keys.get(cell):
                named.setdefault(place, set()).add(image)
    if not named:
        return None
    # Numbers of rows and of classes may be names of images too.
    key = max(named, key=lambda place: (len(named[place]), bool(_words(first, place) & _IMAGE), -place))
    headed = len(first) > key and first[key] not in keys and not called_image(first[key])
    columns = _Columns(first, headed and not any(cell.isdigit() for cell in first), key, width)
    if not columns.labels:
        return None
    table = _labels(_rows(data), keys, columns)
    return replace(table, named=columns.is_label(columns.labels[0]), count=len(named[key]))


def _labels(rows: Iterator[tuple[int, list[str]]], keys: Mapping[str, str], columns: _Columns) -> Table:
    """The labels of each image; or a fault where there is none, or more than one."""
    key, places, split = columns.key, columns.labels, columns.split
    boxes = columns.called(places[0], {"predictionstring"})  # of Kaggle's ImageNet: a class, then boxes
    found: list[dict[str, str]] = [{} for _ in places]
    one: dict[str, str] = {}  # equal labels are one string: there may be a million
    splits, absent = dict[str, str](), set[str]()
    if columns.headed:
        next(rows)
    for number, row in rows:
        if len(row) <= key:
            continue
        if (image := keys.get(row[key])) is None:
            absent.add(row[key])
            continue
        for place, labels in zip(places, found, strict=True):
            label = row[place] if len(row) > place else ""
            label = label.partition(" ")[0] if boxes else label
            if label.lower() in _MISSING:
                return Table(fault=f"has no label for {_base(image)} in row {number}")
            if labels.setdefault(image, one.setdefault(label, label)) != label:
                return Table(fault=f"has two labels for {_base(image)}, {escaped(labels[image])} and {escaped(label)}")
        if split is not None and len(row) > split:
            splits[image] = one.setdefault(row[split], row[split])
    for place, other in zip(places[1:], found[1:], strict=True):
        if not same_classes(found[0], other):
            names = " and ".join(escaped(columns.first[i]) for i in (places[0], place))
            return Table(fault=f"has two columns of labels that disagree, {names}")
    return Table(found[0], splits=splits, absent=frozenset(absent - {""}))


def _words(first: list[str], place: int) -> set[str]:
    """The words of a heading, in lower case."""
    return {word.lower() for word in _WORD.findall(first[place])} if place < len(first) else set()


def _base(image: str) -> str:
    return escaped(posixpath.basename(image))


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with its number, one at a time."""
    code = encoding(data)
    # What is no UTF-8 stays what it is, and harms nothing in a column that is not read.
    text = io.TextIOWrapper(io.BytesIO(data), code, "replace" if code == "utf-16" else "surrogateescape")
    lines = iter(lambda: text.readline(LONGEST_LINE), "")
    first = next(lines, "")
    delimiter = next((mark for mark in "\t;," if mark in first), None)
    text.seek(0)
    lines = iter(lambda: text.readline(LONGEST_LINE), "")
    rows = csv.reader(lines, delimiter=delimiter) if delimiter else (line.split() for line in lines)
    for number, row in enumerate(rows, 1):
        if any(row):
            yield number, [cell.strip() for cell in row]
