"""Plan of a NumPy network: functions and bounds that it keeps for later calls.

The parameters of a NumPy network cannot change, so a plan is made once, at the first use. In it,
the preprocessing is folded into the first layer, weights are in the memory order that is fastest
for a number of rows, and activations overwrite their arguments. No sum of a layer is inspected: the
size of the inputs proves that none overflows.
"""

import math
import operator
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from xpnet.arrays.cpu.blocked_matmul import FrozenAffine, rows_on_one_thread
from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.frozen import freeze, is_frozen
from xpnet.arrays.namespace import array_namespace, limits_of, without_warnings
from xpnet.arrays.ranges import dtype_before_cast
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.dtype_constants import constants_of
from xpnet.networks.dense import Dense
from xpnet.networks.folding import LARGEST, folded_layer
from xpnet.networks.preprocessing import Scale, Step, Whiten, check_digits, computed, preprocessed

__all__ = ["Plan", "plan_of"]

_LARGEST_BYTE = 255.0
# Sizes of inputs for which a proof is tried: hardly any row exceeds the first.
_SIZES = (LARGEST, 2.0**40, 2.0**20)
# Larger weights are bounded by their largest number instead of the sums of their columns, and not
# copied with the opposite sign.
_SMALL = 2**18
# Few rows: in one piece, in less than about half a millisecond.
_FEW_ROWS, _FEW_WORK = 2**10 - 1, 2 * 10**7

_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child has no other thread that could release it
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


def plan_of(layers: Sequence[Dense], steps: Sequence[Step], kept: dict[str, Any]) -> "Plan | None":
    """Return ``kept["plan"]``, made once; None unless all arrays are frozen, of 32 or 64 bits."""
    with _LOCK:
        if "plan" not in kept:
            weight, xp = layers[0].parameters[0], array_namespace(layers[0].weight)
            is_usual = all(is_frozen(x) for layer in layers for x in layer.parameters)
            is_usual = is_usual and weight.dtype.isnative and limits_of(weight.dtype, xp).bits >= 32
            kept["plan"] = Plan(layers, steps) if is_usual else None
        plan: Plan | None = kept["plan"]
        return plan


class _Layer(NamedTuple):
    """A layer as functions, and the numbers that bound its sums.

    `activate`, None for the identity, may overwrite the sums. It gives no warnings for numbers of
    up to `calm` in size, and results of up to ``largest(size)`` for numbers of up to a size.
    """

    affine: FrozenAffine
    activate: Callable[[Any], Any] | None
    weights: float  # the largest sum of the absolute weights of a unit
    bias: float
    largest: Callable[[float], float]
    calm: float


class Plan:
    """The layers of a NumPy network as functions of rows, and the steps that are not folded."""

    def __init__(self, layers: Sequence[Dense], steps: Sequence[Step]) -> None:
        keep_freed_memory()
        self._xp = xp = array_namespace(layers[0].weight)
        self.dtype, self.n_in, self._given = layers[0].weight.dtype, layers[0].n_in, steps
        # Numbers of a wider dtype than the network's may be cast first if they only get smaller.
        self._shrinks = all(isinstance(x, Scale) and abs(x.factor) <= 1.0 for x in steps)
        self._operands: dict[int, list[Any]] = {}
        most = float(limits_of(self.dtype, xp).max) / 4.0
        with without_warnings():
            first = folded_layer(steps, layers[0])
            self._steps = steps if first is None else ()
            self._layers = [_planned(x, xp) for x in (first or layers[0], *layers[1:])]
            numbers = xp.full(self.n_in, _LARGEST_BYTE)
            for step in self._steps:
                numbers = step.largest(numbers)
            usual = float(xp.max(numbers))
            sums = _sums(self._layers, usual)
            self._takes_bytes = max(sums) < most
            # Sizes, sums of squares, of rows up to which no sum overflows, and no exponential.
            fitting = (x * x for x in _SIZES if max(_sums(self._layers, x)) < most)
            self._size_of_bytes, self._limit, self._calm = usual * usual, next(fitting, -1.0), -1.0
        calm = [layer.calm for layer in self._layers]
        if all(map(operator.le, sums, calm)):
            self._calm = self._size_of_bytes if min(calm) < math.inf else math.inf
        #: Largest number of rows to compute in one piece.
        self.few_rows = min(_FEW_ROWS, _FEW_WORK // sum(layer.weight.size for layer in layers))
        #: Number of rows up to which BLAS uses one thread for each matrix product.
        self.rows_on_one_thread = min(rows_on_one_thread(layer.weight) for layer in layers)
        if any(isinstance(step, Whiten) for step in self._steps):
            self.rows_on_one_thread = 0

    def outputs(self, x: Any) -> Any | None:
        """Return the outputs for rows that need no check; None if a sum might overflow.

        None is also returned for rows that must be preprocessed in another dtype, though the steps
        are folded. RangeError is raised as by `preprocessed`.
        """
        if x.itemsize == 1 and self._takes_bytes:
            y, size = x.astype(self.dtype), self._size_of_bytes
            if self._steps:
                y = computed(self._steps, y, self._xp, is_new=True)
        else:
            y = self._preprocessed(x)
            if y is None:
                return None
            size = float(self._xp.vdot(y, y))
            if not size <= self._limit:  # not true for NaN
                return None
            y = y.astype(self.dtype, copy=False)
        if size <= self._calm:
            return self._results(y)
        with without_warnings():
            return self._results(y)

    def _preprocessed(self, x: Any) -> Any | None:
        """Return rows for the first layer; floating-point numbers may still have to be cast."""
        if self._steps:
            return preprocessed(self._steps, x, self.dtype, self._xp)
        if not self._shrinks and dtype_before_cast(x.dtype, self.dtype, self._xp) != self.dtype:
            return None
        if x.dtype.kind == "f" and x.dtype.itemsize >= self.dtype.itemsize:
            return x
        check_digits(self._given, x, self._xp)
        return x.astype(self.dtype)

    def _results(self, y: Any) -> Any:
        n_rows = len(y)
        operands = self._operands.get(n_rows)
        if operands is None:
            operands = [(*x.affine.operands(n_rows), x.activate) for x in self._layers]
            if n_rows <= _FEW_ROWS:  # the choice is kept
                self._operands[n_rows] = operands
        for weight, multiply, bias, activate in operands:
            y = y.dot(weight) if multiply is None else multiply(y)
            y += bias
            if activate is not None:
                y = activate(y)
        return y


def _sums(layers: Sequence[_Layer], size: float) -> list[float]:
    """Return bounds of the sums of each layer, and of the results, for inputs of up to a size."""
    sums = []
    for layer in layers:
        size = size * layer.weights + layer.bias
        sums.append(min(math.inf, size))  # inf for NaN
        size = layer.largest(size)
    return [*sums, size]


def _planned(layer: Dense, xp: Any) -> _Layer:
    (weight, bias), activation = layer.parameters, ACTIVATIONS[layer.activation]
    affine: Any = layer.stage.product  # of a frozen weight
    activate = None if activation.name == "identity" else layer.overwrite
    calm = constants_of(weight, xp).safe_exponent if activation.is_opposite else math.inf
    if weight.size > _SMALL:
        largest = layer.n_in * max(float(xp.max(weight)), -float(xp.min(weight)))
    else:
        rounding = layer.n_in * float(xp.finfo(weight.dtype).eps)
        largest = (1.0 + rounding) * float(xp.max(xp.sum(xp.abs(weight), axis=0)))
        if activation.overwriting is not None and activation.is_opposite:
            affine = FrozenAffine(freeze(-weight), freeze(-bias))
            activate = activation.overwriting(xp, weight.dtype)
    bound = partial(activation.largest, xp=xp, **layer.options)
    return _Layer(affine, activate, largest, float(xp.max(xp.abs(bias))), bound, calm)
