"""Pictures (PNG, JPEG, BMP, GIF, WebP) as grey images, decoded by Pillow.

They are single files, or in a folder: all in one, or in a folder per class.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, RowBlocks, paired
from xpnet.files import DataError, DataWarning, quoted
from xpnet.files.errors import printable
from xpnet.files.opening import open_source
from xpnet.files.optional import import_optional

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions
    from xpnet.files.opening import Source

__all__ = ["PICTURE_START", "open_picture", "open_picture_folder", "picture_files"]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
# The first bytes of these formats, and of TIFF. They match no text and no IDX file.
PICTURE_START = rb"\x89PNG|\xff\xd8\xff|BM.{4}\0{4}|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*"
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}
_BLOCK_PICTURES = 256  # few, so that a progress bar moves
_MIDDLE_GREY = 127


def open_picture(source: "Source", options: "ReadOptions") -> RowBlocks:
    """Open a picture as one grey image."""
    return RowBlocks(_blocks([source], source.name, options), 1)


def open_picture_folder(folder: "FilePath", options: "ReadOptions") -> RowBlocks:
    """Open the pictures in a folder, labelled by the names of folders of classes."""
    paths = picture_files(folder)
    rows = RowBlocks(_blocks(map(open_source, paths), str(folder), options), len(paths))
    if paths[0].parent == Path(folder) or not options.own_labels:
        return rows
    labels = _as_labels([path.parent.name for path in paths], str(folder))
    return paired(rows, labels, (str(folder), "the folders"), None)


def _as_labels(names: list[str], folder: str) -> NDArray[Any]:
    """Return names as integers if they are different ones from 0 to 255, otherwise as strings.

    Raise DataError for a name with control characters, or bytes that are not UTF-8.
    """
    for name in names:
        if not name.isprintable():
            msg = f"name of a class must be printable UTF-8; got {quoted(name)}"
            raise DataError(msg, file=folder)
    numbers = {x: int(x) if re.fullmatch("[0-9]+", x) else 256 for x in set(names)}
    if max(numbers.values()) > 255 or len(set(numbers.values())) < len(numbers):
        return np.asarray(names)
    return np.asarray([numbers[name] for name in names], np.uint8)


def picture_files(folder: "FilePath") -> list[Path]:
    """Return the pictures in a folder, in the order in which `xpnet.read` returns them as rows.

    Pictures are known by their suffixes. Hidden and other files are left out. The order is natural:
    2.png before 10.png. Classes take turns, so that the first rows show all of them.

    Parameters
    ----------
    folder : str or os.PathLike
        A folder of pictures, or of one folder per class.

    Returns
    -------
    list of pathlib.Path
        The path of each picture, which begins with `folder`.

    Raises
    ------
    DataError
        If there are no pictures, or pictures beside folders of pictures.
    """

    def pictures(folder: Path) -> list[Path]:
        return [x for x in _visible(folder) if x.suffix.lower() in _SUFFIXES and x.is_file()]

    paths = pictures(Path(folder))
    classes = [pictures(child) for child in _visible(Path(folder)) if child.is_dir()]
    if bool(paths) == any(classes):
        found = "pictures beside folders of pictures" if paths else "no pictures"
        rule = f"IDX files, or {', '.join(_FORMATS)} all in it or all in one folder per class"
        msg = f"folder must hold {rule}; got {found}"
        raise DataError(msg, file=folder)
    turns = chain.from_iterable(zip_longest(*classes))
    return paths or [path for path in turns if path is not None]


def _visible(folder: Path) -> list[Path]:
    """Return the files and folders in a folder in natural order, without hidden ones."""
    return sorted((x for x in folder.iterdir() if not x.name.startswith(".")), key=_natural)


def _natural(path: Path) -> tuple[list[Any], str]:
    """Return the sorting key that orders digits as numbers."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _blocks(
    sources: Iterable[AbstractContextManager["Source"]], name: str, options: "ReadOptions"
) -> Iterator[Block]:
    """Yield blocks of grey images; warn of a bright background in `name`, and close the sources."""
    images = _same_size(sources, options)
    is_first = True
    while found := list(islice(images, min(options.block_rows, _BLOCK_PICTURES))):
        if is_first and options.invert is None and _paper(found[0]) > _MIDDLE_GREY:
            msg = f"{printable(name)}: bright background: give --invert (in Python"
            msg += " invert=True) if the network expects light ink, as in MNIST, else --no-invert"
            warnings.warn(msg, DataWarning, stacklevel=3)
        yield np.stack(found), None
        is_first = False


def _same_size(
    sources: Iterable[AbstractContextManager["Source"]], options: "ReadOptions"
) -> Iterator[NDArray[np.uint8]]:
    shape = None
    for opening in sources:
        with opening as source:
            image = _read(source, options)
        shape = shape or image.shape
        if image.shape != shape or options.features not in {None, image.size}:
            rule = f"{shape[1]} x {shape[0]} pixels as the first one"
            rule = rule if image.shape != shape else f"{options.features} pixels"
            side = math.isqrt(options.features or 784)
            hint = f"resize all pictures, as by --size {side} (in Python size={side})"
            msg = f"picture must have {rule}; got {image.shape[1]} x {image.shape[0]}; {hint}"
            raise DataError(msg, file=source.name)
        yield image


def _read(source: "Source", options: "ReadOptions") -> NDArray[np.uint8]:
    """Return a picture as a grey image."""
    import_optional("PIL", f"{printable(source.name)}: pictures need Pillow", "Pillow")
    from PIL import Image

    content = source.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(content, source.name, options)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow documents few of its errors for damaged files
        reason = quoted(str(error).partition(" <")[0])  # without the address of an object
        hint = "copy it again, or convert it to a smaller PNG of 8 bits"
        msg = f"damaged, truncated or too large picture: {reason}; {hint}"
        raise DataError(msg, file=source.name) from error


def _decode(content: bytes, name: str, options: "ReadOptions") -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    Image.open(BytesIO(content), formats=_FORMATS).verify()  # the checksums of PNG
    picture: Any = Image.open(BytesIO(content), formats=_FORMATS)
    # Pillow does not find a transparent grey of 2 or 4 bits.
    is_odd = picture.format == "PNG" and "transparency" in picture.info and picture.mode == "L"
    if picture.mode not in _MODES or (is_odd and picture.tile[0][3] != "L"):
        kind = f"{picture.format} of mode {picture.mode}"
        msg = f"kind of picture must be another; got {kind}; convert it to PNG of 8 bits"
        raise DataError(msg, file=name)
    size = options.size
    if size is not None:
        picture.draft("L", (4 * size, 4 * size))  # a large JPEG is decoded at a fraction of it
    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    picture = picture.convert("L")
    if size is not None and picture.size != (size, size):
        # A picture that is no square keeps its form, on the grey of its border.
        grey = _paper(np.asarray(picture))
        picture = ImageOps.pad(picture, (size, size), Image.Resampling.LANCZOS, color=grey)
    return np.array(picture)


def _paper(image: NDArray[np.uint8]) -> int:
    """Return the grey of the border."""
    return int(np.median([*image[(0, -1), :].ravel(), *image[:, (0, -1)].ravel()]))
