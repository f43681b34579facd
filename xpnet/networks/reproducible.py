"""The forward pass with the same bits in every array library, on every processor and GPU.

Products are exact (see `exact_products`), and activations consist of operations that IEEE 754
rounds correctly (see `xpnet.functions.exact_functions`). Layers are computed in float64 and the
outputs are rounded once, to the dtype of the network.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    dtype_name,
    is_kind,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.arrays.transfer import without_graph
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.exact_functions import ExactNamespace, refuse_tracing
from xpnet.functions.exact_namespace import checked_namespace
from xpnet.functions.exact_products import SlicedWeight
from xpnet.networks.network import Network, check_network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import Scale, Step, Whiten, map_arrays

__all__ = ["ReproducibleNetwork", "reproducible"]

# The smallest results of float32 and float64 that are not 0: the smallest normal number, and one so
# large that no factor of a result was flushed to 0.
_SMALLEST = {"float32": 2.0**-126, "float64": 2.0**-1000}
# The smallest input that is not 0, and the smallest number of a preprocessing step. JAX on a CPU
# flushes subnormal numbers to 0: there must be none, not even as the difference of two numbers.
_SMALLEST_INPUT = 2.0**-900


class _Prepared(NamedTuple):
    """Operands of the computation, whose first weight contains the factor of the inputs."""

    factor: float
    steps: list[Callable[[Any, Any], Any]]
    layers: list[tuple[SlicedWeight, Any]]


def reproducible(network: Network, /) -> Network:
    """Return the network whose results have the same bits everywhere.

    The results of `forward`, `predict`, `predict_proba`, `evaluate` and `train` then do not depend
    on the array library, the processor or GPU, the batch and the number of threads. On a CPU, many
    rows of bytes take about six times as long, those of other numbers about 15 times.

    Parameters
    ----------
    network : Network
        Of float32 or float64; its parameters are copied. A reproducible network is returned itself.

    Returns
    -------
    Network
        With ``is_reproducible`` true. Its ``to``, ``astype``, copies and pickles are reproducible,
        too. `save` writes the exact forward pass as ONNX, and the ordinary network in other
        formats; `train` returns an ordinary one. Inputs of each layer above 2^400, including
        infinity, count as 2^400; outputs may be infinite. They are neither subnormal nor -0.0, and
        a NaN has always the same bits.

    Raises
    ------
    TypeError
        If the network is neither of float32 nor of float64, or its device has no float64. Calls
        raise it if they are traced, by ``jax.jit`` or ``torch.compile`` for example.
    ValueError
        If a number of the preprocessing is below 2^-900 in size.
    DeviceError
        If the library does not round as IEEE 754 requires on this device: results for
        fixed numbers are compared with known digests.

    Examples
    --------
    >>> import xpnet
    >>> exact = xpnet.reproducible(xpnet.Network([xpnet.Dense([[0.1], [0.2]], [0.3])]))
    >>> exact
    reproducible(Network(2 -> 1 identity; logits; float64, numpy))
    >>> exact([0.1, 0.2])
    array([0.35])
    """
    check_network(network)
    if network.is_reproducible:
        return network
    own = network.map_arrays(
        lambda x: array_namespace(x).asarray(without_graph(x), copy=True)  # torch's would warn
    )
    return ReproducibleNetwork(*own.fields)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class ReproducibleNetwork(Network):
    """A network that computes by the operations of this module; see `reproducible`."""

    is_reproducible = True
    _functions: ExactNamespace = field(init=False)
    _prepared: _Prepared = field(init=False)

    def __init__(self, *fields: Any, **named: Any) -> None:
        super().__init__(*fields, **named)
        _check(self)
        object.__setattr__(self, "_functions", checked_namespace(self.layers[0].weight))
        # Slices are cut once.
        with without_warnings():
            prepared = self._cut([(layer.weight, layer.bias) for layer in self.layers])
        object.__setattr__(self, "_prepared", prepared)

    def widened(self, y: Any, xp: Any) -> Any:
        """Return numbers in float64."""
        return cast(y, xp.float64, xp)

    def functions(self, x: Any) -> Any:
        """Return the namespace in which the network computes functions of an array."""
        return checked_namespace(x)

    @property
    def ordinary(self) -> Network:
        """The network of these parameters that computes in the usual way."""
        return Network(*self.fields)

    def __repr__(self) -> str:
        return f"reproducible({super().__repr__()})"

    def layer_results(
        self,
        x: Any,
        xp: Any,
        parameters: Sequence[tuple[Any, Any]] | None = None,
        *,
        keeps_sums: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Compute the forward pass as `Network.layer_results`, in float64.

        An `ExactNamespace` as `xp` may record the operations instead.
        """
        del keeps_sums
        exact = xp if isinstance(xp, ExactNamespace) else self._functions
        prepared = self._prepared if parameters is None else self._cut(parameters)
        y = self._inputs(x, exact, prepared)
        for (weight, bias), layer in zip(prepared.layers, self.layers, strict=True):
            z = weight.multiply(y, exact.ordinary) + bias
            y = ACTIVATIONS[layer.activation].function(z, exact, **layer.options)
            yield z, y

    def inputs(self, x: Any, xp: Any) -> Any:
        """Return rows after the preprocessing, in float64."""
        y = self._inputs(x, self._functions, self._prepared)
        return cast(y, xp.float64, xp) * self._prepared.factor

    def _inputs(self, x: Any, exact: ExactNamespace, prepared: _Prepared) -> Any:
        """Return preprocessed rows, except for the factor."""
        xp = exact.ordinary
        refuse_tracing(x)
        y = x if is_kind(x.dtype, xp, ("bool", "integral")) else _widened(x, xp)
        for step in prepared.steps:
            y = _without_small(step(cast(y, xp.float64, xp), exact), _SMALLEST_INPUT, xp)
        return y

    def rounded(self, y: Any, xp: Any) -> Any:
        """Return numbers in the dtype of the network; 0 for those that a library flushes to 0.

        The bits of zero and NaN are the same everywhere, too.
        """
        dtype = dtype_name(self.dtype)
        with without_warnings():
            y = cast(xp.where(xp.abs(y) < _SMALLEST[dtype], 0.0, y), getattr(xp, dtype), xp)
            return xp.where(xp.isnan(y), xp.nan, y)

    def _cut(self, parameters: Sequence[tuple[Any, Any]]) -> _Prepared:
        xp, dtype = array_namespace(parameters[0][0]), dtype_name(self.dtype)
        factors = [step.factor for step in self.preprocessing if isinstance(step, Scale)]
        factor, steps = math.prod(factors), []
        if len(factors) < len(self.preprocessing):
            factor, steps = 1.0, [_step(step, dtype, xp) for step in self.preprocessing]
        weights = [_widened(weight, xp) for weight, _ in parameters]
        weights[0] = weights[0] * factor
        sliced = [SlicedWeight(weight, dtype, xp) for weight in weights]
        biases = [_widened(bias, xp)[None, :] for _, bias in parameters]
        return _Prepared(factor, steps, list(zip(sliced, biases, strict=True)))


def _check(network: Network) -> None:
    """Raise TypeError or ValueError for a network without reproducible results."""
    weight, steps = network.layers[0].weight, network.preprocessing
    xp = array_namespace(weight)
    refuse_tracing(*named_arrays(network).values())
    if network.dtype not in (xp.float32, xp.float64):
        msg = f"a reproducible network must be of float32 or float64; got {network.dtype}"
        msg += ": use network.astype('float32'), which keeps every parameter"
        raise TypeError(msg)
    if widest_floating(weight, xp) != xp.float64:
        msg = f"reproducible results need float64, which {network.library} lacks on this device"
        msg += " or by its settings (for JAX, set JAX_ENABLE_X64=1)"
        raise TypeError(msg)
    numbers = [abs(x) for step in steps for x in vars(step).values() if isinstance(x, float) and x]
    numbers.append(abs(math.prod(x.factor for x in steps if isinstance(x, Scale))))
    if min(numbers) < _SMALLEST_INPUT:
        msg = f"a reproducible network needs preprocessing by numbers from {_SMALLEST_INPUT} on"
        raise ValueError(msg)


def _step(step: Step, dtype: str, xp: Any) -> Callable[[Any, ExactNamespace], Any]:
    """Return the function of a preprocessing step, for rows and their exact namespace."""
    step = map_arrays(step, lambda x: _widened(x, xp))
    if isinstance(step, Whiten):
        matrix = SlicedWeight(step.matrix, dtype, xp)
        return lambda x, exact: matrix.multiply(x - step.mean, exact.ordinary)
    return step.compute


def _widened(x: Any, xp: Any) -> Any:
    """Return a floating-point array in float64, with 0 for numbers that a library flushes to 0."""
    limits = limits_of(x.dtype, xp)
    y = cast(x, xp.float64, xp)
    if limits.bits < 32 and float(limits.smallest_normal) > _SMALLEST["float32"]:
        return y  # subnormal numbers of float16 become normal ones
    return _without_small(y, max(float(limits.smallest_normal), _SMALLEST_INPUT), xp)


def _without_small(x: Any, smallest: float, xp: Any) -> Any:
    """Return `x` with 0 for numbers below `smallest`."""
    return x * cast(xp.abs(x) >= smallest, x.dtype, xp)
