"""The forward pass with the same bits in every array library, on every processor and GPU.

Products are exact (see `exact_products`), and activations consist of operations that IEEE 754
rounds correctly (see `xpnet.functions.reproducible`). Layers are computed in float64 and the
outputs are rounded once, to the dtype of the network.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from xpnet.arrays.cpu.blocked_matmul import is_constant
from xpnet.arrays.namespace import (
    array_namespace,
    as_numbers,
    cast,
    is_kind,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.arrays.transfer import is_traced
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.exact_products import SlicedWeight
from xpnet.functions.reproducible import reproducible_namespace
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import (
    Scale,
    Step,
    Whiten,
    arrays_of,
    check_digits,
    map_arrays,
)

__all__ = ["ReproducibleNetwork", "reproducible_network"]

# Prepared networks, whose arrays cannot change, are cut into slices once.
_PREPARED: "WeakKeyDictionary[Network, ReproducibleNetwork]" = WeakKeyDictionary()
# The smallest results of float32 and float64 that are not 0: the smallest normal number, and one so
# large that no factor of a result was flushed to 0.
_SMALLEST = (2.0**-126, 2.0**-1000)
# The smallest input that is not 0, and the smallest number of a preprocessing step. JAX on a CPU
# flushes subnormal numbers to 0: there must be none, not even as the difference of two numbers.
_SMALLEST_INPUT = 2.0**-900


class _Prepared(NamedTuple):
    """Operands of the computation. The factor of the inputs is in the first weight."""

    factor: float
    steps: list[Callable[[Any], Any]]
    layers: list[tuple[SlicedWeight, Any]]


def reproducible_network(network: Network) -> "ReproducibleNetwork":
    """Return the network whose results have the same bits everywhere.

    Raise TypeError if its dtype is neither float32 nor float64, or its device has no float64.
    """
    if isinstance(network, ReproducibleNetwork):
        return network
    if network not in _PREPARED:
        found = ReproducibleNetwork(*network.fields)
        if not all(map(is_constant, _arrays(network))):
            return found
        _PREPARED[network] = found
    return _PREPARED[network]


class ReproducibleNetwork(Network):
    """A network that computes by the operations of this module; see `xpnet.Network`.

    Its parameters must not change: they are cut into slices once.
    """

    def __init__(self, *fields: Any, **named: Any) -> None:
        super().__init__(*fields, **named)
        weight = self.layers[0].weight
        xp = array_namespace(weight)
        _refuse_tracing(*_arrays(self))
        if self.dtype not in (xp.float32, xp.float64):
            msg = (
                f"a reproducible network must be of float32 or float64; got {self.dtype}: use"
                " network.astype('float32'), which keeps every parameter"
            )
            raise TypeError(msg)
        if widest_floating(weight, xp) != xp.float64:
            msg = (
                f"reproducible results need float64, which {self.library} lacks on this device or"
                " with its present settings (JAX: jax_enable_x64)"
            )
            raise TypeError(msg)

        values = (x for step in self.preprocessing for x in vars(step).values())
        numbers = [x for x in values if isinstance(x, float) and x != 0.0]
        numbers.append(math.prod(x.factor for x in self.preprocessing if isinstance(x, Scale)))
        if min(map(abs, numbers)) < _SMALLEST_INPUT:
            msg = f"a reproducible network needs preprocessing by numbers from {_SMALLEST_INPUT} on"
            raise ValueError(msg)

    def widened(self, y: Any, xp: Any) -> Any:
        """Return numbers in float64."""
        return cast(y, xp.float64, xp)

    def functions(self, xp: Any) -> Any:
        """Return the namespace of the functions by which the network is computed."""
        return reproducible_namespace(xp)

    def compute(self, x: Any, xp: Any, *, watched: bool = False) -> Any:
        """Return the outputs for rows that need no check; an overflow gives infinity."""
        del watched
        with without_warnings():
            y = self._inputs(x, xp, self._prepared)
            for _, result in self._layer_results(y, xp, self._prepared):
                y = result
        return self.rounded(y, xp)

    def ordinary(self) -> Network:
        """Return the network of these layers that computes in the usual way."""
        return Network(*self.fields)

    def results(
        self, x: Any, xp: Any, parameters: Sequence[tuple[Any, Any]] | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the input and the result of each step in float64; see `layer_results`."""
        prepared = self._prepared if parameters is None else self._cut(parameters)
        y = self._inputs(x, xp, prepared)
        yield x, cast(y, xp.float64, xp) * prepared.factor
        yield from self._layer_results(y, xp, prepared)

    def _inputs(self, x: Any, xp: Any, prepared: _Prepared) -> Any:
        """Return preprocessed rows, except for the factor."""
        _refuse_tracing(x)
        check_digits(self.preprocessing, x, xp)
        is_whole = is_kind(x.dtype, xp, ("bool", "integral"))
        y = x if is_whole else _widened(x, xp)
        if prepared.steps:
            y = cast(y, xp.float64, xp)
        for step in prepared.steps:
            y = _without_small(step(y), _SMALLEST_INPUT, xp)
        return y

    def _layer_results(self, y: Any, xp: Any, prepared: _Prepared) -> Iterator[tuple[Any, Any]]:
        for (weight, bias), layer in zip(prepared.layers, self.layers, strict=True):
            weighted = weight.multiply(y, xp) + bias
            function = ACTIVATIONS[layer.activation].function
            y = function(weighted, self.functions(xp), **layer.options)
            yield weighted, y

    def rounded(self, y: Any, xp: Any) -> Any:
        """Return numbers in the dtype of the network, without those that some libraries flush to 0.

        The bits of zero and NaN are the same everywhere, too.
        """
        smallest = _SMALLEST[self.dtype == xp.float64]
        with without_warnings():
            y = cast(xp.where(xp.abs(y) < smallest, 0.0, y), self.dtype, xp)
            return xp.where(xp.isnan(y), xp.nan, y)

    @cached_property
    def _prepared(self) -> _Prepared:
        return self._cut([(layer.weight, layer.bias) for layer in self.layers])

    def _cut(self, parameters: Sequence[tuple[Any, Any]]) -> _Prepared:
        xp = array_namespace(parameters[0][0])
        dtype = str(self.dtype).rpartition(".")[2]
        factors = [step.factor for step in self.preprocessing if isinstance(step, Scale)]
        is_scaled = len(factors) == len(self.preprocessing)
        steps = [] if is_scaled else [_step(step, dtype, xp) for step in self.preprocessing]
        factor = scale = math.prod(factors, start=1.0) if is_scaled else 1.0
        layers = []
        for weight, bias in parameters:
            scaled = _widened(weight, xp) * scale
            layers.append((SlicedWeight(scaled, dtype, xp), _widened(bias, xp)))
            scale = 1.0
        return _Prepared(factor, steps, layers)


def _arrays(network: Network) -> Iterator[Any]:
    """Yield all arrays of a network."""
    for layer in network.layers:
        yield from (layer.weight, layer.bias)
    for step in network.preprocessing:
        yield from arrays_of(step).values()


def _step(step: Step, dtype: str, xp: Any) -> Callable[[Any], Any]:
    """Return the function of a preprocessing step."""
    step = map_arrays(step, lambda x: _widened(x, xp))
    if isinstance(step, Whiten):
        matrix = SlicedWeight(step.matrix, dtype, xp)
        return lambda x: matrix.multiply(x - step.mean, xp)
    return lambda x: step.compute(x, reproducible_namespace(xp))


def _refuse_tracing(*arrays: Any) -> None:
    if any(map(is_traced, arrays)):
        msg = (
            "reproducible results cannot be traced, by jax.jit, torch.compile or torch.jit.trace: a"
            " compiler may fuse a product with a sum, which changes bits"
        )
        raise TypeError(msg)


def _widened(x: Any, xp: Any) -> Any:
    """Return a floating-point array in float64, with 0 for numbers that a library flushes to 0."""
    limits = limits_of(x.dtype, xp)
    y = cast(x, xp.float64, xp)
    if limits.bits < 32 and float(limits.smallest_normal) > _SMALLEST[0]:
        return y  # subnormal numbers of float16 become normal ones
    return _without_small(y, max(float(limits.smallest_normal), _SMALLEST_INPUT), xp)


def _without_small(x: Any, smallest: float, xp: Any) -> Any:
    """Return `x` with 0 for numbers below `smallest`."""
    return x * as_numbers(xp.abs(x) >= smallest, x, xp)
