"""Recognising how an archive of images lays out its classes and splits, from names alone; decodes nothing."""

import hashlib
import io
import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from takeoff.data.archives import Listing
from takeoff.errors import TakeoffError, choices

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")
"""In capitals or not; of several the first has the test images."""
SEED = 2012
READ = (
    "the CIFAR pickles, train/CLASS/… with test/ or val/ or valid/CLASS/…, CLASS/… alone, "
    "Tiny ImageNet, ILSVRC2012's tars"
)

Read = Callable[[Iterable[str]], dict[str, bytes]]


@dataclass(frozen=True)
class Layout:
    """Which member is which class in which split: `train` and `test` give a class name for each member."""

    name: str
    train: dict[str, str]
    test: dict[str, str]
    titles: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in label order: sorted by name."""
        return tuple(sorted({*self.train.values(), *self.test.values()}))


def recognise(listing: Listing, read: Read, archive: str, test_fraction: float) -> Layout:
    """The layout of an archive of images; `read` returns the bytes of the small files that hold labels.

    Raises TakeoffError, which names `archive`, for an unknown layout and for whatever contradicts itself.
    """
    for reader in (_tiny_imagenet, _ilsvrc2012, _split_folders):
        layout = reader(listing, read, archive)
        if layout is not None:
            break
    else:
        layout = _class_folders(listing, archive)
    if layout is None:
        top = listing.top()
        seen = ", ".join(top[:8]) + (f" and {len(top) - 8} more" if len(top) > 8 else "")
        raise TakeoffError(f"{archive}: unknown layout (at the top: {seen}); read are {READ}")
    return layout if layout.test else hold_out(layout, test_fraction)


def select(classes: tuple[str, ...], wanted: Iterable[str], archive: str) -> tuple[str, ...]:
    """The wanted classes in label order, all if `wanted` is empty; TakeoffError for an unknown one."""
    wanted = set(wanted)
    for name in sorted(wanted - set(classes)):
        valid = classes if len(classes) <= 20 else [*get_close_matches(name, classes, 5, 0), "…"]
        raise TakeoffError(f"{archive}: has no class {name!r}; {choices(name, valid)}")
    return tuple(name for name in classes if name in wanted) if wanted else classes


def check_classes(layout: Layout, archive: str) -> None:
    """TakeoffError unless at least two classes have images in both splits."""
    for split, other in ((layout.train, layout.test), (layout.test, layout.train)):
        missing = sorted(set(other.values()) - set(split.values()))
        if missing:
            here, there = ("training", "test") if split is layout.train else ("test", "training")
            names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
            raise TakeoffError(
                f"{archive}: no {here} images of {len(missing)} class(es) with {there} images: {names}"
            )
    if len(layout.classes) < 2:
        raise TakeoffError(
            f"{archive}: holds one class, {layout.classes[0]}; a network needs two to tell apart"
        )


def hold_out(layout: Layout, fraction: float) -> Layout:
    """Move a fixed part of each class from `train` to `test`.

    Members are ranked by a hash of their class and name: the same split on every machine, with every library.
    """
    by_class = defaultdict(list)
    for member, name in layout.train.items():
        by_class[name].append(member)
    test = {}
    for name, members in by_class.items():
        ranked = sorted(
            members, key=lambda m: hashlib.sha256(f"{SEED}:{name}:{posixpath.basename(m)}".encode()).digest()
        )
        test.update(dict.fromkeys(ranked[: max(1, round(fraction * len(members)))], name))
    note = f"no test split: {fraction:g} of each class was held out, the same images each time (seed {SEED})"
    train = {member: name for member, name in layout.train.items() if member not in test}
    return replace(layout, train=train, test=test, notes=(*layout.notes, note))


def _root_of(listing: Listing, *landmarks: str) -> str | None:
    """The shallowest folder ("" or "a/b/") under which every landmark is a file or a folder."""
    names = {*listing.files, *_folders(listing)}
    roots = {name[: -len(landmarks[0])] for name in names if f"/{name}".endswith(f"/{landmarks[0]}")}
    whole = [root for root in roots if all(root + landmark in names for landmark in landmarks)]
    return min(whole, key=lambda root: (root.count("/"), root), default=None)


def _below(listing: Listing, folder: str, archive: str, under: str = "") -> dict[str, str]:
    """The class of each image in the class folders of `folder`, or in the folder `under` of each of them."""
    members = {}
    for name in sorted(listing.files):
        if not name.startswith(folder + "/"):
            continue
        label, _, rest = name[len(folder) + 1 :].partition("/")
        if not rest or not rest.startswith(under):
            continue
        if not name.lower().endswith(SUFFIXES):
            raise TakeoffError(f"{archive}: {name} is no image; read are {', '.join(SUFFIXES)}")
        members[name] = label
    empty = sorted(_subfolders(listing, folder) - set(members.values()))
    if empty and members:
        raise TakeoffError(f"{archive}: the class folder {folder}/{empty[0]} holds no images")
    return members


def _subfolders(listing: Listing, folder: str) -> set[str]:
    return {posixpath.basename(f) for f in listing.folders if posixpath.dirname(f) == folder}


def _split_folders(listing: Listing, read: Read, archive: str) -> Layout | None:
    folders = _folders(listing)
    named = [folder for folder in folders if posixpath.basename(folder).lower() in TRAIN_FOLDERS]
    shallowest = min(named, key=lambda folder: (folder.count("/"), folder), default=None)
    if shallowest is None or not (train := _below(listing, shallowest, archive)):
        return None
    parent = posixpath.dirname(shallowest)
    beside = {posixpath.basename(f).lower(): f for f in folders if posixpath.dirname(f) == parent}
    others = [beside[name] for name in TEST_FOLDERS if name in beside]
    notes: list[str] = []
    test: dict[str, str] = {}
    for folder in others:
        name = posixpath.basename(folder)
        if test:
            notes.append(f"{name}/ was left out")
        elif test := _below(listing, folder, archive):
            notes.append(f"test images from {name}/")
        elif any(file.startswith(folder + "/") for file in listing.files):
            notes.append(f"{name}/ has no class folders and was left out")
    return Layout("class folders", train, test, notes=tuple(notes))


def _folders(listing: Listing) -> set[str]:
    """Every folder, with and without entries of its own."""
    found = set(listing.folders)
    for name in listing.files:
        parts = name.split("/")[:-1]
        found.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return found


def _class_folders(listing: Listing, archive: str) -> Layout | None:
    """Class folders with nothing above them but folders that stand alone."""
    root = ""
    while True:
        inside = {name[len(root) :].partition("/")[::2] for name in listing.files if name.startswith(root)}
        folders = {top for top, rest in inside if rest}
        if len(folders) != 1 or not any("/" in rest for top, rest in inside if rest):
            break
        root += folders.pop() + "/"
    members = {n: n[len(root) :].partition("/")[0] for n in sorted(listing.files) if "/" in n[len(root) :]}
    named = set(members.values()) | _subfolders(listing, root.rstrip("/"))
    images = Counter(label for name, label in members.items() if name.lower().endswith(SUFFIXES))
    if len(images) < 2 or sum(images.values()) <= len(members) / 2:
        whole = set(images) == named and sum(images.values()) == len(members)
        return Layout("class folders", members, {}) if members and whole else None
    # Class folders, then: what spoils them is told.
    stray = next((name for name in members if not name.lower().endswith(SUFFIXES)), None)
    if stray is not None:
        raise TakeoffError(f"{archive}: {stray} is no image; read are {', '.join(SUFFIXES)}")
    if empty := sorted(named - set(images)):
        raise TakeoffError(f"{archive}: the class folder {root}{empty[0]} holds no images")
    _check_splits(members, root, archive)
    return Layout("class folders", members, {})


def _check_splits(members: dict[str, str], root: str, archive: str) -> None:
    """TakeoffError where all classes have the same folders below them: these are classes, and those above splits."""
    inside = defaultdict(set)
    for name, label in members.items():
        inside[label].add(name[len(root) + len(label) + 1 :].rpartition("/")[0].partition("/")[0])
    first, *others = inside.values()
    if len(first) > 1 and "" not in first and all(other == first for other in others):
        above, below = ", ".join(sorted(inside)[:4]), ", ".join(sorted(first)[:4])
        raise TakeoffError(
            f"{archive}: {above} hold the same folders, {below}: if those are classes, call the ones above train and "
            "test; else put each class's images in one folder"
        )


def _tiny_imagenet(listing: Listing, read: Read, archive: str) -> Layout | None:
    """train/WNID/images/…; val/images/… with the classes in val_annotations.txt (Stanford CS231n)."""
    root = _root_of(listing, "val/val_annotations.txt", "train")
    if root is None:
        return None
    labels, names, words = (root + name for name in ("val/val_annotations.txt", "wnids.txt", "words.txt"))
    texts = {name: data.decode("utf-8", "replace") for name, data in read([labels, names, words]).items()}
    test = {}
    for number, line in enumerate(texts[labels].splitlines(), 1):
        image, _, rest = line.partition("\t")
        if not (wnid := rest.partition("\t")[0]):
            raise TakeoffError(f"{archive}: {labels} line {number} should be IMAGE, tab, WNID, tab …")
        if f"{root}val/images/{image}" not in listing.files:
            raise TakeoffError(
                f"{archive}: {labels} line {number} names {image}, which is not in val/images/"
            )
        test[f"{root}val/images/{image}"] = wnid
    layout = Layout(
        "Tiny ImageNet",
        _below(listing, f"{root}train", archive, under="images/"),
        dict(sorted(test.items())),
        dict(line.split("\t", 1) for line in texts.get(words, "").splitlines() if "\t" in line),
        ("test images from val/: the labels of the official test images are not public",),
    )
    absent = sorted(set(texts.get(names, "").split()) - set(layout.classes))
    if absent:
        raise TakeoffError(f"{archive}: {names} lists {absent[0]}, which has no images")
    return layout


def _ilsvrc2012(listing: Listing, read: Read, archive: str) -> Layout | None:
    """The train tar of a tar per class, the flat val tar, the development kit with val's classes."""
    root = _root_of(listing, "ILSVRC2012_img_train")
    if root is None:
        return None
    kit = "ILSVRC2012_devkit_t12.tar.gz"
    val = f"{root}ILSVRC2012_img_val/"
    images = sorted(name for name in listing.files if name.startswith(val))
    truth, meta = (
        next((name for name in listing.files if f"/{name}".endswith("/data/" + base)), None)
        for base in ("ILSVRC2012_validation_ground_truth.txt", "meta.mat")
    )
    if not images or truth is None or meta is None:
        wanted = kit if images else "ILSVRC2012_img_val.tar"
        raise TakeoffError(
            f"{archive}: {wanted} is missing beside ILSVRC2012_img_train.tar; it gives the test images"
        )
    texts = read([truth, meta])
    synsets = _synsets(texts[meta], f"{archive}: {meta}")
    numbers = texts[truth].split()
    if len(numbers) != len(images):
        raise TakeoffError(
            f"{archive}: {truth} has {len(numbers):,} lines for {len(images):,} images in {val}"
        )
    unknown = next((n for n in numbers if n.decode() not in synsets), None)
    if unknown is not None:
        raise TakeoffError(f"{archive}: {truth} names the class {unknown.decode()}, which is not in {meta}")
    test = {name: synsets[number.decode()][0] for name, number in zip(images, numbers, strict=True)}
    return Layout(
        "ILSVRC2012",
        _below(listing, f"{root}ILSVRC2012_img_train", archive),
        test,
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
