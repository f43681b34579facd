"""npy and npz files: one array or several, never unpickled."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.datasets.blocks import ImageBlocks, LabelBlocks, pair_blocks
from xpnet.datasets.limits import copy_to_temporary_file
from xpnet.datasets.locate import SPLITS, choose_split
from xpnet.datasets.stored_array import StoredArray
from xpnet.files import DataError
from xpnet.files.npy import read_npy_header
from xpnet.files.npz import NpzMember, open_npz_members

if TYPE_CHECKING:
    from pathlib import Path

    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source

__all__ = ["open_npy", "open_npz_images", "open_npz_labels"]

_IMAGES, _LABELS = ("images", "x", "X", "data"), ("labels", "y", "Y", "target")


def open_npy(source: "Source") -> StoredArray:
    """Read the header of an npy file.

    Raise DataError if the header is not valid, the array contains objects or structures, or the
    file has another size.
    """
    return _open_array(source)


def open_npz_images(source: "Source", options: "ReadOptions") -> ImageBlocks:
    """Open the images in an npz file, with labels if it contains them.

    Images are the array images, x, X or data, or the only array; labels are the array labels, y,
    Y or target. In a file of two parts, such as Keras's mnist.npz, the names are x_train, y_train,
    x_test and y_test, or with an X. Labels are names if these are in target_names, as scikit-learn
    has them. Raise DataError as `choose_split` does; also if the file is not a zip archive
    of npy files, no or several arrays have such names, or the numbers of images and labels differ.
    """
    members = _open_members(source, options)
    names = set(members)
    image_names = [name for name in _IMAGES if name in names]
    parts = {p: f"{x}_{p}" for p in SPLITS for x in "xX" if f"{x}_{p}" in names and not image_names}
    part = choose_split(source.name, parts, options)
    image_names = image_names or ([parts[part]] if part else list(names))
    wanted = [f"y_{part}"] if part else _LABELS
    label_names = [name for name in wanted if name in names - set(image_names)]
    label_names = label_names if options.own_labels else []
    if len(image_names) != 1 or len(label_names) > 1:
        expected = "one of images, x, X and data, and at most one of labels, y and target"
        raise _names_error(members, source.name, expected)
    images = _open_array(source, members[image_names[0]]).as_images(options)
    if not label_names:
        return images
    labels = _open_array(source, members[label_names[0]]).as_labels(options)
    if "target_names" in names:
        found = _open_array(source, members["target_names"]).as_labels(options)
        labels = replace(
            labels, blocks=_named(labels.blocks, np.concatenate([*found.blocks]), source.name)
        )
    pairs = pair_blocks(images, labels, (source.name, f"its {label_names[0]!r}"), options.rows)
    return ImageBlocks(pairs, images.count, labelled=True)


def _named(
    blocks: Iterable[NDArray[Any]], names: NDArray[Any], file: str
) -> Iterator[NDArray[Any]]:
    """Yield the names of class ids; labels that are names themselves remain."""
    for block in blocks:
        if block.dtype.kind == "u" and (largest := int(block.max(initial=0))) >= len(names):
            msg, rule = "label without a name", f"0 to {len(names) - 1}, as in 'target_names'"
            raise DataError(msg, file=file, found=largest, expected=rule)
        yield names[block] if block.dtype.kind == "u" else block


def open_npz_labels(source: "Source", options: "ReadOptions", images: str) -> LabelBlocks:
    """Open the labels in an npz file: the array labels, y, Y or target, or the only one."""
    members = _open_members(source, options)
    names = [name for name in _LABELS if name in members]
    if len(names) != 1 and len(members) != 1:
        raise _names_error(members, source.name, "one of labels, y and target")
    member = members[(names or list(members))[0]]
    return _open_array(source, member).as_labels(options, images)


def _open_members(source: "Source", options: "ReadOptions") -> dict[str, NpzMember]:
    opened: Path | IO[bytes] | None = source.path
    if opened is None or source.size is None:  # the directory of a zip file is at its end
        opened = copy_to_temporary_file("zip file that cannot seek,", source, options)
    return open_npz_members(opened, source.name, source.closing)


def _open_array(source: "Source", member: NpzMember | None = None) -> StoredArray:
    stream: Source | NpzMember = member or source
    header = read_npy_header(stream, source.name)
    if not header.shape:
        msg = "npy shape"
        raise DataError(msg, file=source.name, found=header.shape, expected="rows of pixels")
    size = None if stream.size is None else stream.size - header.n_bytes
    is_fortran = header.is_fortran and math.prod(header.shape[1:]) != 1
    return StoredArray(source, stream, header.shape, header.dtype, size, is_fortran)


def _names_error(members: Iterable[str], name: str, expected: str) -> DataError:
    found = ", ".join(sorted(members))
    hint = "save the arrays under these names"
    return DataError("names of the arrays", file=name, found=found, expected=expected, hint=hint)
