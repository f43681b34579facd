"""Pictures (PNG, JPEG, BMP, GIF, WebP, TIFF) as grey images, decoded by Pillow.

They are single files, or in a folder: all in one, or in a folder per class.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import Block, ImageBlocks
from xpnet.datasets.limits import check_data_size, copy_to_temporary_file
from xpnet.datasets.stored_array import BLOCK_BYTES
from xpnet.files import DataError, DataWarning, quoted
from xpnet.files.errors import printable
from xpnet.files.opening import open_source
from xpnet.files.optional import import_optional

if TYPE_CHECKING:
    from xpnet.datasets.read_options import FilePath, ReadOptions
    from xpnet.files.opening import Source

__all__ = [
    "PICTURE_START",
    "number_labels",
    "open_picture",
    "open_picture_folder",
    "picture_files",
]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
# The first bytes of these formats. They match no text and no IDX file.
PICTURE_START = rb"\x89PNG|\xff\xd8\xff|BM.{4}\0{4}|GIF8[79]a|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]"
_BLOCK_PICTURES = 256  # few, so that a progress bar moves
_MIDDLE_GREY = 127
# Modes of Pillow that are known to be decoded correctly.
_MODES = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "I;16", "I;16B"}
_SMALL_BYTES = 3 << 26  # no bomb needs less: drawings compress well, and their copies count


def open_picture(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open a picture as one image; see `_picture_blocks`."""
    return ImageBlocks(_picture_blocks([source], source.name, None, options), 1, labelled=False)


def open_picture_folder(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open the images in a folder.

    Pictures, known by their suffixes, are in natural order (2.png before 10.png). In folders of
    classes they take turns, so that the first rows show all classes. The labels are the names of
    these folders, as strings. Raise DataError as `picture_files`, or for more than 256 classes.
    """
    paths, n_others = _ordered_pictures(Path(source.name))
    if n_others:
        msg = f"{printable(source.name)}: other files and folders are left out ({n_others:,})"
        warnings.warn(msg, DataWarning, stacklevel=4)
    labels = None
    if paths[0].parent != Path(source.name) and options.own_labels:
        names = [path.parent.name for path in paths]
        _check_names([*dict.fromkeys(names)], source.name, options)
        labels = np.asarray(names)
    source.incoming.size = sum(path.stat().st_size for path in paths)
    blocks = _picture_blocks(map(open_source, paths), source.name, labels, options)
    return ImageBlocks(blocks, len(paths), labels is not None)


def picture_files(folder: "FilePath") -> list[Path]:
    """Return the pictures in a folder, in the order in which `xpnet.read` returns them as rows.

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
    return _ordered_pictures(Path(folder))[0]


def _ordered_pictures(folder: Path) -> tuple[list[Path], int]:
    """Return the pictures in a folder, and the number of other files and folders."""
    children = _visible(folder)
    entries = children + [path for child in children if child.is_dir() for path in _visible(child)]
    pictures = [path for path in entries if path.suffix.lower() in _SUFFIXES and path.is_file()]
    paths = [path for path in pictures if path.parent == folder]
    classes: dict[str, list[Path]] = {}
    for path in pictures[len(paths) :]:
        classes.setdefault(path.parent.name, []).append(path)
    n_others = len(entries) - len(pictures) - len(classes)
    if bool(paths) == bool(classes):
        msg = "pictures beside folders of pictures" if paths else "folder without pictures"
        found = f"{len(paths)} pictures, {len(classes)} folders of pictures, {n_others} others"
        rule = f"IDX files; or {', '.join(_FORMATS)} pictures, all in this folder or all in"
        rule += " one folder per class"
        # Such as train and test, each with a folder per class.
        below = [path for path in entries if path.parent != folder and path.is_dir()]
        parts = dict.fromkeys(printable(path.parent.name) for path in below)
        hint = f"give its folder {' or '.join([*parts][:2])}" if parts and not paths else None
        raise DataError(msg, file=folder, found=found, expected=rule, hint=hint)
    turns = chain.from_iterable(zip_longest(*classes.values()))
    return paths or [path for path in turns if path is not None], n_others


def number_labels(labels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return labels as class ids, and the names of the classes in natural order.

    The names are None if labels are integers, or strings of different numbers from 0 to 255.
    """
    if labels.dtype.kind != "U":
        return labels, None
    names = tuple(sorted(set(labels.tolist()), key=_natural))
    numbers = [int(name) if re.fullmatch("[0-9]{1,9}", name) else 256 for name in names]
    are_numbers = max(numbers, default=0) <= 255 and len(set(numbers)) == len(names)
    ids = dict(zip(names, numbers if are_numbers else range(len(names)), strict=True))
    dtype = np.uint8 if len(names) <= 256 else np.int64
    found = np.asarray([ids[name] for name in labels.tolist()], dtype)
    return found, None if are_numbers else names


def _natural(name: str) -> tuple[list[Any], str]:
    """Return the sorting key that orders digits as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _visible(folder: Path) -> list[Path]:
    """Return the files and folders in a folder in natural order, without hidden ones."""
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(paths, key=lambda path: _natural(path.name))


def _check_names(names: list[str], folder: str, options: "ReadOptions") -> None:
    """Raise DataError unless the names of the classes are printable and not too many."""
    largest = len(names) - 1
    if largest <= options.largest_label:
        largest = int(number_labels(np.asarray(names))[0].max())
    if largest > options.largest_label:
        rule = f"integers from 0 to {options.largest_label}, or at most as many names"
        msg, found = "folders of classes", f"{len(names)} from {names[0]} to {names[-1]}"
        raise DataError(msg, file=folder, found=found, expected=rule)
    if (name := next((name for name in names if not name.isprintable()), None)) is not None:
        msg, found = "name of a folder of a class", quoted(name)
        raise DataError(msg, file=folder, found=found, expected="printable characters in UTF-8")


def _picture_blocks(
    sources: "Iterable[Source]",
    name: str,
    labels: NDArray[Any] | None,
    options: "ReadOptions",
) -> Iterator[Block]:
    """Yield pictures, at least one, as blocks of grey images with their labels; close the sources.

    Transparent pixels are white. Pictures are resized to a square of side `size`, or if `features`
    is the square of an integer, and keep their form; otherwise they must have one size. Warn of a
    bright background in `name` unless `invert` is given. Raise DataError for a damaged or too large
    picture, or another size; ModuleNotFoundError if Pillow is not installed.
    """
    stop = None if options.rows is None else max(options.rows, 1)
    images = _same_size(islice(sources, stop), options)
    first = next(images)
    images = chain([first], images)
    step = max(1, min(options.block_rows, _BLOCK_PICTURES, BLOCK_BYTES // first.size))
    if options.invert is None and np.median(_border(first)) > _MIDDLE_GREY:
        msg = f"{printable(name)}: bright background: give --invert (in Python"
        msg += " invert=True) if the network expects light ink, as in MNIST, else --no-invert"
        warnings.warn(msg, DataWarning, stacklevel=4)
    start = 0
    while found := list(islice(images, step)):
        block = np.stack(found)[: options.rows]
        yield block, None if labels is None else labels[start : start + len(block)]
        start += len(block)


def _same_size(sources: "Iterable[Source]", options: "ReadOptions") -> Iterator[NDArray[np.uint8]]:
    shape = None
    for source in sources:
        with source:
            image = _read(source, options)
        shape = shape or image.shape
        if image.shape != shape or options.features not in {None, image.size}:
            msg, found = "size of the picture", f"{image.shape[1]} x {image.shape[0]} pixels"
            rule, hint = f"{options.features} pixels", "resize it"
            if image.shape != shape:
                rule = f"{shape[1]} x {shape[0]} as in the first one"
                hint = "give one size to all pictures by --size 28 (in Python size=28)"
            raise DataError(msg, file=source.name, found=found, expected=rule, hint=hint)
        yield image


def _read(source: "Source", options: "ReadOptions") -> NDArray[np.uint8]:
    """Return a picture as a grey image."""
    import_optional("PIL", f"{printable(source.name)}: pictures need Pillow", "Pillow")
    from PIL import Image

    content = copy_to_temporary_file("picture", source, options)
    source.incoming.size = source.incoming.n_read  # known at the end of a pipe, too
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(content, source, options)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow documents few of its errors for damaged files
        msg = "damaged, truncated or too large picture"
        hint = "copy it again, or convert it to a smaller PNG of 8 bits"
        found = quoted(str(error).partition(" <")[0])  # without the name of a temporary file
        raise DataError(msg, file=source.name, found=found, hint=hint) from error


def _decode(content: IO[bytes], source: "Source", options: "ReadOptions") -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    content.seek(0)
    Image.open(content, formats=_FORMATS).verify()  # the checksums of PNG
    content.seek(0)
    picture: Any = Image.open(content, formats=_FORMATS)
    _check_kind(picture, source)
    full_size = picture.size
    side = options.size or math.isqrt(options.features or 0)
    is_square = options.size is not None or side**2 == options.features
    if is_square:
        picture.draft("L", (4 * side, 4 * side))  # a large JPEG is decoded at a fraction of it
    is_small = picture.mode in {"1", "L", "P"} and not picture.has_transparency_data
    n_bytes = math.prod(picture.size) * (4 if is_small else 16)  # with all copies
    n_bytes += math.prod(full_size) * 8 * ("progressive" in picture.info)  # coefficients of JPEG
    if n_bytes > _SMALL_BYTES or options.max_data_bytes is not None:
        check_data_size("picture", n_bytes, source, options)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float32) / 257
        picture = Image.fromarray(values.round().astype(np.uint8))
    elif picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    picture = picture.convert("L")
    if is_square and picture.size != (side, side):
        # A picture that is no square keeps its form, on the gray of its border.
        gray = int(np.median(_border(np.asarray(picture))))
        picture = ImageOps.pad(picture, (side, side), Image.Resampling.LANCZOS, color=gray)
    return np.array(picture)


def _check_kind(picture: Any, source: "Source") -> None:
    """Raise DataError unless Pillow is known to decode this kind of picture correctly."""
    kind, is_known = f"{picture.format} of mode {picture.mode}", picture.mode in _MODES
    if picture.format == "TIFF":
        tags = picture.tag_v2
        n_bits, sample_format = max(tags.get(258, (1,))), max(tags.get(339, (1,)))
        photometric, is_planar = tags.get(262, 0), tags.get(284) == 2
        kind = f"TIFF of {n_bits} bits, sample format {sample_format}, photometric {photometric}"
        is_known &= n_bits <= 8 or (n_bits == 16 and photometric in {1, 2} and not is_planar)
        is_known &= sample_format == 1  # unsigned
        is_known &= photometric != 3 or max(tags[320]) > 255  # otherwise a palette of 8 bits
    elif picture.format == "PNG" and "transparency" in picture.info and picture.mode != "P":
        kind = f"PNG of mode {picture.tile[0][3]} with a transparent color"
        is_known &= picture.tile[0][3] in {"1", "L", "RGB"}
    if not is_known:
        msg, hint = "kind of picture", "convert it to PNG of 8 bits"
        raise DataError(msg, file=source.name, found=kind, hint=hint)


def _border(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([image[(0, -1), :].ravel(), image[:, (0, -1)].ravel()])
