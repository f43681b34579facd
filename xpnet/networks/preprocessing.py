"""What is done to the inputs before the first layer.

Preprocessing is stored with the weights, because a wrong scaling fails silently: the same
network that is right on 98% of the digits can be right on 34% of them when the pixels it is
given are 255 times too large.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_floating

__all__ = ["STEPS", "Scale", "Standardize", "Step", "arrays_of", "map_arrays"]


@dataclass(frozen=True)
class Scale:
    """Multiply the inputs by a number: ``Scale(1 / 255)`` takes raw bytes to 0..1.

    Parameters
    ----------
    factor : float
        Finite and not zero.

    Raises
    ------
    ValueError
        If `factor` is zero, infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> Scale(0.5)(np.asarray([2.0, 4.0]))
    array([1., 2.])
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", _divisor(float(self.factor), "factor"))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return x * factor."""
        return apply(self.compute, x)

    def compute(self, x: Any, _xp: Any) -> Any:
        """Return x * factor for a floating `x`: the mathematics."""
        return x * self.factor


@dataclass(frozen=True, eq=False, repr=False)
class Standardize:
    """Subtract a mean and divide by a scale: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : float, or array of shape (n_in,)
        For all inputs, or one for each. Arrays are of the library and device of the network's
        weights, and are kept in its dtype. No scale is zero.

    Raises
    ------
    TypeError
        If one is neither a number nor an array of real numbers.
    ValueError
        If an array has another number of dimensions than 1; or a number is infinite, NaN, or a
        scale of zero.

    Examples
    --------
    >>> import numpy as np
    >>> Standardize(3.0, np.asarray([0.5, 2.0]))(np.asarray([4.0, 1.0]))
    array([ 2., -1.])
    """

    mean: Any = 0.0
    scale: Any = 1.0

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            value = getattr(self, name)
            if isinstance(value, int | float):
                check = _divisor if name == "scale" else _finite
                value = check(float(value), name)
            else:
                value, _ = as_floating(value, name)
                if value.ndim != 1:
                    msg = f"`{name}` must have the shape (n_in,); got {tuple(value.shape)}"
                    raise ValueError(msg)
            object.__setattr__(self, name, value)

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) / scale."""
        return apply(self.compute, x)

    def compute(self, x: Any, _xp: Any) -> Any:
        """Return (x - mean) / scale for a floating `x`: the mathematics."""
        return (x - self.mean) / self.scale

    def __repr__(self) -> str:
        shown = (
            f"{name}={value}" if isinstance(value, float) else f"{value.shape[0]} {name}s"
            for name, value in (("mean", self.mean), ("scale", self.scale))
        )
        return f"Standardize({', '.join(shown)})"


Step: TypeAlias = Scale | Standardize

# A file can name these steps, and no other code.
STEPS: Mapping[str, type[Step]] = MappingProxyType({"scale": Scale, "standardize": Standardize})


def arrays_of(step: Step, /) -> dict[str, Any]:
    """Return what a step has of arrays, by name."""
    parameters = {field.name: getattr(step, field.name) for field in fields(step)}
    return {name: value for name, value in parameters.items() if not isinstance(value, float)}


def map_arrays(step: Step, convert: Callable[[Any], Any], /) -> Step:
    """Return the step with each of its arrays converted."""
    return replace(step, **{name: convert(x) for name, x in arrays_of(step).items()})


def _divisor(value: float, name: str) -> float:
    if not math.isfinite(value) or value == 0.0:
        msg = f"`{name}` must be finite and not zero; got {value}"
        raise ValueError(msg)
    return value


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        msg = f"`{name}` must be finite; got {value}"
        raise ValueError(msg)
    return value
