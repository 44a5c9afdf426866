"""From encoded images to uint8 squares of one size, several at once. Knows nothing of archives or labels.

Threads, not processes: Pillow lets go of the interpreter's lock while it decodes and resizes, which is most
of the work for photographs, and nothing is copied or pickled. For 32 px images most of the time goes to
Pillow's Python code; on two cores, processes were no faster there either.
"""

import io
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from takeoff.errors import TakeoffError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
GREY = ("1", "L")
COLOUR = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "LA", "La", "CMYK", "YCbCr", "LAB", "HSV")
MAX_PIXELS = (
    89_478_485  # Pillow's own warning level, a quarter of a GiB as RGB; ImageNet's largest has 61 million
)

# Of size (checked here), of damaged EXIF, of transparency: a line for each such image, none of use.
warnings.filterwarnings("ignore", module="PIL")

Item = TypeVar("Item")
Result = TypeVar("Result")


class ColourFoundError(Exception):
    """A set taken for grey holds an image in colour."""


def available_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode(data: bytes, name: str, resolution: int, channels: int) -> NDArray[np.uint8]:
    """One encoded image as a square of `resolution` pixels: uint8, H×W×C.

    The file's own orientation is applied, transparency dropped. A square of that size keeps its exact pixels;
    of any other image the shorter side is resized with an antialiasing (bilinear) filter and the centre kept.
    A JPEG four or more times too large is decoded at a half, a quarter or an eighth, never below twice the
    size asked for: what that loses would be averaged away. Raises TakeoffError naming the file for what is no
    whole image, and ColourFoundError for a colour image where one channel is asked for.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TakeoffError(
                    f"{name}: absurdly large, {image.width}×{image.height} pixels (at most {MAX_PIXELS:,})"
                )
            if image.mode not in GREY + COLOUR:
                raise TakeoffError(
                    f"{name}: pixels of kind {image.mode!r} are not read; valid: 8-bit grey or colour"
                )
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
    """The centre square of an L or RGB image at `resolution` pixels: uint8, H×W×C."""
    width, height = image.size
    if (width, height) != (resolution, resolution):
        side = min(width, height)
        # Resizing the centre square is resizing the whole and cropping, without rounding the longer side.
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((resolution, resolution), Image.Resampling.BILINEAR, box)
    return np.asarray(image).reshape(resolution, resolution, -1)


def fit_arrays(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """Images N×H×W×C at another resolution, as `fit` does."""
    if images.shape[1:3] == (resolution, resolution):
        return np.ascontiguousarray(images)
    squeezed = images[..., 0] if images.shape[-1] == 1 else images
    return np.stack([fit(Image.fromarray(np.ascontiguousarray(image)), resolution) for image in squeezed])


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results in order; at most twice as many items as threads wait, so that memory is bounded."""
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
