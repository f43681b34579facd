"""Scaling of inputs to the range that a network takes, decided by rows and not by blocks."""

import argparse
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError
from xpnet.cli.models import Model
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from xpnet.arrays.ranges import RangeError
    from xpnet.files.errors import DataError
    from xpnet.networks.network import Network

    Block = tuple[NDArray[Any], NDArray[Any] | None]

__all__ = ["as_data_error", "blocks_in_range", "with_range"]

_BRIGHTEST = 255


def with_range(args: argparse.Namespace, model: Model, images: "NDArray[Any]") -> "Network":
    """Return the network for images that are all in memory; see `blocks_in_range`."""
    network, blocks = blocks_in_range(args, model, [(images, None)])
    for _ in blocks:  # each is checked as it comes
        pass
    return network


def blocks_in_range(
    args: argparse.Namespace, model: Model, blocks: "Iterable[Block]"
) -> "tuple[Network, Iterator[Block]]":
    """Return the network, with a scale before it if it takes 0..1 and is given 0..255; and blocks.

    Bytes tell their range by their dtype. Other numbers are scaled by ``--input-range 0..1`` if the
    first row that is not blank holds a number above 1. What is done without being asked for, and
    what looks wrong, is told on stderr.

    Parameters
    ----------
    args : Namespace
    model : Model
    blocks : iterable of pairs (images, labels)
        At least one. Where they are cut changes nothing.

    Raises
    ------
    UsageError
        If --input-range is given for a network that says how it takes its inputs.
    DataError
        From the blocks, if a row holds a number above 1 after the first one has decided that the
        inputs are in 0..1.
    """
    network = model.network
    if args.input_range is not None and model.is_own and network.preprocessing:
        steps = ", ".join(map(repr, network.preprocessing))
        msg = f"{model.name} says how it takes its inputs: {steps}; leave --input-range out"
        raise UsageError(msg)
    blocks = iter(blocks)
    first = next(blocks)
    blocks = chain([first], blocks)
    is_bytes = first[0].dtype.kind == "u"
    is_assumed = args.input_range is None and not model.tells_range
    if is_bytes:
        if is_assumed:
            tell(
                f"{model.name} is taken to expect pixels in 0..1, so raw bytes are divided by"
                " 255 before it (--input-range 0..255: as they are)"
            )
        elif args.input_range is None:
            _tell_of_bytes(model)
        return (_scaled(network) if is_assumed or args.input_range == "0..1" else network), blocks
    if args.input_range == "0..1":
        return _by_first_row(args, network, blocks)
    if is_assumed:
        return network, _told_of_large(args, model, blocks)
    return network, _told_of_small(model, blocks) if args.input_range is None else blocks


def as_data_error(error: "RangeError", path: str, *, has_precision: bool) -> "DataError":
    """Return what the file at a path holds that is too large for the network's dtype.

    `has_precision` tells whether the command has the option --precision with wider dtypes.
    """
    from xpnet.files.errors import DataError

    can_widen = has_precision and error.wider_dtype is not None
    wider = f"try --precision {error.wider_dtype}, or " if can_widen else ""
    return DataError(
        f"pixel {error.column + 1} of row {error.row + 1}",
        file=path,
        found=error.value,
        expected=f"a number that the preprocessing leaves finite in {error.dtype}",
        hint=f"{wider}scale the values",
    )


def _scaled(network: "Network") -> "Network":
    from xpnet.networks.preprocessing import Scale

    return replace(network, preprocessing=(Scale(1 / _BRIGHTEST), *network.preprocessing))


def _by_first_row(
    args: argparse.Namespace, network: "Network", blocks: "Iterator[Block]"
) -> "tuple[Network, Iterator[Block]]":
    """Return the network, scaled or not by the first row that is not blank, and all blocks."""
    import numpy as np

    # Of blank rows, which are 0 either way, nothing is kept but how many there are.
    blank: list[tuple[tuple[int, ...], Any, Any]] = []
    n_blank = 0
    for images, labels in blocks:
        is_lit = images.any(axis=tuple(range(1, images.ndim)))
        if is_lit.any():
            place = int(np.argmax(is_lit))
            rest = chain([(images, labels)], blocks)
            break
        blank.append((images.shape, images.dtype, labels))
        n_blank += len(images)
    else:
        return network, ((np.zeros(shape, dtype), labels) for shape, dtype, labels in blank)
    before = ((np.zeros(shape, dtype), labels) for shape, dtype, labels in blank)
    if images[place].max() > 1.0:
        return _scaled(network), chain(before, rest)
    return network, chain(before, _at_most_one(args, rest, n_blank, n_blank + place + 1))


def _at_most_one(
    args: argparse.Namespace, blocks: "Iterator[Block]", n_rows: int, decided_by: int
) -> "Iterator[Block]":
    """Yield blocks; raise DataError for the first number above 1.

    Parameters
    ----------
    args : Namespace
    blocks : iterator of pairs (images, labels)
    n_rows : int
        The number of rows before them.
    decided_by : int
        The row, from 1, that is in 0..1.
    """
    from xpnet.files.errors import DataError

    for images, labels in blocks:
        found = _first_large(images)
        if found is not None:
            place, pixel, value = found
            what = f"pixel {pixel + 1} of row {n_rows + place + 1}"
            raise DataError(
                what,
                file=args.data,
                found=value,
                expected=f"0 to 1, as in row {decided_by}",
                hint="convert the file to bytes, of which all are divided by 255, or give"
                " --input-range 0..255, which takes all values as they are",
            )
        yield images, labels
        n_rows += len(images)


def _first_large(images: "NDArray[Any]") -> tuple[int, int, Any] | None:
    """Return row, column and value of the first number above 1; None if there is none."""
    import numpy as np

    if not images.size or images.max() <= 1.0:
        return None
    rows = images.reshape(len(images), -1)
    place, pixel = divmod(int(np.argmax(rows > 1.0)), rows.shape[1])
    return place, pixel, rows[place, pixel]


def _told_of_large(
    args: argparse.Namespace, model: Model, blocks: "Iterator[Block]"
) -> "Iterator[Block]":
    """Yield blocks; tell once if a network that may expect 0..1 is given larger numbers."""
    n_rows, is_told = 0, False
    for images, labels in blocks:
        found = None if is_told else _first_large(images)
        if found is not None:
            place, _, value = found
            tell(
                f"{args.data} has values above 1 ({value:g} in row {n_rows + place + 1}), and"
                f" {model.name} is given them as they are (--input-range 0..1: divided by 255)"
            )
            is_told = True
        yield images, labels
        n_rows += len(images)


def _told_of_small(model: Model, blocks: "Iterator[Block]") -> "Iterator[Block]":
    """Yield blocks; tell at the end if a network that divides by 255 was given 0..1."""
    from xpnet.networks.preprocessing import Scale

    steps, largest = model.network.preprocessing, 0.0
    divides = steps[:1] == (Scale(1 / _BRIGHTEST),)
    for images, labels in blocks:
        if divides and largest <= 1.0:
            largest = max(largest, float(images.max(initial=0.0)))
        yield images, labels
    if divides and 0.0 < largest <= 1.0:
        tell(f"{model.name} divides its inputs by 255, but they are at most {largest:g} already")


def _tell_of_bytes(model: Model) -> None:
    """Warn on stderr of raw bytes that may not suit the preprocessing of a network."""
    steps = model.network.preprocessing
    if not model.is_own:
        what = f"takes {steps[0]!r} of them" if steps else "takes whole numbers"
        tell(
            f"{model.name} {what}, so raw bytes go in as they are (--input-range 0..1: divided by"
            " 255)"
        )
    elif not steps:
        tell(
            f"{model.name} has no preprocessing, and is given raw bytes (--input-range 0..1:"
            " divided by 255)"
        )
