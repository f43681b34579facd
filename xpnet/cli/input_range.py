"""Rows of DATA for a network, scaled to the range of inputs that it expects."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.models import Model
from xpnet.cli.standardization import standardization
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.report import Stopwatch
    from xpnet.networks.network import Network
    from xpnet.networks.preprocessing import Step

Block: TypeAlias = "tuple[NDArray[Any], NDArray[Any] | None]"
_BRIGHTEST = 255
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
    network, blocks = open_blocks(data, model, batching.get("batch_size"), **options)
    first = next(blocks)
    if network.library != "numpy":
        with stopwatch.measure("device"):
            _warm_up(network, first[0], batching)

    def counted() -> Iterator[Block]:
        with progress_bar(total=data.rows, desc=task, delay=1.0) as bar:
            for images, labels in as_file_rows(data.path, network, chain([first], blocks)):
                yield images, labels
                if bar is not None:
                    bar.update(len(images))

    return network, counted()


def open_blocks(
    data: Data, model: Model, batch_size: int | None, **options: Any
) -> "tuple[Network, Iterator[Block]]":
    """Return the network that takes the images of DATA, and an iterator over blocks of them."""
    from xpnet.inference.batches import check_batch_size

    n_batch = check_batch_size(model.network, batch_size)
    block_rows = n_batch * -(-_BLOCK_ROWS // n_batch)
    blocks = data.stream(block_rows=block_rows, features=model.network.n_in, **options)
    return blocks_in_range(model, data.path, blocks)


def as_file_rows(path: str, network: "Network", blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks of images as rows; raise DataError if they do not fit the network."""
    from xpnet.inference.batches import as_rows

    for images, labels in blocks:
        yield as_data_error(path, as_rows, images, network.n_in), labels


def depends_on_all_values(model: Model, itemsize: int) -> bool:
    """Return whether the scaling of numbers of some bytes, or a note, depends on more than a block.

    Then a file must be read from its first row to its last.
    """
    from xpnet.inference.input_scaling import factor_to_raw

    if itemsize == 1 or model.input_range == "0..255":
        return False
    is_chosen = model.input_range is not None or model.takes_unit_range
    return is_chosen or factor_to_raw(model.network) is not None


def _warm_up(network: "Network", images: "NDArray[Any]", batching: Mapping[str, Any]) -> None:
    from contextvars import Context

    from xpnet.arrays.namespace import without_warnings
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict_ids

    def predict_once() -> None:
        with without_warnings(), count_nonfinite():
            predict_ids(network, images, **batching)

    with suppress(ValueError):  # from rows that do not fit, which are reported later
        # In a context of its own, where transfers are not counted.
        Context().run(predict_once)


def with_range(model: Model, path: str, images: "NDArray[Any]") -> "Network":
    """Return the network for images that are all in memory; see `blocks_in_range`."""
    network, blocks = blocks_in_range(model, path, [(images, None)])
    for _ in blocks:  # each block is checked when it is taken
        pass
    return network


def blocks_in_range(
    model: Model, path: str, blocks: Iterable[Block]
) -> "tuple[Network, Iterator[Block]]":
    """Return the network, with steps before it if it needs them, and an iterator over the blocks.

    A network for inputs in 0..1 is scaled for inputs in 0..255. The dtype of raw bytes determines
    their range. Other numbers are scaled only for --input-range 0..1 or standardised pixels, if the
    first row that is not blank has a value above 1; otherwise the blocks raise DataError for a
    later value above 1. Notes on standard error report any scaling of numbers, or that was not
    asked for, and values that look wrong. There is at least one block; the result does not depend
    on their sizes. Raises UsageError if --input-range contradicts the preprocessing of a file, and
    DataError if the row that decides has a negative value.
    """
    from xpnet.formats.model_file import expects_large

    network, chosen = model.network, model.input_range
    if chosen is not None and not model.may_choose(chosen):
        steps = ", ".join(map(str, network.preprocessing))
        msg = f"{model.name} contains its preprocessing, {steps}: leave out --input-range {chosen}"
        raise UsageError(msg)
    blocks = iter(blocks)
    first = next(blocks)
    blocks = chain([first], blocks)
    are_bytes = first[0].dtype.kind == "u"
    if chosen is None and are_bytes:
        _note_bytes(model, first[0])
        return (_scaled(network) if model.takes_unit_range else network), blocks
    if chosen is None:
        note = partial(_note_large, model, path)
        is_unit = model.takes_unit_range
        return network, _report_large(blocks, note) if is_unit else _note_small(model, path, blocks)
    if chosen == "0..255":
        return _with_first(network) if network.metadata else network, blocks
    if chosen != "0..1":
        network = _with_first(network, standardization(chosen, network))
        if expects_large(network.preprocessing[0]):  # statistics of raw values
            return network, blocks
    if are_bytes:
        return _scaled(network), blocks
    return _by_first_row(network, path, blocks)


def _scaled(network: "Network") -> "Network":
    from xpnet.networks.preprocessing import Scale

    return _with_first(network, Scale(1 / _BRIGHTEST))


def _with_first(network: "Network", *steps: "Step") -> "Network":
    """Return the network with steps before its own, for inputs of another range."""
    metadata = {name: text for name, text in network.metadata.items() if name != "input_range"}
    return replace(network, preprocessing=(*steps, *network.preprocessing), metadata=metadata)


def _by_first_row(
    network: "Network", path: str, blocks: Iterator[Block]
) -> "tuple[Network, Iterator[Block]]":
    """Return the network, scaled depending on the first row that is not blank, and the blocks."""
    import numpy as np

    from xpnet.files.errors import DataError

    taken: list[Block] = []
    n_blank = 0
    for images, labels in blocks:
        taken.append((images, labels))
        is_lit = images.any(axis=tuple(range(1, images.ndim)))
        if is_lit.any():
            place = int(np.argmax(is_lit))
            every, number = chain(taken, blocks), n_blank + place + 1
            if images[place].min() < 0.0:
                pixel, smallest = images[place].argmin() + 1, images[place].min()
                what, rule = f"pixel {pixel} of row {number}", "0 to 1, or 0 to 255"
                hint = f"leave out --input-range, or give {_AS_THEY_ARE}"
                raise DataError(what, file=path, found=smallest, expected=rule, hint=hint)
            if images[place].max() > 1.0:
                print_note(
                    f"{path} has values above 1: all are divided by 255 first (--input-range"
                    " 0..255: as they are)"
                )
                return _scaled(network), every
            return network, _report_large(every, partial(_refuse_large, path, number))
        n_blank += len(images)
    return network, iter(taken)


def _report_large(
    blocks: Iterator[Block], report: Callable[[int, int, Any], None]
) -> Iterator[Block]:
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
    from xpnet.files.errors import DataError

    what, rule = f"pixel {pixel} of row {row}", f"0 to 1, as in row {decided_by}"
    hint = f"convert the file to bytes, which are all divided by 255, or give {_AS_THEY_ARE}"
    raise DataError(what, file=path, found=value, expected=rule, hint=hint)


def _note_large(model: Model, path: str, row: int, _: int, value: Any) -> None:
    print_note(
        f"{path} has values above 1 ({value:g} in row {row}), and {model.name} is given them as"
        " they are (--input-range 0..255: no note; 0..1: divided by 255, if the first image that"
        " is not blank has such a value)"
    )


def _note_small(model: Model, path: str, blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks; print a note at the end if values for a network of bytes are all in 0..1."""
    from xpnet.inference.input_scaling import factor_to_raw, first_step

    factor, largest = factor_to_raw(model.network), 0.0
    for images, labels in blocks:
        if factor is not None and largest <= 1.0:
            largest = max(largest, float(images.max(initial=0.0)))
        yield images, labels
    if factor is not None and 0.0 < largest <= 1.0:
        print_note(
            f"{path} has values of at most {largest:g}, but {first_step(model.network)} expects"
            f" larger numbers: give raw bytes, or multiply by {factor:g}"
        )


def _note_bytes(model: Model, images: "NDArray[Any]") -> None:
    """Print a note if raw bytes are scaled, or may not suit the preprocessing of a network."""
    steps, hint = model.network.preprocessing, "--input-range 0..1: divided by 255"
    if model.takes_unit_range:
        verb = "expects" if model.is_own else "is assumed to expect"
        what = f"{verb} pixels in 0..1, so raw bytes are divided by 255 before it"
        hint = "--input-range 0..255: as they are"
    elif not model.is_own or (model.standardizes_unit_range and images.max(initial=0) > 1):
        what = f"starts with {steps[0]}" if steps else "expects integers"
        what += ", so raw bytes go in as they are"
    elif not steps and "input_range" not in model.network.metadata:
        what = "has no preprocessing, and is given raw bytes"
    else:
        return
    print_note(f"{model.name} {what} ({hint})")
