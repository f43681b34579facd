"""The derived bounds as a user asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import as_rows
from xpnet.networks.network import Network
from xpnet.parity.bounds.propagation import Propagation

__all__ = ["ErrorBound", "StageBound", "checked_confidence", "count_results", "error_bound"]
__all__ += ["rows_on_host", "stage_names", "tiles"]

# Rows whose values the caches still hold, and not so few that calls cost more than they compute.
_ROWS = 512


@dataclass(frozen=True, eq=False)
class StageBound:
    """The results of one stage, and how far they may be missed.

    Attributes
    ----------
    name : str
        "preprocessing", or such as "layer 1, sigmoid".
    values : array of shape (n, width), float64
        The true values: what the network gives in float64.
    bound : array of shape (n, width), float64
        How far a correct computation may be from them, in the same units. inf says: no bound,
        since the activation jumps or the result overflows within reach, there or before. 0 where
        the true value is NaN or infinite, and a correct computation gives the same.
    """

    name: str
    values: NDArray[np.float64]
    bound: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"StageBound({self.name!r}, values and bound of shape {self.values.shape})"


@dataclass(frozen=True, eq=False)
class ErrorBound:
    """How far a network's results may be from their true values, stage by stage.

    Attributes
    ----------
    stages : tuple of StageBound
        The preprocessed inputs, then each layer's results.
    dtype : str
        The precision that the bounds are for.
    confidence : float
        The probability that no result at all misses its bound; 1.0 in the worst-case mode.
    """

    stages: tuple[StageBound, ...]
    dtype: str
    confidence: float


def error_bound(
    network: Network,
    x: Any,
    /,
    *,
    confidence: float = 1.0 - 1e-6,
    worst_case: bool = False,
) -> ErrorBound:
    """Return how far a correct computation in the network's precision may be from the true values.

    Parameters
    ----------
    network : Network
        Of any library and device; its dtype is the precision: float16, bfloat16, float32, float64.
    x : array of shape (n, n_in)
        Rows as `forward` takes them, of any library.
    confidence : float, default 1 - 1e-6
        With which probability all results of all stages are within their bounds, for rounding
        errors that are independent of each other and as often up as down.
    worst_case : bool, default False
        Bound what cannot be exceeded at all, if every rounding error is as large as it can be and
        all go the same way: for wide layers far more.

    Returns
    -------
    ErrorBound

    Raises
    ------
    TypeError
        If `network` is of another dtype, or `x` is no array of real numbers.
    ValueError
        If `x` has another shape, `confidence` is not between 0 and 1, or a parameter is NaN or
        infinite.

    Notes
    -----
    Derived in docs/parity.md from the model of Higham and Mary [1]_, to first order in the unit
    roundoff. It holds for every order of summation, with or without fused multiply-add, and for a
    scale that is folded into the weights, as long as those stay normal numbers. The error of each
    activation function is taken from the measured bounds in `xpnet.functions.bounds`, the largest
    of all libraries. Not covered: units of equal weights, whose rounding errors are equal too, and
    equal terms that are added one by one.

    The true values are computed in float64. For a float64 network their own error is as large as
    the bound: compare with twice the bound.

    References
    ----------
    .. [1] N. J. Higham and T. Mary, "A new approach to probabilistic rounding error analysis",
       SIAM J. Sci. Comput. 41(5), 2019, DOI 10.1137/18M1226312.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> found = error_bound(xpnet.load("sample"), images[:100].reshape(100, 784))
    >>> [stage.name for stage in found.stages]
    ['preprocessing', 'layer 1, sigmoid', 'layer 2, sigmoid', 'layer 3, identity']
    >>> bool(found.stages[-1].bound.max() < 0.01)
    True
    """
    rows = rows_on_host(network, x)
    confidence = 1.0 if worst_case else checked_confidence(confidence)
    propagation = Propagation(network, count_results(network, len(rows)), confidence)
    parts = zip(*(propagation.stages(tile) for tile in tiles(rows)), strict=True)
    stages = tuple(
        StageBound(name, *(np.concatenate(x).astype(np.float64) for x in zip(*part, strict=True)))
        for name, part in zip(stage_names(network), parts, strict=True)
    )
    return ErrorBound(stages, propagation.precision.name, confidence)


def checked_confidence(confidence: float) -> float:
    """Return the confidence as a number.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not between 0 and 1; both ends excluded.
    """
    if not isinstance(confidence, int | float | np.number):
        msg = f"`confidence` must be a number; got {type(confidence).__name__}"
        raise TypeError(msg)
    if not 0.0 < confidence < 1.0:
        msg = (
            f"`confidence` must be above 0 and below 1; got {confidence}."
            " For certainty, give worst_case=True"
        )
        raise ValueError(msg)
    return float(confidence)


def rows_on_host(network: Network, x: Any) -> NDArray[Any]:
    """Return rows of real numbers for a network as a NumPy array of shape (n, n_in).

    Raises
    ------
    TypeError
        If `network` is none, or `x` is no array of real numbers.
    ValueError
        If a parameter is NaN or infinite, or `x` does not hold rows of as many numbers as the
        network has inputs.
    """
    if not isinstance(network, Network):
        msg = f"`network` must be a Network; got {type(network).__name__}"
        raise TypeError(msg)
    for i, layer in enumerate(network.layers, start=1):
        for name in ("weight", "bias"):
            if not np.all(np.isfinite(to_numpy(getattr(layer, name)))):
                msg = (
                    f"`network` must have finite parameters; got others in the {name} of layer {i}"
                )
                raise ValueError(msg)
    rows = to_numpy(as_rows(as_array(x), network.n_in))
    if not np.isdtype(rows.dtype, ("bool", "integral", "real floating")):
        msg = f"`x` must hold real numbers; got dtype {rows.dtype}"
        raise TypeError(msg)
    return rows


def count_results(network: Network, n_rows: int) -> int:
    """Return how many results the stages of a network have for so many rows."""
    return n_rows * (network.n_in + sum(layer.n_out for layer in network.layers))


def stage_names(network: Network) -> list[str]:
    """Return what the stages of a network are called."""
    names = (f"layer {i}, {layer.activation}" for i, layer in enumerate(network.layers, start=1))
    return ["preprocessing", *names]


def tiles(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield rows some hundreds at a time; at least once, if none."""
    keep_freed_memory()
    for start in range(0, max(len(rows), 1), _ROWS):
        yield rows[start : start + _ROWS]
