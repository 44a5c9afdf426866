"""Words for kinds of files and parts of a set: what a folder is called that is no class. Knows nothing of archives."""

import re
from collections.abc import Collection, Iterable

_IMAGES = frozenset("images imgs pics pictures photos jpegimages".split())
_BESIDE = frozenset("masks annotations segmentations labels trimaps thumbnails bboxes".split())
_NEVER = _IMAGES | _BESIDE
_MAYBE_IMAGES = frozenset(
    "image img pic picture photo jpg jpeg png rgb raw original originals input inputs frames data dataset set folder "
    "hr lr part parts fold folds batch batches chunk chunks shard shards".split()
)
_MAYBE_BESIDE = frozenset("mask annotation segmentation trimap thumbnail thumbs bbox gt groundtruth depth".split())
"""These two can be classes, a fold in leather, a mask on a face, but are none where all folders are called so."""
_PARTS = frozenset("part parts fold folds batch batches chunk chunks shard shards".split())
_WITH = frozenset("class object instance semantic color colour all".split())
"""What such a name says besides: SegmentationClass."""
_CLASSES = frozenset("class cls category label id".split())
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+")


def no_classes(names: Collection[str]) -> set[str]:
    """Those of the folders that stand side by side that are no classes by their names.

    >>> sorted(no_classes(["images_001", "images_002"])), sorted(no_classes(["cat", "dog", "masks"]))
    (['images_001', 'images_002'], ['masks'])
    >>> no_classes(["fold", "cut"]), no_classes(["n01440764", "n01443537"]), no_classes(["class1", "class2"])
    (set(), set(), set())
    """
    maybe = {name for name in names if _all_in(name, _NEVER | _MAYBE_IMAGES | _MAYBE_BESIDE)}
    if len(maybe) == len(names) or (alike(names) and _words(min(names)) & (_PARTS | _NEVER)):
        return set(names)
    return {name for name in names if _all_in(name, _NEVER)}


def beside_images(names: Collection[str]) -> set[str]:
    """Those that hold something that is said of images, where all others hold images.

    >>> beside_images(["images", "masks"]), beside_images(["mask", "no mask"]), beside_images(["masks"])
    ({'masks'}, set(), set())
    """
    beside = {name for name in names if _all_in(name, _BESIDE | _MAYBE_BESIDE)}
    images = set(names) - beside
    return beside if images and all(_all_in(name, _IMAGES | _MAYBE_IMAGES) for name in images) else set()


def alike(names: Iterable[str]) -> bool:
    """Whether names differ by numbers alone, and the word in them is none that classes are counted by.

    >>> [alike(names) for names in (["shot_1", "shot_2"], ["a_1", "a_2"], ["0", "1"], ["class1", "class2"])]
    [True, False, False, False]
    """
    words = {tuple(_WORD.findall(name)) for name in names}
    only = {word.lower() for word in min(words)} if len(words) == 1 else set()
    return any(len(word) > 1 for word in only - _CLASSES)


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}


def _all_in(name: str, known: frozenset[str]) -> bool:
    words = _words(name)
    return bool(words & known) and words <= known | _WITH
