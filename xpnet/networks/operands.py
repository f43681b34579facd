"""Operands of a NumPy network: its parameters, in the forms that take the least time.

They are made at the first use and kept, which is right because a layer keeps read-only copies. All
figures are microseconds of one thread, in float32.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from xpnet.arrays.namespace import array_namespace, dtype_before_cast
from xpnet.networks.dense import Dense
from xpnet.networks.preprocessing import Scale, Step

__all__ = ["Operands", "Triple"]

Triple: TypeAlias = tuple[Any, Any, Callable[[Any, Any], Any]]
"""Weight, bias and activation of a layer: ``activate(y @ weight + bias, xp)``."""

# Factors from this one to 1 may be in the first weight instead of the rows: no weight overflows,
# and what underflows is less than the smallest normal number times the scaled row.
_LEAST_FACTOR = 2.0**-24
# A few rows times a tall weight take less in column-major order: 784 x 50, one row 2.9 -> 1.9 on a
# Zen 4, 3.0 -> 2.3 on a Xeon (model 167), there seven rows 6.8 -> 5.5; 784 x 80 takes more.
_FEW_ROWS, _TALL, _SMALL = 12, 10, 2**16


class Operands:
    """The operands of layers after preprocessing steps, for rows of each dtype."""

    def __init__(self, layers: Sequence[Dense], steps: Sequence[Step]) -> None:
        self._layers, self._steps = layers, steps
        self._weights: dict[float, Any] = {1.0: layers[0].weight}  # by the factor in the first
        self._found: dict[Any, tuple[Sequence[Step], Sequence[Triple]]] = {}

    def for_rows(self, x: Any) -> tuple[Sequence[Step], Sequence[Triple]]:
        """Return the steps to compute for rows, and the triples that follow."""
        key = x.dtype, x.shape[0] <= _FEW_ROWS
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._made(*key)
        return found

    def _made(self, dtype: Any, are_few: bool) -> tuple[Sequence[Step], Sequence[Triple]]:  # noqa: FBT001
        first, *others = self._layers
        factor, steps = self._factor(dtype), self._steps
        if factor != 1.0:
            steps = steps[:-1]
        if factor not in self._weights:
            self._weights[factor] = first.weight * factor
        weights = [self._weights[factor], *(layer.weight for layer in others)]
        triples = []
        for layer, weight in zip(self._layers, weights, strict=True):
            is_tall = weight.size <= _SMALL and layer.n_in >= _TALL * layer.n_out
            form = weight.T.copy().T if are_few and is_tall else weight
            # A row is added to a row in half of the time of a vector: 0.24 for 0.51 on a Xeon.
            triples.append((form, layer.bias[None, :], layer.overwrite))
        return steps, triples

    def _factor(self, dtype: Any) -> float:
        """Return the factor of a last `Scale` that may follow the cast of rows, or 1."""
        own = self._layers[0].weight.dtype
        last = self._steps[-1] if self._steps else None
        if not isinstance(last, Scale) or not _LEAST_FACTOR <= abs(last.factor) <= 1.0:
            return 1.0
        before = dtype_before_cast(dtype, own, array_namespace(self._layers[0].weight))
        return last.factor if before == own else 1.0
