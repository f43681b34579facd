"""Derived error bounds of a network's results, stage by stage."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.inference.rows import as_rows
from xpnet.networks.column_names import in_order
from xpnet.networks.network import Network, check_network
from xpnet.parity.bounds.propagation import Propagation

__all__ = ["ErrorBound", "StageBound", "error_bound", "rows_on_host", "stage_names"]


@dataclass(frozen=True, eq=False)
class StageBound:
    """True values of one stage, and the error bound of each.

    Attributes
    ----------
    name : str
        "preprocessing", or for example "layer 1, sigmoid".
    values : array of shape (n, width), float64
        The true values: the results of the network in float64.
    bound : array of shape (n, width), float64
        Largest distance of a correct result from the true value, in the same units. inf: no
        bound, because the activation jumps or the result overflows within reach, in this stage
        or an earlier one. 0 where the true value is NaN or infinite, and a correct result is the
        same.
    """

    name: str
    values: NDArray[np.float64]
    bound: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"StageBound({self.name!r}, values and bound of shape {self.values.shape})"


@dataclass(frozen=True, eq=False)
class ErrorBound:
    """Error bounds of a network's results, stage by stage.

    Attributes
    ----------
    stages : tuple of StageBound
        The preprocessed inputs, then the results of each layer.
    dtype : str
        The precision that the bounds hold for.
    confidence : float
        Probability that no result exceeds its bound; 1.0 for the worst case.
    """

    stages: tuple[StageBound, ...]
    dtype: str
    confidence: float


def error_bound(network: Network, x: Any, /, *, confidence: float = 1.0 - 1e-6) -> ErrorBound:
    """Return bounds of the distance of correct results from the true values.

    Parameters
    ----------
    network : Network
        Of any library and device. Its dtype is the precision: float16, bfloat16, float32, float64.
    x : array of shape (n, n_in)
        Rows as for `forward`, of any library.
    confidence : float, default 1 - 1e-6
        Probability that all results of all stages are within their bounds, for rounding errors
        that are independent of each other and equally often up and down. 1.0 is the worst case:
        no result can exceed its bound, even if every rounding error is as large as possible and
        all have the same sign. For wide layers these bounds are far larger.

    Raises
    ------
    TypeError
        If `network` has another dtype, or `x` is not an array of real numbers.
    ValueError
        If `x` has a wrong shape, `confidence` is not above 0 and at most 1, or a parameter is NaN
        or infinite.

    Notes
    -----
    Derived in docs/explanation/error-bounds.md, to first order in the unit roundoff, for every
    order of summation, with or without fused multiply-add, and for a scale that is folded into the
    weights, as long as the weights stay normal numbers. Not covered: units with equal weights,
    whose rounding errors are equal too, and equal terms that are added one by one.

    The true values are computed in float64. For a float64 network their own error is as large as
    the bound: compare with twice the bound.

    References
    ----------
    N. J. Higham and T. Mary, "A new approach to probabilistic rounding error analysis", SIAM J.
    Sci. Comput. 41(5), 2019, DOI 10.1137/18M1226312.

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
    propagation = Propagation(network, len(rows), confidence)
    stages = zip(stage_names(network), propagation.stages(rows), strict=True)
    bounds = tuple(StageBound(name, values, bound) for name, (values, bound) in stages)
    return ErrorBound(bounds, propagation.precision.name, float(confidence))


def rows_on_host(network: Network, x: Any) -> NDArray[Any]:
    """Return the inputs of a network as a NumPy array of shape (n, n_in), after validation."""
    check_network(network)
    for i, layer in enumerate(network.layers, start=1):
        for name in ("weight", "bias"):
            if not np.all(np.isfinite(to_numpy(getattr(layer, name)))):
                got = f"NaN or infinity in the {name} of layer {i}"
                msg = f"`network` must have finite parameters; got {got}"
                raise ValueError(msg)
    return to_numpy(as_rows(in_order(network, x), network.n_in, "x"))


def stage_names(network: Network) -> list[str]:
    """Return the names of a network's stages."""
    names = (f"layer {i}, {layer.activation}" for i, layer in enumerate(network.layers, start=1))
    return ["preprocessing", *names]
