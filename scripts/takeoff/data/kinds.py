"""What a file is, by its name or its first bytes: litter, an image, or neither. Imports nothing heavy."""

import posixpath
import re
from functools import lru_cache

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""What images are mostly called; one called otherwise is known by its first bytes."""
HEAD = 18
"""The first bytes that show what a file is."""
_IMAGES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|II[*+]\0|MM\0[*+]"  # TIFF
    rb"|RIFF....WEBP"
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # BMP, with the sizes that its second header has
    rb"|P[1-6]\s+[#0-9]",  # PBM, PGM, PPM
    re.DOTALL,
)
_LITTER = frozenset(
    "__macosx thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini picasa.ini zbthumbnail.info $recycle.bin "
    "lost+found found.000 @eadir @tmp @recycle @recently-snapshot @sharebin @__thumb #recycle #snapshot ~snapshot "
    "_gsdata_ sync.ffs_db aquota.user aquota.group".split()
) | {"icon\r", "system volume information", "network trash folder", "temporary items", "thevolumesettingsfolder"}
"""In lower case, besides all that begins with a dot."""
_BESIDE = re.compile(r"zone\.identifier$|@syno(eastream|resource)$|^~(syncthing~|\$)", re.IGNORECASE)
_STREAM = re.compile(r"\.[a-z0-9]{2,5}[:\uf03a][^:]+(:\$data)?$", re.IGNORECASE)
"""A second stream of a file on Windows, as other systems copy it: 1.jpg:com.dropbox.attrs."""


def is_litter(name: str) -> bool:
    """Whether a system, a NAS, a sync tool or a notebook left it, or the folder that it lies in.

    >>> [is_litter(name) for name in ("a/._1.jpg", "@eaDir/1.jpg", "a/THUMBS.DB", "a/1.jpg:Zone.Identifier", "a/1.jpg")]
    [True, True, True, True, False]
    """
    folder, _, last = name.rpartition("/")
    return _is_litter(last) or (bool(folder) and _in_litter(folder))


@lru_cache(maxsize=1024)
def _in_litter(folder: str) -> bool:
    return any(_is_litter(part) for part in folder.split("/"))


def _is_litter(name: str) -> bool:
    if name.startswith(".") or name.casefold() in _LITTER or _BESIDE.search(name):
        return True
    return bool(_STREAM.search(name)) and not called_image(name)


def called_image(name: str) -> bool:
    """Whether a file has the name of an image."""
    return name.lower().endswith(SUFFIXES)


def is_image(head: bytes) -> bool:
    """Whether a file that begins so is an image of a kind that is read."""
    return _IMAGES.match(head) is not None


def stem(name: str) -> str:
    """The last part of a path without its ending."""
    return posixpath.splitext(posixpath.basename(name))[0]


def escaped(name: str) -> str:
    r"""A name as a message may print it: what no terminal should get stands as its code.

    >>> escaped("a\x1b[2J.png")
    'a\\x1b[2J.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
