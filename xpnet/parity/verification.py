"""Whether results of a network by several runtimes are those that it should give."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.softmax import softmax
from xpnet.inference.predict import class_ids
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import count_results, rows_on_host, tiles
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.bounds.rounding import rowwise_error

__all__ = ["Deviation", "Verification", "verify"]

_CONFIDENCE = 1.0 - 1e-6


@dataclass(frozen=True)
class Deviation:
    """How far results are from those that they are compared with.

    Attributes
    ----------
    difference : float
        The largest, in the units of the results.
    share : float
        The largest in units of how far two right computations may be apart: above 1 it is no
        rounding.
    """

    difference: float
    share: float


@dataclass(frozen=True)
class Verification:
    """What `verify` found of one runtime.

    Attributes
    ----------
    against : str
        What its results were compared with: "float64", or the name of the first runtime.
    outputs : Deviation
        Of logits, probabilities or values, whatever the network gives.
    probabilities : Deviation or None
        Of the probabilities that logits of several classes make; None for other outputs.
    n_changed : int
        For how many rows the predicted class is another one; 0 for a regression.
    n_unjudged : int
        For how many of these an output has no bound, so that nothing tells whether rounding
        explains it; of a regression, for how many rows at all.
    """

    against: str
    outputs: Deviation
    probabilities: Deviation | None
    n_changed: int
    n_unjudged: int

    @property
    def is_in_bound(self) -> bool:
        """Whether all predictions are judged, and no result is further off than rounding."""
        deviations = (self.outputs, self.probabilities)
        return not self.n_unjudged and all(x is None or x.share <= 1.0 for x in deviations)


def verify(
    network: Network,
    x: Any,
    results: Mapping[str, NDArray[Any]],
    /,
    *,
    absolute_error: float = 0.0,
) -> dict[str, Verification]:
    """Compare results of one network by several runtimes.

    Parameters
    ----------
    network : Network
        What is meant; in float64 it gives the true values, and its dtype the bounds.
    x : array of shape (n, n_in)
        What the network was given.
    results : mapping of str to array of shape (n, n_out)
        By runtime, the outputs. The first one's are compared with the true values, within the
        bounds of `error_bound`; the others' with the first one's, within twice as much.
    absolute_error : float, default 0
        How far the activations of a runtime may be off in absolute terms, in units of the last
        place of 1, besides the bounds of `xpnet.functions.bounds`.

    Returns
    -------
    dict of str to Verification

    Raises
    ------
    ValueError
        If results have another shape.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, _) = xpnet.load("sample"), xpnet.sample()
    >>> rows = images.reshape(1000, 784)
    >>> found = verify(network, rows, {"numpy": network(rows)})["numpy"]
    >>> found.against, found.is_in_bound, found.n_changed
    ('float64', True, 0)
    """
    rows = rows_on_host(network, x)
    for name, y in results.items():
        if y.shape != (len(rows), network.n_out):
            shape = (len(rows), network.n_out)
            msg = f"`results` must have the shape {shape}; got {y.shape} by {name}"
            raise ValueError(msg)
    n_results = 2 * count_results(network, len(rows))
    propagation = Propagation(network, n_results, _CONFIDENCE, absolute_error=absolute_error)
    first = next(iter(results), "")
    tallies = {name: _Tally(network, "float64" if name == first else first) for name in results}
    start = 0
    for tile in tiles(rows):
        *_, (truth, bound) = propagation.stages(tile)
        if propagation.precision.name == "float64":  # the true values err as well
            bound = 2.0 * bound
        own = _Results(truth, bound, *_probabilities(propagation, truth, bound))
        stop = start + len(tile)
        reference = own
        for name, tally in tallies.items():
            y = results[name][start:stop].astype(np.float64)
            tally.add(y, reference)
            if name == first:
                reference = own.around(y)
        start = stop
    return {name: tally.result() for name, tally in tallies.items()}


@dataclass(frozen=True)
class _Results:
    """Results that others are compared with, and how far these may be from them."""

    outputs: NDArray[Any]
    bound: NDArray[Any]
    probabilities: NDArray[Any] | None
    probability_bound: NDArray[Any] | None

    def around(self, y: NDArray[Any]) -> "_Results":
        """Return other results in place of the true values: two of them are twice as far apart."""
        if self.probabilities is None or self.probability_bound is None:
            return _Results(y, 2.0 * self.bound, None, None)
        return _Results(y, 2.0 * self.bound, _softmax(y), 2.0 * self.probability_bound)


def _probabilities(
    propagation: Propagation, truth: NDArray[Any], bound: NDArray[Any]
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Return the softmax of logits and how far it may be off; None for other outputs."""
    network = propagation.network
    if network.output != "logits" or network.n_out == 1:
        return None, None
    last = network.layers[-1]
    shares = _softmax(truth)
    with np.errstate(all="ignore"):
        layer = Dense(last.weight, last.bias, "softmax")
        return shares, rowwise_error(layer, truth, shares, bound, propagation.precision)


def _softmax(y: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        return np.asarray(softmax(y))


class _Tally:
    """The largest deviations so far."""

    def __init__(self, network: Network, against: str) -> None:
        self._network = network
        self._against = against
        self._outputs = Deviation(0.0, 0.0)
        self._probabilities: Deviation | None = None
        self._n_changed = self._n_unjudged = 0

    def add(self, y: NDArray[Any], reference: _Results) -> None:
        """Compare some rows."""
        self._outputs = _larger(self._outputs, y, reference.outputs, reference.bound)
        if reference.probabilities is not None:
            before = self._probabilities or Deviation(0.0, 0.0)
            self._probabilities = _larger(
                before, _softmax(y), reference.probabilities, reference.probability_bound
            )
        has_none = np.isinf(reference.bound).any(axis=1)
        if self._network.output != "values":
            ids, others = (class_ids(self._network, x) for x in (y, reference.outputs))
            self._n_changed += int(np.count_nonzero(ids != others))
            has_none &= ids != others
        self._n_unjudged += int(np.count_nonzero(has_none))

    def result(self) -> Verification:
        """Return what was found."""
        return Verification(
            self._against, self._outputs, self._probabilities, self._n_changed, self._n_unjudged
        )


def _larger(before: Deviation, y: NDArray[Any], others: NDArray[Any], bound: Any) -> Deviation:
    """Return the larger of what was found before, and how far y is from the others."""
    with np.errstate(all="ignore"):
        is_same = (y == others) | (np.isnan(y) & np.isnan(others))
        # A number in place of NaN, or the other way round, is no rounding at all.
        difference = np.where(is_same, 0.0, np.nan_to_num(np.abs(y - others), nan=np.inf))
        share = np.where(is_same, 0.0, np.where(difference < np.inf, difference / bound, np.inf))
    return Deviation(
        max(before.difference, float(np.max(difference, initial=0.0))),
        max(before.share, float(np.max(share, initial=0.0))),
    )
