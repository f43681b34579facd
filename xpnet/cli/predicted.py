"""Predictions of blocks of rows, and of pieces of a file by the workers of a cluster."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data, computation_errors
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.models import Model, place
from xpnet.cli.scaled_rows import as_file_rows, depends_on_all_values, open_blocks
from xpnet.cli.streams import collected_notes, data_warnings_as_notes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.datasets.blocks import Block
    from xpnet.inference.result_hash import HashedRunner
    from xpnet.networks.network import Network


@dataclass(frozen=True)
class Wanted:
    """The predictions wanted: labels or values, and some probabilities (--top) or all (--proba)."""

    top: int | None
    proba: bool
    device: DeviceOptions

    def check(self, model: Model) -> None:
        """Raise UsageError if the network has fewer classes than probabilities are wanted."""
        n_classes = model.network.n_classes
        if (self.top or int(self.proba)) > n_classes:
            option = "--proba" if self.proba else f"--top {self.top}"
            has = n_classes or "none, as it is a regression"
            msg = f"{option} needs more classes than {model.name} has: {has}"
            raise UsageError(msg)


class Predicted(NamedTuple):
    """The predictions of a block, and its rows, counted from the first of all, not finite."""

    labels: "NDArray[Any]"
    shares: "NDArray[Any] | None"
    nonfinite: "NDArray[Any]"


def predicted_blocks(
    wanted: Wanted,
    network: "Network",
    blocks: "Iterable[Block]",
    runner: "HashedRunner | None" = None,
    *,
    first_row: int = 0,
) -> Iterator[Predicted]:
    """Yield the predictions of each block; `runner` adds their outputs to its hash."""
    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.nonfinite import count_nonfinite

    for rows, _ in blocks:
        with counting_from(first_row), count_nonfinite() as bad:
            labels, shares = _labels_and_shares(wanted, network, rows, runner)
        yield Predicted(labels, shares, first_row + bad.rows)
        first_row += len(rows)


def as_arrays(network: "Network", predicted: Iterable[Predicted]) -> "dict[str, NDArray[Any]]":
    """Return the arrays of an npz file: labels or values, probabilities, and nonfinite."""
    import numpy as np

    parts: defaultdict[str, list[Any]] = defaultdict(list)
    for labels, shares, nonfinite in predicted:
        parts["labels" if network.n_classes else "values"].append(labels)
        if shares is not None:
            parts["probabilities"].append(shares)
        parts["nonfinite"].append(nonfinite)
    return {name: np.concatenate(found) for name, found in parts.items()}


def _labels_and_shares(
    wanted: Wanted, network: "Network", rows: Any, runner: "HashedRunner | None"
) -> tuple[Any, Any]:
    import numpy as np

    from xpnet.inference.nonfinite import checked_results
    from xpnet.inference.predict import most_probable, predict_ids, predict_proba

    batching = wanted.device.batching()
    if runner is None:
        ids = predict_ids(network, rows, **batching)
    else:
        ids = checked_results(runner.marked_class_ids(rows), network)
    shares = None
    if wanted.top or wanted.proba:  # computing twice takes less time than writing
        shares = predict_proba(network, rows, **batching)
    if wanted.top:
        ids, shares = most_probable(ids, shares, wanted.top)
    return ids if network.classes is None else np.asarray(network.classes)[ids], shares


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

    first_row, batch_size = piece.first_row, job.wanted.device.batch_size
    data = data.with_options(rows=piece.n_rows)
    with (
        collected_notes() as notes,
        data_warnings_as_notes(),
        without_warnings(),
        computation_errors(data.path, batch_size),
    ):
        network, blocks = open_blocks(
            data, _placed(job), batch_size, first_row=first_row, want_labels=False
        )
        rows = as_file_rows(data.path, network, blocks)
        predicted = predicted_blocks(job.wanted, network, rows, first_row=first_row)
        arrays = as_arrays(network, predicted)
    labels = arrays.get("labels")
    if labels is not None and labels.dtype.kind == "i":  # fewer bytes to send
        ends = labels.min(initial=0), labels.max(initial=0)
        arrays["labels"] = labels.astype(np.result_type(*map(np.min_scalar_type, ends)))
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
