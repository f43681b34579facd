"""Rows of DATA for a network, scaled to the range of inputs that it expects."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.input_range import standardization
from xpnet.cli.models import Model
from xpnet.cli.streams import print_note, progress_bar
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.report import Stopwatch
    from xpnet.datasets.blocks import Block
    from xpnet.networks.input_range import InputRange
    from xpnet.networks.network import Network
    from xpnet.networks.preprocessing import Step

_BLOCK_ROWS = 4096
_AS_THEY_ARE = "--input-range 0..255, which takes all values as they are"


def stream_rows(
    data: Data,
    model: Model,
    batching: Mapping[str, Any],
    task: str,
    stopwatch: "Stopwatch",
    **options: Any,
) -> "tuple[Network, Iterator[Block]]":
    """Return the network that takes the rows of DATA, and an iterator over blocks of rows.

    A block is a number of whole batches. A GPU computes the first block once before, so that the
    time of its first compilation and loading counts as its start. `batching` are the options of
    `xpnet.predict` for batches, `task` is the text at the progress bar, which appears after a
    second, and `options` are further ones of `xpnet.datasets.stream`.
    """
    from xpnet.inference.batches import as_rows, check_batch_size

    n_batch = check_batch_size(model.network, batching.get("batch_size"))
    block_rows = n_batch * -(-_BLOCK_ROWS // n_batch)
    blocks = data.stream(block_rows=block_rows, features=model.network.n_in, **options)
    network, blocks = blocks_in_range(model, data.path, blocks)
    first = next(blocks)
    if network.library != "numpy":
        with stopwatch.measure("device"):
            _warm_up(network, first[0], batching)

    def counted() -> "Iterator[Block]":
        with progress_bar(total=data.rows, desc=task, delay=1.0) as bar:
            for images, labels in chain([first], blocks):
                yield as_data_error(data.path, as_rows, images, network.n_in), labels
                if bar is not None:
                    bar.update(len(images))

    return network, counted()


def _warm_up(network: "Network", images: "NDArray[Any]", batching: Mapping[str, Any]) -> None:
    from xpnet.arrays.namespace import without_warnings
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict_ids

    # Rows that do not fit are reported later.
    with suppress(ValueError), without_warnings(), count_nonfinite():
        predict_ids(network, images, **batching)


def with_range(model: Model, path: str, images: "NDArray[Any]") -> "Network":
    """Return the network for images that are all in memory; see `blocks_in_range`."""
    network, blocks = blocks_in_range(model, path, [(images, None)])
    for _ in blocks:  # each block is checked when it is taken
        pass
    return network


def blocks_in_range(
    model: Model, path: str, blocks: "Iterable[Block]"
) -> "tuple[Network, Iterator[Block]]":
    """Return the network, with steps before it if it needs them, and an iterator over the blocks.

    Raw bytes are scaled for a network of 0..1. Other numbers are scaled only if --input-range asks
    for it, and the first row that is not blank has a value above 1; otherwise the blocks raise
    DataError for a later one. There is at least one block; the result does not depend on their
    sizes. Raises UsageError if --input-range contradicts the preprocessing of a file, and DataError
    if the row that decides has a negative value.
    """
    from xpnet.inference.batches import on_network_device
    from xpnet.networks.input_range import InputRange, fit, range_of_step
    from xpnet.networks.preprocessing import map_arrays

    network, chosen = model.network, model.input_range
    if chosen is not None and not model.may_choose(chosen):
        steps = ", ".join(map(str, network.preprocessing))
        msg = f"{model.name} contains its preprocessing, {steps}: leave out --input-range {chosen}"
        raise UsageError(msg)
    blocks = iter(blocks)
    first = next(blocks)
    blocks, are_bytes = chain([first], blocks), first[0].dtype.kind == "u"
    if chosen is None:
        if not are_bytes:
            return network, _with_notes(model, path, blocks)
        _note_bytes(model, first[0])
        is_unit = model.expects is InputRange.UNIT
        return fit(network, InputRange.BYTES) if is_unit else network, blocks
    if chosen == "0..255":
        return fit(network, InputRange.UNKNOWN), blocks
    before: list[Step] = []
    if chosen != "0..1":
        step = standardization(chosen, network.n_in)
        before.append(map_arrays(step, partial(on_network_device, network)))
        if range_of_step(step, network.n_in)[0] is InputRange.BYTES:  # statistics of raw values
            return fit(network, InputRange.UNKNOWN, *before), blocks
    found, blocks = (InputRange.BYTES, blocks) if are_bytes else _by_first_row(path, blocks)
    return fit(network, found, *before), blocks


def _by_first_row(path: str, blocks: "Iterator[Block]") -> "tuple[InputRange, Iterator[Block]]":
    """Return the range by the first row that is not blank, and the blocks, which are checked."""
    from xpnet.networks.input_range import InputRange, range_of

    taken: list[Block] = []
    n_rows = 0
    for images, labels in blocks:
        taken.append((images, labels))
        for number, row in enumerate(images if images.any() else [], n_rows + 1):
            found = range_of(row)
            if found is InputRange.STANDARDIZED:
                what, rule = f"pixel {row.argmin() + 1} of row {number}", "0 to 1, or 0 to 255"
                hint = f"leave out --input-range, or give {_AS_THEY_ARE}"
                raise DataError(what, file=path, found=row.min(), expected=rule, hint=hint)
            if found is InputRange.BYTES:
                print_note(
                    f"{path} has values above 1: all are divided by 255 first (--input-range"
                    " 0..255: as they are)"
                )
                return found, chain(taken, blocks)
            if found is InputRange.UNIT:
                every = chain(taken, blocks)
                return found, _report_large(every, partial(_refuse_large, path, number))
        n_rows += len(images)
    return InputRange.UNIT, iter(taken)


def _report_large(
    blocks: "Iterator[Block]", report: Callable[[int, int, Any], None]
) -> "Iterator[Block]":
    """Yield blocks; call `report` with row and pixel, from 1, and value of the first above 1."""
    import numpy as np

    n_rows = 0
    for images, labels in blocks:
        is_large = images > 1.0
        if is_large.any():
            place = int(np.argmax(is_large))
            row, pixel = divmod(place, images[0].size)
            report(n_rows + row + 1, pixel + 1, images.flat[place])
            yield images, labels
            yield from blocks
            return
        yield images, labels
        n_rows += len(images)


def _refuse_large(path: str, decided_by: int, row: int, pixel: int, value: Any) -> NoReturn:
    what, rule = f"pixel {pixel} of row {row}", f"0 to 1, as in row {decided_by}"
    hint = f"convert the file to bytes, which are all divided by 255, or give {_AS_THEY_ARE}"
    raise DataError(what, file=path, found=value, expected=rule, hint=hint)


def _with_notes(model: Model, path: str, blocks: "Iterator[Block]") -> "Iterator[Block]":
    """Yield blocks of numbers; print a note if they seem to be in another range than the inputs."""
    from xpnet.networks.input_range import InputRange, too_small

    if model.expects is InputRange.UNIT:
        yield from _report_large(blocks, partial(_note_large, model, path))
        return
    largest = 0.0
    for images, labels in blocks:
        if model.factor is not None and largest <= 1.0:
            largest = max(largest, float(images.max(initial=0.0)))
        yield images, labels
    if model.factor is not None and 0.0 < largest <= 1.0:
        what = f"{path} has values of at most {largest:g}"
        print_note(too_small(model.network, model.factor, what))


def _note_large(model: Model, path: str, row: int, _: int, value: Any) -> None:
    print_note(
        f"{path} has values above 1 ({value:g} in row {row}), and {model.name} is given them as"
        " they are (--input-range 0..255: no note; 0..1: divided by 255, if the first image that"
        " is not blank has such a value)"
    )


def _note_bytes(model: Model, images: "NDArray[Any]") -> None:
    """Print a note if raw bytes are scaled, or may not suit the preprocessing of a network."""
    from xpnet.networks.input_range import InputRange

    steps, hint = model.network.preprocessing, "--input-range 0..1: divided by 255"
    is_standardized = model.expects is InputRange.STANDARDIZED
    if model.expects is InputRange.UNIT:
        verb = "expects" if model.is_own else "is assumed to expect"
        what = f"{verb} pixels in 0..1, so raw bytes are divided by 255 before it"
        hint = "--input-range 0..255: as they are"
    elif not model.is_own or (is_standardized and images.max(initial=0) > 1):
        what = f"starts with {steps[0]}" if steps else "expects integers"
        what += ", so raw bytes go in as they are"
    elif not steps and "input_range" not in model.network.metadata:
        what = "has no preprocessing, and is given raw bytes"
    else:
        return
    print_note(f"{model.name} {what} ({hint})")
