"""Overflow in casts between floating-point dtypes: detection and avoidance."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.frozen import freeze
from xpnet.arrays.namespace import cast, is_kind, limits_of, without_warnings

__all__ = [
    "PrecisionWarning",
    "RangeError",
    "are_finite",
    "check_exact",
    "counting_from",
    "dtype_before_cast",
    "finite_cast",
    "is_wide_integer",
    "wider_dtypes",
    "without_overflow",
]

# float64 holds all integers up to this size.
_LARGEST_EXACT = 2**53


class PrecisionWarning(RuntimeWarning):
    """Parameters of the preprocessing lose digits that its results need."""


class RangeError(ValueError):
    """A finite input `value` that a network cannot take; row and column count from 0.

    It overflows in `dtype`, or is an integer that float64 would round before a mean is subtracted.
    """

    def __init__(self, value: Any, row: int, column: int, dtype: str) -> None:
        super().__init__(value, row, column, dtype)
        self.value, self.row, self.column, self.dtype = value, row, column, dtype

    def __str__(self) -> str:
        wider = self.wider_dtype
        remedy = "scale the inputs"
        if wider is not None:
            remedy = f"compute in network.astype({wider!r}), or scale the inputs"
        return (
            f"each input must be {self.rule}; got {self.value} in row {self.row}, column"
            f" {self.column} (counted from 0): {remedy}"
        )

    @property
    def rule(self) -> str:
        """The rule for an input."""
        if isinstance(self.value, np.integer) and self.dtype == "float64":
            return "an integer of at most 2^53 in size, where a mean is subtracted"
        return f"a number that the preprocessing leaves finite in {self.dtype}"

    @property
    def wider_dtype(self) -> str | None:
        """The narrowest dtype in which the input is finite, or None."""
        size = float(abs(self.value))
        fitting = (x for x in wider_dtypes(self.dtype) if size <= float(np.finfo(x).max))
        return next(fitting, None)


def wider_dtypes(name: str) -> Iterator[str]:
    """Yield the names of the dtypes with a wider range, the narrowest first."""
    if name == "float16":
        yield "float32"
    if name != "float64":  # the range of float32 is hardly wider than that of bfloat16
        yield "float64"


@contextmanager
def counting_from(first_row: int) -> Iterator[None]:
    """Add `first_row` to the row of a RangeError."""
    try:
        yield
    except RangeError as error:
        row = first_row + error.row
        raise RangeError(error.value, row, error.column, error.dtype) from None


@cache
def dtype_before_cast(given: Any, dtype: Any, xp: Any) -> Any:
    """Return the dtype in which inputs are preprocessed before they are cast to `dtype`.

    This is `given`, the dtype of the inputs, if its range is wider than that of the floating-point
    `dtype`: values that overflow in the cast may fit after scaling. Integers of 32 and 64 bits are
    preprocessed in float64, since float32 would round them before a mean is subtracted; smaller
    ones with a wider range than float16 are preprocessed in float32.
    """
    if given == dtype:
        return dtype
    largest = float(limits_of(dtype, xp).max)
    if is_wide_integer(given, xp):
        return xp.float64
    if is_kind(given, xp, "integral"):
        return xp.float32 if xp.iinfo(given).max > largest else dtype
    is_wider = is_kind(given, xp, "real floating") and float(limits_of(given, xp).max) > largest
    return given if is_wider else dtype


@cache
def is_wide_integer(dtype: Any, xp: Any) -> bool:
    """Return whether integers of a dtype have more digits than float32 holds: 32 or 64 bits."""
    return is_kind(dtype, xp, "integral") and xp.iinfo(dtype).max >= 2**31 - 1


def are_finite(y: NDArray[Any]) -> bool:
    """Return whether the sum of squares is finite; if it is, all numbers are finite.

    This is faster than a check of each number, and `numpy.vdot` does not warn.
    """
    return math.isfinite(np.vdot(y, y))


def check_exact(x: Any, xp: Any) -> None:
    """Raise RangeError if NumPy rows hold an integer that float64 would round."""
    if xp is not np or x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return
    x = np.atleast_2d(x)
    is_lost = (x > _LARGEST_EXACT) | (x < -_LARGEST_EXACT)
    if is_lost.any():
        row, column = (int(indices[0]) for indices in np.nonzero(is_lost))
        raise RangeError(x[row, column], row, column, "float64")


def without_overflow(
    compute: Callable[[], Any], x: Any, xp: Any, dtype: Any, *, is_mixed: bool = False
) -> Any:
    """Return ``compute()``, the preprocessed rows `x` of shape (..., n_in) in `dtype`.

    Raise RangeError if a result is infinite or NaN although its inputs (a NumPy array) are finite.
    If `is_mixed`, a result depends on the whole row instead of one input. NumPy detects overflow at
    no cost, by a flag of the processor, but not in products computed by threads of BLAS. Values of
    other libraries are not inspected.
    """
    if xp is not np:
        return compute()
    try:
        with np.errstate(over="raise", invalid="ignore"):  # of infinite inputs
            y = compute()
        if not is_mixed or are_finite(y):
            return y
    except FloatingPointError as error:
        if "overflow" not in str(error):  # raised by the caller's own errstate
            raise
    with without_warnings():
        y = compute()
    # BLAS may set the flag without an overflow.
    x = np.atleast_2d(x)
    is_lost = ~np.isfinite(np.atleast_2d(y)) & np.isfinite(x).all(axis=1, keepdims=True)
    rows = np.flatnonzero(is_lost.any(axis=1))
    if len(rows):
        row = int(rows[0])
        # The largest input contributes most to all results.
        places = np.abs(x[row].astype(np.float64)) if is_mixed else is_lost[row]
        column = int(np.argmax(places))
        raise RangeError(x[row, column], row, column, np.dtype(dtype).name)
    return y


def finite_cast(x: Any, dtype: Any, xp: Any, name: str) -> Any:
    """Return `x` in a dtype; raise ValueError if a finite number of a NumPy array overflows."""
    if xp is not np:
        return cast(x, dtype, xp)
    try:
        with np.errstate(all="ignore", over="raise"):
            y = cast(x, dtype, xp)
        return y if y is x else freeze(y)
    except FloatingPointError:
        largest = np.max(np.abs(x), where=np.isfinite(x), initial=0.0)
        msg = f"`{name}` must be finite in {np.dtype(dtype).name}; got numbers up to {largest}"
        raise ValueError(msg) from None
