"""Pictures (PNG, JPEG, BMP, GIF, WebP, TIFF) as grey images, decoded by Pillow."""

import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import ImageBlocks, LabelBlocks
from xpnet.datasets.limits import check_data_size, copy_to_temporary_file
from xpnet.datasets.stored_array import BLOCK_BYTES
from xpnet.files import DataError, DataWarning, quoted
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files import Source

__all__ = ["PICTURES", "open_picture", "picture_blocks", "picture_kind", "refuse_labels"]

# The formats, by Pillow's names. These patterns match no text and no IDX file.
_STARTS = {
    "PNG": rb"\x89PNG",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM.{4}\0{4}",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
}
PICTURES = f"{', '.join(_STARTS)} pictures"
# Few, so that a progress bar moves.
_BLOCK_PICTURES = 256
_MIDDLE_GREY = 127
# Errors of Pillow for damaged files, most of them undocumented.
_FAULTS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zlib.error),
)


def picture_kind(head: bytes) -> str | None:
    """Return the format of a picture with these first bytes (12), such as "PNG"; None of others."""
    is_start = (kind for kind, start in _STARTS.items() if re.match(start, head, re.DOTALL))
    return next(is_start, None)


def open_picture(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open a picture as one image; see `picture_blocks`."""
    blocks = ((block, None) for block in picture_blocks([source], 1, options))
    return ImageBlocks(blocks, 1, labelled=False)


def refuse_labels(source: "Source", _: "ReadOptions", images: str) -> LabelBlocks:
    """Raise DataError: pictures are not labels."""
    msg, hint = "not labels", f"is it swapped with the images file {images}?"
    raise DataError(msg, file=source.name, found="a picture", hint=hint)


def picture_blocks(
    sources: "Iterable[Source]", count: int, options: "ReadOptions"
) -> Iterator[NDArray[np.uint8]]:
    """Yield `count` pictures, at least one, as blocks of grey images; close their files.

    If `features` is the square of an integer, pictures are resized to that square; otherwise they
    must have the size of the first one. Transparent pixels are white. Raise DataError for a damaged
    or too large picture, or one of another size; ModuleNotFoundError if Pillow is not installed.
    Warn of a bright background unless `invert` is given.
    """
    sources = iter(sources)
    with closing(first_source := next(sources)):
        first = _read(first_source, options)
    name, shape = first_source.name, first.shape

    def others() -> Iterator[NDArray[np.uint8]]:
        for source in sources:
            with closing(source):
                image = _read(source, options)
            if image.shape != shape:
                rule = f"{_size(shape)} as in {printable(name)}"
                msg = "pictures of different sizes"
                hint = "resize them, or give features= in Python"
                found = _size(image.shape)
                raise DataError(msg, file=source.name, found=found, expected=rule, hint=hint)
            yield image

    images = chain([first], others())
    wanted = count if options.rows is None else min(options.rows, count)
    step = max(1, min(options.block_rows, _BLOCK_PICTURES, BLOCK_BYTES // first.size))
    for start in range(0, max(wanted, 1), step):
        n_block = min(step, wanted - start)
        block = np.stack(list(islice(images, max(n_block, 1))))[:n_block]
        border = np.concatenate([block[:, (0, -1)].ravel(), block[:, :, (0, -1)].ravel()])
        is_bright = border.size and np.median(border) > _MIDDLE_GREY
        if start == 0 and is_bright and options.invert is None:
            msg = f"{printable(name)}: its background is bright: give --invert (in Python"
            msg += " invert=True) if the network expects light ink, as in MNIST, else --no-invert"
            warnings.warn(msg, DataWarning, stacklevel=5)
        yield block


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"


def _read(source: "Source", options: "ReadOptions") -> NDArray[np.uint8]:
    """Return a picture as a grey image."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        msg = f"{printable(source.name)}: pictures need Pillow: pip install Pillow"
        raise ModuleNotFoundError(msg, name=error.name) from error
    content = copy_to_temporary_file("picture", source, source, options)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = _decode(Image, content, source, options)
    except DataError:
        raise
    except bombs as error:
        msg, rule = "picture too large", f"at most {Image.MAX_IMAGE_PIXELS:,} pixels"
        raise DataError(msg, file=source.name, expected=rule) from error
    except _FAULTS as error:
        msg, hint = "damaged or truncated picture", "copy or download it again"
        found = quoted(str(error).partition(" <")[0])  # without the name of a temporary file
        raise DataError(msg, file=source.name, found=found, hint=hint) from error
    if options.features not in {None, image.size}:
        msg, found = "picture of another size", _size(image.shape)
        raise DataError(msg, file=source.name, found=found, expected=f"{options.features} pixels")
    return image


def _decode(
    pillow: ModuleType, content: IO[bytes], source: "Source", options: "ReadOptions"
) -> NDArray[np.uint8]:
    from PIL import ImageOps

    content.seek(0)
    pillow.open(content, formats=list(_STARTS)).verify()  # the checksums of PNG
    content.seek(0)
    picture: Any = pillow.open(content, formats=list(_STARTS))
    if options.max_data_bytes is not None:
        n_bytes = math.prod(picture.size) * len(picture.getbands())
        check_data_size("picture", n_bytes, source, options)
    side = math.isqrt(options.features or 0)
    is_square = side**2 == options.features
    if is_square:
        picture.draft("L", (4 * side, 4 * side))  # a large JPEG is decoded at a fraction of it
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float64) / 257
        picture = pillow.fromarray(values.round().astype(np.uint8))
    elif picture.mode in {"I", "F"}:
        msg, hint = "picture of 32 bits per pixel", "save it with 8 or 16 bits"
        raise DataError(msg, file=source.name, hint=hint)
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = pillow.new("RGBA", picture.size, "white")
        picture = pillow.alpha_composite(paper, picture)
    picture = picture.convert("L")
    if is_square and picture.size != (side, side):
        picture = picture.resize((side, side), pillow.Resampling.LANCZOS)
    return np.array(picture)
