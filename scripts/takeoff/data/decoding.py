"""From encoded images to uint8 squares of one size, several at once. Knows nothing of archives or labels.

Threads, not processes: Pillow lets go of the interpreter's lock while it decodes and resizes, most of the work for
photographs, and nothing is pickled. For images of 32 px processes were no faster either, on two cores.
"""

import io
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from takeoff.common.errors import TakeoffError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
GREY, DEEP = ("1", "L"), ("I", "F")
"""Pillow's names of grey pixels, and how those of more than 8 bits begin."""
# Pillow's own warning level, a quarter of a GiB as RGB; ImageNet's largest has 61 million.
MAX_PIXELS = 89_478_485
LONGEST = 100
"""Times as long as wide: of a longer image the whole would be resized for its centre."""

# Of size (checked here), of damaged EXIF, of transparency: a line for each such image, none of use.
warnings.filterwarnings("ignore", module="PIL")

Item = TypeVar("Item")
Result = TypeVar("Result")


class ColourFoundError(Exception):
    """A set taken for grey holds an image in colour."""


def decode(data: bytes, name: str, resolution: int, channels: int) -> NDArray[np.uint8]:
    """One encoded image as a square of `resolution` pixels: uint8, H×W×C.

    The file's own orientation is applied, transparency dropped, and the image then made to `fit`. A JPEG four or more
    times too large is decoded at a half, a quarter or an eighth, never below twice the size required: what that loses
    would be averaged away. Raises TakeoffError naming the file for what is no whole image, and ColourFoundError for a
    colour image where one channel is required.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width}×{image.height} pixels"
                raise TakeoffError(f"{name}: absurdly large, {size} (at most {MAX_PIXELS:,})")
            if max(image.size) > LONGEST * min(image.size):
                raise TakeoffError(f"{name}: {image.width}×{image.height} pixels; valid: at most {LONGEST} to 1")
            if image.mode.startswith(DEEP):
                kind = f"pixels of kind {image.mode!r}"
                raise TakeoffError(f"{name}: {kind} are not read; valid: 8-bit grey or colour")
            if channels == 1 and image.mode not in GREY:
                raise ColourFoundError(name)
            image.draft(None, (2 * resolution, 2 * resolution))
            with suppress(Exception):  # a damaged orientation is none; damaged pixels show below
                ImageOps.exif_transpose(image, in_place=True)
            mode = "L" if channels == 1 else "RGB"
            return fit(image if image.mode == mode else image.convert(mode), resolution)
    except (TakeoffError, ColourFoundError):
        raise
    except Image.DecompressionBombError as error:
        raise TakeoffError(f"{name}: absurdly large (at most {MAX_PIXELS:,} pixels)") from error
    except Image.UnidentifiedImageError as error:
        raise TakeoffError(f"{name}: no image; read are {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …
        raise TakeoffError(f"{name}: a damaged or cut-off image ({error})") from error


def fit(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """The centre square of an L or RGB image at `resolution` pixels: uint8, H×W×C.

    A square of that size keeps its exact pixels. Of any other image the shorter side is resized with an antialiasing
    (bilinear) filter and the centre kept: the pixels of torchvision's `Resize` and `CenterCrop`, as in most work on
    these data sets.
    """
    if image.size != (resolution, resolution):
        from torchvision.transforms.v2 import functional

        image = functional.center_crop(functional.resize(image, [resolution]), [resolution])
    return np.asarray(image).reshape(resolution, resolution, -1)


def fit_array(image: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """What `fit` makes of an image H×W×C."""
    return fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), resolution)


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results in order; at most twice as many items as threads wait, so that memory is bounded."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
