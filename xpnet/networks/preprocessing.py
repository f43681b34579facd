"""Preprocessing of the inputs, before the first layer.

It is stored with the weights because a wrong scaling raises no error: a network that classifies
98% of the digits correctly may classify 34% of them if the pixels are 255 times too large.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, as_floating, cast, dtype_before_cast, widest_floating
from xpnet.arrays.transfer import beside, is_numpy, read_only
from xpnet.networks.column_statistics import check_finite, standard_deviations
from xpnet.networks.whitening import Whiten

__all__ = ["STEPS", "Scale", "Standardize", "Step", "Whiten", "arrays_of", "checked_steps"]
__all__ += ["map_arrays", "preprocessed"]


@dataclass(frozen=True, repr=False)
class Scale:
    """Multiply the inputs by a number: ``Scale(1 / 255)`` maps raw bytes to 0..1.

    Parameters
    ----------
    factor : float
        Finite and not zero; otherwise, ValueError is raised.

    Examples
    --------
    >>> Scale(0.5)([2.0, 4.0])
    array([1., 2.])
    >>> Scale(1 / 255)
    Scale(1 / 255)
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", _checked_number(float(self.factor), "factor"))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return x * factor."""
        return apply(self.compute, x)

    def compute(self, x: Any, _: Any) -> Any:
        """Return x * factor for a floating-point `x`."""
        return x * self.factor

    def __repr__(self) -> str:
        inverse = 1.0 / self.factor  # infinite for a subnormal factor
        divisor = round(inverse) if math.isfinite(inverse) else 0
        is_exact = divisor != 0 and 1.0 / divisor == self.factor
        texts = [repr(self.factor), *([f"1 / {divisor}"] if is_exact else [])]
        return f"Scale({min(texts, key=len)})"


@dataclass(frozen=True, eq=False, repr=False)
class Standardize:
    """Subtract a mean and divide by a scale: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : float, or array of shape (n_in,)
        One number for all inputs, or one for each. A network keeps arrays in its own library,
        device and dtype. No scale may be zero.

    Raises
    ------
    TypeError
        If a value is neither a number nor an array of real numbers.
    ValueError
        If an array is not one-dimensional, or a number, or one of a NumPy array, is infinite or
        NaN, or a scale is zero. A network raises it, too, if its dtype is too narrow for the array.

    Examples
    --------
    >>> Standardize(3.0, [0.5, 2.0])([4.0, 1.0])
    array([ 2., -1.])
    """

    mean: Any = 0.0
    scale: Any = 1.0

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            value = getattr(self, name)
            if isinstance(value, int | float):
                value = _checked_number(float(value), name)
            else:
                value, _ = as_floating(value, name)
                if value.ndim != 1:
                    msg = f"`{name}` must have the shape (n_in,); got {tuple(value.shape)}"
                    raise ValueError(msg)
                check_finite(value, name)
                if name == "scale" and is_numpy(value) and not value.all():
                    msg = f"`scale` must not be zero; got 0 for input {abs(value).argmin()}"
                    raise ValueError(msg)
            object.__setattr__(self, name, value)

    @classmethod
    def fit(cls, x: Any, /) -> Self:
        """Return the step that gives each column of training data mean 0 and deviation 1.

        Parameters
        ----------
        x : array of shape (n, ...)
            At least one row of finite real numbers, in memory, of any library. Integers, such as
            raw ``uint8`` pixels, need no conversion. Axes after the first are flattened to columns.

        Returns
        -------
        Standardize
            With the means and standard deviations (divided by n, not n - 1) of the columns, as
            NumPy arrays of float64. A column of equal numbers has the scale 1, and becomes 0.

        Raises
        ------
        TypeError
            If `x` is not an array of real numbers, or is a Dask array.
        ValueError
            If `x` has no rows or no columns, or a number or a sum is infinite or NaN; also if the
            deviation of numbers that differ is 0 or infinite in float64.

        Examples
        --------
        >>> step = Standardize.fit([[1, 7], [3, 7]])
        >>> step.mean, step.scale
        (array([2., 7.]), array([1., 1.]))
        """
        return cls(*standard_deviations(x))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) / scale."""

        def compute(y: Any, xp: Any) -> Any:
            return map_arrays(self, lambda value: beside(value, y)).compute(y, xp)

        return apply(compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return (x - mean) / scale for floating-point `x` on the device of the arrays."""
        return xp.divide(x - self.mean, self.scale)

    def __repr__(self) -> str:
        parts = (
            f"{name}={value}" if isinstance(value, float) else f"{value.shape[0]} {name}s"
            for name, value in (("mean", self.mean), ("scale", self.scale))
        )
        return f"Standardize({', '.join(parts)})"


Step: TypeAlias = Scale | Standardize | Whiten

# Files refer to steps by these keys; other names are rejected.
STEPS: Mapping[str, type[Step]] = MappingProxyType(
    {"scale": Scale, "standardize": Standardize, "whiten": Whiten}
)


def arrays_of(step: Step, /) -> dict[str, Any]:
    """Return the arrays of a step by name."""
    parameters = {field.name: getattr(step, field.name) for field in fields(step)}
    return {name: value for name, value in parameters.items() if not isinstance(value, float)}


def map_arrays(step: Step, convert: Callable[[Any], Any], /) -> Step:
    """Return the step with each of its arrays converted."""
    return replace(step, **{name: convert(x) for name, x in arrays_of(step).items()})


def checked_steps(steps: Sequence[Any], weight: Any) -> tuple[Step, ...]:
    """Return steps that suit a network's first weight, with arrays beside it and of its dtype."""
    n_in = weight.shape[0]
    for step in steps:
        if not isinstance(step, Step):
            msg = f"`preprocessing` must be steps such as Scale; got {type(step).__name__}"
            raise TypeError(msg)
        for name, x in arrays_of(step).items():
            if tuple(x.shape) != (n_in,) * x.ndim:
                rule = f"must have one {name} for each of {n_in} inputs"
                msg = f"`preprocessing` {rule}; got the shape {tuple(x.shape)}"
                raise ValueError(msg)
    return tuple(map_arrays(step, lambda x: read_only(beside(x, weight))) for step in steps)


def preprocessed(steps: Sequence[Step], x: Any, dtype: Any, xp: Any) -> Any:
    """Return rows that need no check, preprocessed in the wider dtype and cast to the network's."""
    if steps:
        before = dtype_before_cast(x.dtype, dtype, xp)
        if before == xp.float64:  # of integers: the device may have none
            before = widest_floating(x, xp)
        x = cast(x, before, xp)
        for step in steps:
            x = step.compute(x, xp)
    return cast(x, dtype, xp)


def _checked_number(value: float, name: str) -> float:
    """Return `value`; raise ValueError if it is not finite, or is zero and not a mean."""
    rule = "finite" if name == "mean" else "finite and not zero"
    if not math.isfinite(value) or (name != "mean" and value == 0.0):
        msg = f"`{name}` must be {rule}; got {value}"
        raise ValueError(msg)
    return value
