"""Pieces of a file of rows, computed by the workers of a cluster."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from xpnet.cli.data_arguments import Data, computation_errors
from xpnet.cli.device_choice import chosen_precision
from xpnet.cli.input_range import as_file_rows, depends_on_all_values, open_blocks
from xpnet.cli.models import Model, place
from xpnet.cli.predicted import Wanted, as_arrays, predicted_blocks
from xpnet.cli.streams import collected_notes, data_warnings_as_notes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Job:
    """The model, on the host, and the kind of predictions; each worker gets it once."""

    model: Model
    wanted: Wanted


class Piece(NamedTuple):
    """Rows of a file, `n_rows` from `first_row` on; all if it is None."""

    first_row: int = 0
    n_rows: int | None = None


def pieces_of(data: Data, job: Job, piece_rows: int) -> list[Piece]:
    """Return the pieces of a file: one, unless rows can be read without those before them."""
    from xpnet.datasets.preview import count_images

    n_rows, itemsize, can_skip = count_images(data.path, data.fetched())
    if not n_rows or not can_skip or depends_on_all_values(job.model, itemsize):
        return [Piece()]
    starts = range(0, n_rows, piece_rows)
    return [Piece(start, min(piece_rows, n_rows - start)) for start in starts]


def predict_piece(
    job: Job, data: Data, piece: Piece
) -> "tuple[dict[str, NDArray[Any]], list[str]]":
    """Return the predictions for a piece, as arrays by name, and notes."""
    import numpy as np

    from xpnet.arrays.namespace import without_warnings

    first_row, options = piece.first_row, job.wanted.device
    data = data.with_options(rows=piece.n_rows)
    with (
        collected_notes() as notes,
        data_warnings_as_notes(),
        without_warnings(),
        chosen_precision(options),
        computation_errors(data.path, options.batch_size),
    ):
        network, blocks = open_blocks(
            data, _placed(job), options.batch_size, first_row=first_row, want_labels=False
        )
        rows = as_file_rows(data.path, network, blocks)
        predicted = predicted_blocks(job.wanted, network, rows, first_row=first_row)
        arrays = as_arrays(network, predicted)
    labels = arrays.get("labels")
    if labels is not None and labels.dtype.kind == "i":  # fewer bytes to send
        small = np.result_type(
            *map(np.min_scalar_type, (labels.min(initial=0), labels.max(initial=0)))
        )
        arrays["labels"] = labels.astype(small)
    return arrays, notes


@lru_cache(maxsize=1)  # a worker computes many pieces of one job
def _placed(job: Job) -> Model:
    from xpnet.arrays.device import Device

    options = job.wanted.device
    return place(job.model, Device(options.device), options)


def fault_of_worker(device: str, version: str) -> str | None:
    """Return why the process that calls it cannot compute pieces on a device, or None."""
    import xpnet

    if xpnet.__version__ != version:
        return f"it has xpnet {xpnet.__version__} instead of {version}"
    try:
        xpnet.Device(device)
    except xpnet.DeviceError as error:
        return str(error)
    return None
