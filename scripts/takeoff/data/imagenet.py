"""Tiny ImageNet, ILSVRC2012's own tars, and its development kit, which has the labels of the validation images."""

import io
import posixpath
import re
from collections.abc import Sequence

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive, root_of
from takeoff.data.kinds import stem
from takeoff.data.layouts import Layout, strays_among
from takeoff.data.tables import encoding

KIT = ("data/ILSVRC2012_validation_ground_truth.txt", "data/meta.mat")
VALIDATION = re.compile(r"ILSVRC2012_val_(\d{8})")


def tiny_imagenet(archive: Archive) -> Layout | None:
    """train/WNID/images/…; images in val/ with their classes in val_annotations.txt (Stanford CS231n), also where they
    were sorted into class folders since.
    """
    root = root_of(archive.files | archive.folders, "val/val_annotations.txt", "train")
    if root is None:
        return None
    labels, names, words = (root + name for name in ("val/val_annotations.txt", "wnids.txt", "words.txt"))
    texts = {name: data.decode(encoding(data), "replace") for name, data in archive.read({labels, names, words})}
    at = {posixpath.basename(name): name for name in archive.images if name.startswith(f"{root}val/")}
    test = {}
    for number, line in enumerate(texts[labels].splitlines(), 1):
        if not line.strip():
            continue
        image, wnid = [*line.split("\t"), ""][:2]
        if not wnid or image not in at:
            raise TakeoffError(
                f"{archive}: {labels} line {number} names {image!r}; valid: an image in val/images/, tab, WNID, tab …"
            )
        test[at[image]] = wnid
    if untold := sorted(set(at.values()) - set(test)):
        raise TakeoffError(f"{archive}: {labels} has no line for {untold[0]}")
    train = {}
    for name in sorted(archive.images):
        label, _, rest = name[len(root) + len("train/") :].partition("/")
        if name.startswith(f"{root}train/") and rest:
            train[name] = label
    layout = Layout(
        "Tiny ImageNet",
        train,
        dict(sorted(test.items())),
        dict(line.split("\t", 1) for line in texts.get(words, "").splitlines() if "\t" in line),
        ("test images from val/: the labels of the official test images are not public",),
        strays=strays_among(archive.files - archive.images, train),
    )
    if absent := sorted(set(texts.get(names, "").split()) - set(layout.classes)):
        raise TakeoffError(f"{archive}: {names} lists {absent[0]}, which has no images")
    return layout


def ilsvrc2012(archive: Archive) -> Layout | None:
    """The train tar of a tar per class, the flat val tar, the development kit with val's classes."""
    root = root_of(archive.folders, "ILSVRC2012_img_train")
    if root is None:
        return None
    val, train = f"{root}ILSVRC2012_img_val/", f"{root}ILSVRC2012_img_train/"
    images = sorted(name for name in archive.images if name.startswith(val))
    kit = root_of(archive.files, *KIT)
    if not images or kit is None:
        wanted = "ILSVRC2012_devkit_t12.tar.gz" if images else "ILSVRC2012_img_val.tar"
        raise TakeoffError(f"{archive}: {wanted} is missing beside ILSVRC2012_img_train.tar; it gives the test images")
    numbers, synsets = _kit(archive, kit)
    if len(numbers) != len(images) or not synsets.keys() >= set(numbers):
        raise TakeoffError(
            f"{archive}: {kit}{KIT[0]} should name, for each of {len(images):,} images in {val}, a class of "
            f"{kit}{KIT[1]}; it has {len(numbers):,} lines, with {len(set(numbers) - synsets.keys())} unknown classes"
        )
    members = {name: name[len(train) :].partition("/")[0] for name in sorted(archive.images) if name.startswith(train)}
    return Layout(
        "ILSVRC2012",
        members,
        {name: synsets[number][0] for name, number in zip(images, numbers, strict=True)},
        dict(synsets.values()),
        ("test images from the validation tar: the labels of the official test images are not public",),
        strays=strays_among(archive.files - archive.images, [*members, *images]),
    )


def kit_labels(archive: Archive, images: Sequence[str]) -> tuple[dict[str, str], str] | None:
    """The WNID of each of these images, if they are ILSVRC2012's validation images by their names and the development
    kit lies beside them; and the kit's name.
    """
    places = {image: found for image in images if (found := VALIDATION.fullmatch(stem(image)))}
    kit = root_of(archive.files, *KIT)
    if len(places) < len(images) or kit is None:
        return None
    numbers, synsets = _kit(archive, kit)
    try:
        known = {image: synsets[numbers[int(place[1]) - 1]][0] for image, place in places.items()}
    except (IndexError, KeyError):
        raise TakeoffError(
            f"{archive}: {kit}{KIT[0]} should name a class of {kit}{KIT[1]} for each of {len(images):,} images; it has "
            f"{len(numbers):,} lines, with {len(set(numbers) - synsets.keys())} unknown classes"
        ) from None
    return known, "the development kit"


def _kit(archive: Archive, kit: str) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """The class number of each validation image, and WNID and words of each class by its number."""
    truth, meta = (kit + landmark for landmark in KIT)
    texts = dict(archive.read({truth, meta}))
    return texts[truth].decode("ascii", "replace").split(), _synsets(texts[meta], f"{archive}: {meta}")


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
