"""Faults: computations that are not what the network says, and results that are elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from power.right import Step, activate, compute, stages_of
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.parity.bounds.rounding import in_float64
from xpnet.parity.candidates import on_backend
from xpnet.testing.backend_choice import unavailable_reason
from xpnet.testing.backends import open_backend

__all__ = ["PARAMETER", "Fault", "faults_of", "faults_of_place", "parameter_fault", "rule_fault"]

_Matrix = NDArray[Any]
_Rng = np.random.Generator

PARAMETER = "one parameter"
_STRICT = "array-api-strict:device1"
# What is easily taken for one another: the next of its family takes an activation's place.
_FAMILIES = (
    ("sigmoid", "tanh", "erf", "softsign"),
    ("hard_sigmoid", "sparse_sigmoid"),
    ("hard_tanh", "identity"),
    ("relu", "leaky_relu", "linear"),
    ("relu6", "sparse_plus"),
    ("elu", "celu", "selu"),
    ("silu", "mish", "hard_silu"),
    ("softplus", "squareplus", "exponential"),
    ("softmax", "sparsemax"),
    ("log_softmax", "log_sigmoid"),
    ("hard_shrink", "soft_shrink", "tanh_shrink"),
    ("threshold", "step"),
)
_NEXT = {x: y for family in _FAMILIES for x, y in zip(family, family[1:] + family[:1], strict=True)}
# So many terms are added before the sum is rounded to float16.
_BLOCK = 32


@dataclass(frozen=True)
class Fault:
    """A faulty computation; in float64 it shows what the fault does apart from rounding.

    Attributes
    ----------
    name : str
    network : Network
        With the faulty parameters or activation, if it is that.
    places : tuple of int
        The faulty layers, from 1.
    step : Step
        How these are computed.
    exponent : int or None
        Of a parameter that is off by ``2**-exponent`` of itself.
    """

    name: str
    network: Network
    places: tuple[int, ...]
    step: Step = compute
    exponent: int | None = None

    @cached_property
    def exact_network(self) -> Network:
        """The network in float64."""
        return in_float64(self.network)

    def stages(self, rows: _Matrix, *, exactly: bool = False) -> list[_Matrix]:
        """Return the results of all stages: in the network's precision, or in float64."""
        network = self.exact_network if exactly else self.network
        numbers = range(1, len(network.layers) + 1)
        steps = [self.step if i in self.places else compute for i in numbers]
        return stages_of(network, rows, steps)


def faults_of(network: Network, rng: _Rng) -> Iterator[Fault]:
    """Yield faults of the kinds that wrong libraries and wrong ports have, where they fit."""
    everywhere = tuple(range(1, len(network.layers) + 1))
    yield Fault("TF32-rounded inputs", network, everywhere, _with_tf32)
    yield Fault("float16 accumulation", network, everywhere, _with_float16_sums)
    shapes = [(layer.n_in, layer.n_out) for layer in network.layers]
    squares = [i for i, (n_in, n_out) in enumerate(shapes, start=1) if n_in == n_out > 1]
    if squares:
        i = int(rng.choice(squares))
        weight = network.layers[i - 1].weight.T.copy()
        yield Fault("transposed square weight", _changed(network, i, weight=weight), (i,))
    i = int(rng.choice(everywhere))
    yield Fault("swapped activation", _swapped(network, i), (i,))


def parameter_fault(network: Network, rng: _Rng, i: int, exponent: int) -> Fault | None:
    """Return a fault of ``2**-exponent`` of itself in a weight or bias of layer i, from 1.

    None if there is nothing but zeros.
    """
    kind = str(rng.choice(["weight", "bias"]))
    values = getattr(network.layers[i - 1], kind).copy()
    places = np.flatnonzero(values)
    if not len(places):
        return None
    with np.errstate(over="ignore"):
        values.flat[rng.choice(places)] *= 1.0 + 2.0**-exponent
    return Fault(PARAMETER, _changed(network, i, **{kind: values}), (i,), exponent=exponent)


def rule_fault(network: Network, rng: _Rng) -> tuple[Network, _Matrix, Fault]:
    """Return a network, rows, and a fault: a wrong rule for NaN or an infinity somewhere in it."""
    activation, wrong, value = _RULES[rng.integers(len(_RULES))]
    # An infinity is NaN behind a layer, for it meets weights of both signs, or zeros.
    i = 1 if np.isinf(value) else int(rng.integers(len(network.layers))) + 1
    rows = rng.normal(size=(3, network.n_in)).astype(np.float32)
    rows[1, rng.integers(network.n_in)] = value
    rows[2, rng.integers(network.n_in)] = -value
    meant = _changed(network, i, activation=activation, options={})

    def step(layer: Dense, y: _Matrix) -> _Matrix:
        z = y @ layer.weight + layer.bias
        return wrong(z).astype(z.dtype)

    return meant, rows, Fault("wrong rule for NaN or inf", meant, (i,), step)


# The activation, a formula that is right for all but one value, and that value.
_RULES: tuple[tuple[str, Callable[[_Matrix], _Matrix], float], ...] = (
    ("relu", lambda z: np.where(z > 0, z, np.zeros_like(z)), np.nan),
    ("hard_tanh", lambda z: np.fmin(np.fmax(z, -1), 1), np.nan),
    ("sigmoid", lambda z: 1 / (1 + np.exp(-np.nan_to_num(z))), np.nan),
    ("relu", lambda z: z * (z > 0), np.inf),
)


def faults_of_place(layer: Dense) -> Iterator[tuple[str, Network, AbstractContextManager[None]]]:
    """Yield by name a network of one layer, and a context in which its results are elsewhere."""
    here = Network([layer])
    yield "result in float64", here, _changing(layer, lambda y: y.astype(np.float64))
    if unavailable_reason(_STRICT) is None:
        there = on_backend(here, open_backend(_STRICT))
        host = open_backend("array-api-strict").device
        yield "result on the wrong device", there, _changing(layer, lambda y: y.to_device(host))
        yield "result of the wrong library", there, _changing(layer, to_numpy)


@contextmanager
def _changing(layer: Dense, change: Callable[[Any], Any]) -> Iterator[None]:
    """Change what the activation of the layer gives, but for the float64 reference."""
    row = ACTIVATIONS[layer.activation]

    def changed(z: Any, xp: Any, **options: Any) -> Any:
        y = row.function(z, xp, **options)
        return y if str(z.dtype).endswith("float64") else change(y)

    table = {layer.activation: replace(row, function=changed)}
    with mock.patch("xpnet.networks.network.ACTIVATIONS", table):
        yield


def _changed(network: Network, i: int, **fields: Any) -> Network:
    """Return the network with fields of layer i, from 1, replaced."""
    layers = list(network.layers)
    layers[i - 1] = replace(layers[i - 1], **fields)
    return replace(network, layers=tuple(layers))


def _swapped(network: Network, i: int) -> Network:
    layer = network.layers[i - 1]
    if layer.activation == "gelu":
        other = "tanh" if layer.options["approximate"] == "none" else "none"
        return _changed(network, i, options={"approximate": other})
    return _changed(network, i, activation=_NEXT[layer.activation], options={})


def _with_tf32(layer: Dense, y: _Matrix) -> _Matrix:
    return activate(layer, _to_tf32(y) @ _to_tf32(layer.weight) + layer.bias)


def _to_tf32(x: _Matrix) -> _Matrix:
    """Return x with 10 bits behind the first one, as tensor cores take their operands."""
    digits, exponent = np.frexp(x)
    return np.ldexp(np.rint(digits * 2**11) / 2**11, exponent).astype(x.dtype)


def _with_float16_sums(layer: Dense, y: _Matrix) -> _Matrix:
    total = np.zeros((len(y), layer.n_out), np.float16)
    for start in range(0, layer.n_in, _BLOCK):
        block = y[:, start : start + _BLOCK] @ layer.weight[start : start + _BLOCK]
        total = (total + block).astype(np.float16)
    return activate(layer, total.astype(y.dtype) + layer.bias)
