"""Preprocessing of the inputs, before the first layer.

It is stored with the weights because a wrong scaling raises no error: a network that classifies
98% of the digits correctly may classify 34% of them if the pixels are 255 times too large.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from xpnet._typing import ArrayT
from xpnet.arrays.frozen import frozen
from xpnet.arrays.namespace import (
    apply,
    array_namespace,
    as_floating,
    cast,
    library_of,
    limits_of,
    widest_floating,
)
from xpnet.arrays.ranges import (
    PrecisionWarning,
    check_exact,
    dtype_before_cast,
    finite_cast,
    is_wide_integer,
    without_overflow,
)
from xpnet.networks.column_statistics import standard_deviations
from xpnet.networks.whitening import Whiten

__all__ = ["STEPS", "Scale", "Standardize", "Step", "Whiten", "arrays_of", "check_digits"]
__all__ += ["checked_steps", "computed", "map_arrays", "preprocessed"]


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
    >>> Scale(1 / 255), str(Scale(1 / 255))
    (Scale(1 / 255), 'pixels / 255')
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

    def largest(self, sizes: Any) -> Any:
        """Return bounds of the absolute results for inputs of up to these sizes."""
        return sizes * abs(self.factor)

    def __repr__(self) -> str:
        inverse = 1.0 / self.factor  # infinite for a subnormal factor
        divisor = round(inverse) if math.isfinite(inverse) else 0
        is_exact = divisor != 0 and 1.0 / divisor == self.factor
        texts = [repr(self.factor), *([f"1 / {divisor}"] if is_exact else [])]
        return f"Scale({min(texts, key=len)})"

    def __str__(self) -> str:
        factor = repr(self)[6:-1]  # of "Scale(1 / 255)" or "Scale(2.0)"
        return f"pixels{factor[1:]}" if "/" in factor else f"pixels * {factor.removesuffix('.0')}"


@dataclass(frozen=True, eq=False, repr=False)
class Standardize:
    """Subtract a mean and divide by a scale: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : float, or array of shape (n_in,)
        One number for all inputs, or one for each. A network keeps arrays in its own dtype, and
        warns where that loses digits; they must be of its library and device. No scale may be zero.

    Raises
    ------
    TypeError
        If a value is neither a number nor an array of real numbers.
    ValueError
        If an array is not one-dimensional, a number is infinite or NaN, or a scale is zero.

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
            With the means and standard deviations (divided by n, not n - 1) of the columns, in the
            library and on the device of `x`: computed in float64 where the device supports it, else
            in float32. A column of equal numbers has the scale 1, and becomes 0.

        Raises
        ------
        TypeError
            If `x` is not an array of real numbers, or is a Dask array.
        ValueError
            If `x` has no rows or no columns, or a number or a sum is infinite or NaN.

        Examples
        --------
        >>> step = Standardize.fit([[1, 7], [3, 7]])
        >>> step.mean, step.scale
        (array([2., 7.]), array([1., 1.]))
        """
        mean, deviation = standard_deviations(x)
        xp = array_namespace(mean)
        return cls(mean, xp.where(deviation > 0.0, deviation, 1.0))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) / scale."""
        return apply(self.compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return (x - mean) / scale for a floating-point `x`."""
        return cast(xp.divide(x - self.mean, self.scale), x.dtype, xp)

    def largest(self, sizes: Any) -> Any:
        """Return bounds of the absolute results for inputs of up to these sizes."""
        return (sizes + abs(self.mean)) / abs(self.scale)

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
    """Return steps that suit a network's first weight, with their arrays cast to its dtype."""
    n_in = weight.shape[0]
    for step in steps:
        if not isinstance(step, Step):
            msg = f"`preprocessing` must be steps such as Scale; got {type(step).__name__}"
            raise TypeError(msg)
        for name, x in arrays_of(step).items():
            array_namespace(weight, x)
            if tuple(x.shape) != (n_in,) * x.ndim:
                rule = f"must have one {name} for each of {n_in} inputs"
                msg = f"`preprocessing` {rule}; got the shape {tuple(x.shape)}"
                raise ValueError(msg)

    def convert(x: Any) -> Any:
        return frozen(finite_cast(x, weight.dtype, array_namespace(x), "preprocessing"))

    converted = tuple(map_arrays(step, convert) for step in steps)
    for before, after in zip(steps, converted, strict=True):
        _warn_of_rounded_mean(before, after)
    return converted


def _warn_of_rounded_mean(before: Step, after: Step) -> None:
    """Warn if the cast of a NumPy mean costs results of about 1 half of their digits: sqrt(eps)."""
    if isinstance(before, Scale) or isinstance(after, Scale) or isinstance(before.mean, float):
        return
    if library_of(before.mean) != "numpy" or before.mean.dtype == after.mean.dtype:
        return
    shift = float(replace(before, mean=before.mean - after.mean).largest(0.0).max())
    if shift > math.sqrt(limits_of(after.mean.dtype, array_namespace(after.mean)).eps):
        msg = (
            f"means of the preprocessing are rounded to {after.mean.dtype}, which shifts its"
            f" results by up to {shift:.2g}: use layers of float64, or subtract a constant from the"
            " inputs first"
        )
        warnings.warn(msg, PrecisionWarning, stacklevel=4)


def preprocessed(steps: Sequence[Step], x: Any, dtype: Any, xp: Any) -> Any:
    """Return rows that need no check, preprocessed and cast to a network's dtype.

    In NumPy, RangeError is raised if a number overflows, or as by `check_digits`.
    """
    before = dtype_before_cast(x.dtype, dtype, xp)
    if before == dtype and not steps:
        return cast(x, dtype, xp)
    if is_wide_integer(x.dtype, xp):
        check_digits(steps, x, xp)
        before = widest_floating(x, xp)

    def compute() -> Any:
        return cast(computed(steps, cast(x, before, xp), xp, is_new=x.dtype != before), dtype, xp)

    is_mixed = any(isinstance(step, Whiten) for step in steps)
    return without_overflow(compute, x, xp, dtype, is_mixed=is_mixed)


def computed(steps: Sequence[Step], y: Any, xp: Any, *, is_new: bool) -> Any:
    """Return floating-point rows, which may be overwritten if they are new, after all steps."""
    for step in steps:
        if is_new and isinstance(step, Scale):
            y *= step.factor
        else:
            y = step.compute(y, xp)
        is_new = True
    return y


def check_digits(steps: Sequence[Step], x: Any, xp: Any) -> None:
    """Raise RangeError if float64 would round NumPy integers before a mean is subtracted."""
    if not all(isinstance(step, Scale) for step in steps):
        check_exact(x, xp)


def _checked_number(value: float, name: str) -> float:
    """Return `value`; raise ValueError if it is not finite, or is zero and not a mean."""
    is_divisor = name != "mean"
    if not math.isfinite(value) or (is_divisor and value == 0.0):
        msg = f"`{name}` must be finite{' and not zero' if is_divisor else ''}; got {value}"
        raise ValueError(msg)
    return value
