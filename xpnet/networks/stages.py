"""Layers prepared for computation: functions for their library and dtype, fused on a GPU."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from xpnet.arrays.cpu.blocked_matmul import affine
from xpnet.arrays.gpu.fusion import with_bias
from xpnet.arrays.namespace import array_namespace
from xpnet.functions.activations import ACTIVATIONS

if TYPE_CHECKING:
    from xpnet.networks.dense import Dense

__all__ = ["Stage", "stage_of"]


class Stage(NamedTuple):
    """A layer as functions.

    `product` maps x to x @ weight + bias, and `activate(product, xp)` gives the layer's results.
    With a `fused_bias`, `activate` adds it instead of `product`, so one kernel reads and writes
    a GPU's memory once. `activation` never adds a bias.
    """

    product: Callable[[Any], Any]
    activate: Callable[[Any, Any], Any]
    activation: Callable[[Any, Any], Any]
    fused_bias: Any = None


def stage_of(layer: "Dense") -> Stage:
    """Return a layer as functions that need no further look-ups."""
    weight, bias, activation = layer.weight, layer.bias, ACTIVATIONS[layer.activation]
    xp = array_namespace(weight)
    activate = activation.prepared(xp, weight.dtype, **layer.options)
    if activation.is_elementwise:
        fused = with_bias(activate, bias, xp)
        if fused is not None:
            return Stage(lambda x: x @ weight, fused, activate, bias)
    return Stage(affine(weight, bias), activate, activate)
