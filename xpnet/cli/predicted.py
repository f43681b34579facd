"""Predictions of blocks of rows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from xpnet.cli.arguments import UsageError
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.models import Model

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
) -> Iterator[Predicted]:
    """Yield the predictions of each block; `runner` adds their outputs to its hash."""
    from xpnet.arrays.ranges import counting_from
    from xpnet.inference.nonfinite import count_nonfinite

    first_row = 0
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
