"""Predictions of blocks of rows."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from xpnet.cli.device_choice import DeviceOptions

if TYPE_CHECKING:
    from xpnet.datasets.blocks import Block
    from xpnet.files.hashes import ResultHash
    from xpnet.networks.network import Network


def predicted_ids(
    network: "Network",
    blocks: "Iterable[Block]",
    options: DeviceOptions,
    digest: "ResultHash | None",
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield blocks of rows, their labels, and their class ids or values; hash the outputs.

    Raise DataError for a row without a class, counted from the first of all blocks.
    """
    from xpnet.inference.predict import check_ids, class_ids, outputs_of

    first_row = 0
    for rows, labels in blocks:
        y = outputs_of(network, rows, **options.batching())
        if digest is not None:
            digest.update(y)
        ids = class_ids(network, y)
        check_ids(network, rows, ids, first_row)
        yield rows, labels, ids
        first_row += len(rows)
