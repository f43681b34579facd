"""The forward pass with the same bits in every array library, on every processor and GPU.

Products are exact (see `exact_products`), and activations consist of operations that IEEE 754
rounds correctly (see `xpnet.functions.reproducible`). Layers are computed in float64 and the
outputs are rounded once, to the dtype of the network.
"""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from xpnet.arrays.cpu.blocked_matmul import is_constant
from xpnet.arrays.namespace import (
    array_namespace,
    as_numbers,
    cast,
    is_kind,
    is_traced,
    limits_of,
    widest_floating,
    without_warnings,
)
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.reproducible import reproducible_namespace
from xpnet.networks.exact_products import ExactWeight
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Whiten, map_arrays

__all__ = ["ReproducibleNetwork", "reproducible_network"]

# Prepared networks, whose arrays cannot change, are cut into slices once.
_PREPARED: "WeakKeyDictionary[Network, ReproducibleNetwork]" = WeakKeyDictionary()


# The smallest results of float32 and float64 that are not 0: the smallest normal number, and one so
# large that no factor of a result was flushed to 0.
_SMALLEST = (2.0**-126, 2.0**-1000)


def reproducible_network(network: Network) -> "ReproducibleNetwork":
    """Return the network whose results have the same bits everywhere.

    Raise TypeError if its dtype is neither float32 nor float64, or its device has no float64.
    """
    if isinstance(network, ReproducibleNetwork):
        return network
    if network not in _PREPARED:
        fields = network.layers, network.preprocessing, network.output, network.classes
        found = ReproducibleNetwork(*fields)
        if not all(is_constant(x) for layer in network.layers for x in (layer.weight, layer.bias)):
            return found
        _PREPARED[network] = found
    return _PREPARED[network]


class ReproducibleNetwork(Network):
    """A network that computes by the operations of this module; see `xpnet.Network`."""

    def __init__(self, *fields: Any, **named: Any) -> None:
        super().__init__(*fields, **named)
        weight = self.layers[0].weight
        xp = array_namespace(weight)
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

    def compute(self, x: Any, xp: Any) -> Any:
        """Return the outputs for rows that need no check."""
        with without_warnings():
            *_, (_, y) = self._in_float64(x, xp)
            return self._rounded(y, xp)

    def results(self, x: Any, xp: Any) -> list[tuple[Any, Any]]:
        """Return the input and the result of each step, as `layer_results`.

        Inputs are in float64; only what is returned of the results is rounded to the network's
        dtype.
        """
        with without_warnings():
            return [(given, self._rounded(y, xp)) for given, y in self._in_float64(x, xp)]

    def activated(self, name: str, y: Any) -> Any:
        """Return an activation of some outputs."""
        xp = array_namespace(y)
        with without_warnings():
            y = ACTIVATIONS[name].function(cast(y, xp.float64, xp), reproducible_namespace(xp))
            return self._rounded(y, xp)

    def _in_float64(self, x: Any, xp: Any) -> Iterator[tuple[Any, Any]]:
        _refuse_tracing(x)
        factor, steps, layers = self._prepared
        functions = reproducible_namespace(xp)
        y = x
        if not is_kind(x.dtype, xp, ("bool", "integral")):
            y = _without_subnormals(x, xp)
        if steps:
            y = cast(y, xp.float64, xp)
            for step in steps:
                y = step(y)
        # The factor is in the first weight.
        yield x, cast(y, xp.float64, xp) * factor
        for weight, bias, activate, options in layers:
            weighted = weight.multiply(y, xp) + bias
            y = activate(weighted, functions, **options)
            yield weighted, y

    @cached_property
    def _prepared(self) -> tuple[float, list[Any], list[Any]]:
        """A factor of the inputs, or other steps, and the layers as operands in float64."""
        xp = array_namespace(self.layers[0].weight)
        dtype = str(self.dtype).rpartition(".")[2]

        def as_float64(x: Any) -> Any:
            return _without_subnormals(x, xp)

        factor, steps = 1.0, list[Any]()
        factors = [step.factor for step in self.preprocessing if isinstance(step, Scale)]
        if len(factors) == len(self.preprocessing):
            factor = math.prod(factors, start=1.0)
        else:
            steps = [_step(map_arrays(step, as_float64), dtype, xp) for step in self.preprocessing]
        layers = []
        for i, layer in enumerate(self.layers):
            weight = as_float64(layer.weight)
            weight = weight * factor if i == 0 else weight
            activate = ACTIVATIONS[layer.activation].function
            exact = ExactWeight(weight, dtype, xp)
            layers.append((exact, as_float64(layer.bias), activate, dict(layer.options)))
        return factor, steps, layers

    def _rounded(self, y: Any, xp: Any) -> Any:
        """Return `y` in the dtype of the network, without numbers that some libraries flush to 0.

        The bits of zero and NaN are the same everywhere, too.
        """
        y = xp.where(xp.abs(y) < _SMALLEST[self.dtype == xp.float64], 0.0, y)
        y = cast(y, self.dtype, xp)
        return xp.where(xp.isnan(y), xp.nan, y)


def _step(step: Any, dtype: str, xp: Any) -> Callable[[Any], Any]:
    """Return the function of a preprocessing step, whose arrays are of float64."""
    if isinstance(step, Whiten):
        matrix = ExactWeight(step.matrix, dtype, xp)
        return lambda x: matrix.multiply(x - step.mean, xp)
    return lambda x: step.compute(x, reproducible_namespace(xp))


def _without_subnormals(x: Any, xp: Any) -> Any:
    """Return a floating-point array in float64, with 0 for its subnormal numbers.

    JAX flushes them to 0 on a CPU, and other libraries do not.
    """
    smallest = float(limits_of(x.dtype, xp).smallest_normal)
    x = cast(x, xp.float64, xp)
    return x * as_numbers(xp.abs(x) >= smallest, x, xp)


def _refuse_tracing(x: Any) -> None:
    if is_traced(x):
        msg = (
            "reproducible results cannot be traced, by jax.jit or torch.compile; got a traced `x`:"
            " a compiler may fuse a product with a sum, which changes bits"
        )
        raise TypeError(msg)
