"""Recognising how an archive of images lays out its classes and splits, without decoding any."""

from dataclasses import replace

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.folders import split_folders
from takeoff.data.imagenet import ilsvrc2012, tiny_imagenet
from takeoff.data.kinds import escaped
from takeoff.data.layouts import Layout, hold_out
from takeoff.data.unsplit import class_folders, labelled

READERS = (tiny_imagenet, ilsvrc2012, split_folders, labelled, class_folders)
READ = (
    "the CIFAR pickles, train/CLASS/… with test/ or val/ or valid/CLASS/…, CLASS/… alone, "
    "Tiny ImageNet, ILSVRC2012's tars"
)


def recognise(archive: Archive, test_fraction: float) -> Layout:
    """The layout of an archive of images; without a test split, a part of each class is held out.

    Raises TakeoffError for an unknown layout and for whatever contradicts itself.
    """
    for reader in READERS:
        if layout := reader(archive):
            said = [f"{escaped(name)} was left out: a folder of its name stands beside" for name in archive.unpacked]
            layout = replace(layout, notes=(*layout.notes, *said))
            return layout if layout.test else hold_out(layout, test_fraction)
    top = sorted({name.partition("/")[0] for name in archive.files | archive.folders})
    seen = ", ".join(map(escaped, top[:8])) + (f" and {len(top) - 8} more" if len(top) > 8 else "")
    raise TakeoffError(f"{archive}: unknown layout (at the top: {seen}); read are {READ}")
