"""Recognising how an archive of images lays out its classes and splits, from names alone; decodes nothing."""

import io
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
from takeoff.data.archives import Archive, root_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")
"""In capitals or not; of several the first has the test images."""
SEED = 2012
READ = (
    "the CIFAR pickles, train/CLASS/… with test/ or val/ or valid/CLASS/…, CLASS/… alone, "
    "Tiny ImageNet, ILSVRC2012's tars"
)


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

    @property
    def splits(self) -> dict[str, dict[str, str]]:
        """The class of each member, by split."""
        return {"train": self.train, "test": self.test}

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in label order."""
        return self.order or tuple(sorted({*self.train.values(), *self.test.values()}))

    @property
    def labels(self) -> dict[str, NDArray[np.int64]]:
        """The label of each member, N, by split."""
        number = {name: label for label, name in enumerate(self.classes)}
        return {
            split: np.array([number[name] for name in members.values()], np.int64)
            for split, members in self.splits.items()
        }


def recognise(archive: Archive, test_fraction: float) -> Layout:
    """The layout of an archive of images; without a test split, a part of each class is held out.

    Raises TakeoffError for an unknown layout and for whatever contradicts itself.
    """
    for reader in (_tiny_imagenet, _ilsvrc2012, _split_folders, _class_folders):
        if layout := reader(archive):
            return layout if layout.test else hold_out(layout, test_fraction)
    top = sorted({name.partition("/")[0] for name in archive.files | archive.folders})
    seen = ", ".join(top[:8]) + (f" and {len(top) - 8} more" if len(top) > 8 else "")
    raise TakeoffError(f"{archive}: unknown layout (at the top: {seen}); read are {READ}")


def select(layout: Layout, wanted: Iterable[str], archive: str) -> Layout:
    """The members of the wanted classes, all if `wanted` is empty.

    Raises TakeoffError for an unknown class, and unless at least two classes have images in both splits.
    """
    classes, wanted = layout.classes, set(wanted)
    for name in sorted(wanted - set(classes)):
        valid = classes if len(classes) <= 20 else [*get_close_matches(name, classes, 5, 0), "…"]
        raise TakeoffError(f"{archive}: has no class {name!r}; {choices(name, valid)}")
    wanted = wanted or set(classes)
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
        members.sort(key=lambda m: sha256(f"{SEED}:{name}:{basename(m)}".encode()).digest())
        test.update(dict.fromkeys(members[: max(1, round(fraction * len(members)))], name))
    note = f"no test split: {fraction:g} of each class was held out, the same images each time (seed {SEED})"
    train = {member: name for member, name in layout.train.items() if member not in test}
    return replace(layout, train=train, test=test, notes=(*layout.notes, note))


def _below(archive: Archive, root: str, under: str = "") -> dict[str, str]:
    """The class of each image in the class folders of `root` ("" or "a/b/"), or in the folder `under` of each."""
    members = {}
    for name in sorted(archive.files):
        label, _, rest = name[len(root) :].partition("/")
        if not name.startswith(root) or not rest or not rest.startswith(under):
            continue
        if not name.lower().endswith(SUFFIXES):
            raise TakeoffError(f"{archive}: {name} is no image; read are {', '.join(SUFFIXES)}")
        members[name] = label
    named = {basename(f) for f in archive.folders if dirname(f) == root.rstrip("/")}
    if members and (empty := sorted(named - set(members.values()))):
        raise TakeoffError(f"{archive}: the class folder {root}{empty[0]} holds no images")
    return members


def _split_folders(archive: Archive) -> Layout | None:
    named = [f for f in archive.folders if basename(f).lower() in TRAIN_FOLDERS]
    shallowest = min(named, key=lambda folder: (folder.count("/"), folder), default=None)
    if shallowest is None or not (train := _below(archive, f"{shallowest}/")):
        return None
    parent = dirname(shallowest)
    beside = {basename(f).lower(): f for f in sorted(archive.folders) if dirname(f) == parent}
    notes: list[str] = []
    test: dict[str, str] = {}
    for folder in (beside[name] for name in TEST_FOLDERS if name in beside):
        name = basename(folder)
        if test:
            notes.append(f"{name}/ was left out")
        elif test := _below(archive, f"{folder}/"):
            notes.append(f"test images from {name}/")
        elif any(file.startswith(f"{folder}/") for file in archive.files):
            notes.append(f"{name}/ has no class folders and was left out")
    return Layout("class folders", train, test, notes=tuple(notes))


def _class_folders(archive: Archive) -> Layout | None:
    """Class folders, mostly of images, with nothing above them but folders that stand alone."""
    root = ""
    while True:
        files = [name for name in archive.files if name.startswith(root) and "/" in name[len(root) :]]
        inside = {name[len(root) :].partition("/")[::2] for name in files}
        folders = {top for top, _ in inside}
        if len(folders) != 1 or not any("/" in rest for _, rest in inside):
            break
        root += folders.pop() + "/"
    if 2 * sum(name.lower().endswith(SUFFIXES) for name in files) <= len(files):
        return None
    members = _below(archive, root)
    below = defaultdict(set)
    for name, label in members.items():
        below[label].add(dirname(name[len(root) + len(label) + 1 :]).partition("/")[0])
    first, *others = below.values()
    if len(first) > 1 and "" not in first and all(other == first for other in others):
        above, same = ", ".join(sorted(below)[:4]), ", ".join(sorted(first)[:4])
        raise TakeoffError(
            f"{archive}: {above} hold the same folders, {same}: if those are classes, call the ones above train and "
            "test; else put each class's images in one folder"
        )
    return Layout("class folders", members)


def _tiny_imagenet(archive: Archive) -> Layout | None:
    """train/WNID/images/…; val/images/… with the classes in val_annotations.txt (Stanford CS231n)."""
    root = root_of(archive.files | archive.folders, "val/val_annotations.txt", "train")
    if root is None:
        return None
    labels, names, words = (root + name for name in ("val/val_annotations.txt", "wnids.txt", "words.txt"))
    texts = {name: data.decode("utf-8", "replace") for name, data in archive.read({labels, names, words})}
    test = {}
    for number, line in enumerate(texts[labels].splitlines(), 1):
        image, wnid = [*line.split("\t"), ""][:2]
        test[f"{root}val/images/{image}"] = wnid
        if not wnid or f"{root}val/images/{image}" not in archive.files:
            raise TakeoffError(
                f"{archive}: {labels} line {number} names {image!r}; valid: an image in val/images/, tab, WNID, tab …"
            )
    layout = Layout(
        "Tiny ImageNet",
        _below(archive, f"{root}train/", under="images/"),
        dict(sorted(test.items())),
        dict(line.split("\t", 1) for line in texts.get(words, "").splitlines() if "\t" in line),
        ("test images from val/: the labels of the official test images are not public",),
    )
    if absent := sorted(set(texts.get(names, "").split()) - set(layout.classes)):
        raise TakeoffError(f"{archive}: {names} lists {absent[0]}, which has no images")
    return layout


def _ilsvrc2012(archive: Archive) -> Layout | None:
    """The train tar of a tar per class, the flat val tar, the development kit with val's classes."""
    root = root_of(archive.folders, "ILSVRC2012_img_train")
    if root is None:
        return None
    val = f"{root}ILSVRC2012_img_val/"
    images = sorted(name for name in archive.files if name.startswith(val))
    landmarks = ("data/ILSVRC2012_validation_ground_truth.txt", "data/meta.mat")
    kit = root_of(archive.files, *landmarks)
    if not images or kit is None:
        wanted = "ILSVRC2012_devkit_t12.tar.gz" if images else "ILSVRC2012_img_val.tar"
        raise TakeoffError(f"{archive}: {wanted} is missing beside ILSVRC2012_img_train.tar; it gives the test images")
    truth, meta = (kit + landmark for landmark in landmarks)
    texts = dict(archive.read({truth, meta}))
    synsets = _synsets(texts[meta], f"{archive}: {meta}")
    numbers = texts[truth].decode().split()
    if len(numbers) != len(images) or not synsets.keys() >= set(numbers):
        raise TakeoffError(
            f"{archive}: {truth} should name, for each of {len(images):,} images in {val}, a class of {meta}; it has "
            f"{len(numbers):,} lines, with {len(set(numbers) - synsets.keys())} unknown classes"
        )
    return Layout(
        "ILSVRC2012",
        _below(archive, f"{root}ILSVRC2012_img_train/"),
        {name: synsets[number][0] for name, number in zip(images, numbers, strict=True)},
        dict(synsets.values()),
        ("test images from the validation tar: the labels of the official test images are not public",),
    )


def _synsets(data: bytes, name: str) -> dict[str, tuple[str, str]]:
    """WNID and words of each class by its ILSVRC2012 number, from the development kit's meta.mat."""
    from scipy.io import loadmat

    try:
        rows = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]
        # The inner nodes of WordNet's tree are listed too; the classes are its leaves.
        leaves = [row for row in rows if int(row["num_children"]) == 0]
        return {str(int(row["ILSVRC2012_ID"])): (str(row["WNID"]), str(row["words"])) for row in leaves}
    except Exception as error:  # a damaged MAT file raises nearly anything
        raise TakeoffError(f"{name}: no meta.mat of ILSVRC2012 ({error})") from error
