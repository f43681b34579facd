"""Allowed errors of results in comparison with float64, and messages about larger ones."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation, ulp

__all__ = ["Tolerance"]

_Array = NDArray[Any]


@dataclass(frozen=True)
class Tolerance:
    """Tolerance of `parity`, by its options, for a call with some NumPy arrays."""

    bound: Any = None
    rtol: Any = None
    atol: Any = None
    compare: Callable[[Any], Any] | None = None
    n: int = 1  # the smallest count of the default bound
    arrays: list[_Array] = field(default_factory=list)
    is_rounded: bool = False  # whether float64 arguments were rounded to float32

    def __post_init__(self) -> None:
        if self.bound is not None and (self.rtol, self.atol) != (None, None):
            msg = "`bound` and `rtol` or `atol` must not both be given; got both"
            raise TypeError(msg)
        for name, value in {"bound": self.bound, "rtol": self.rtol, "atol": self.atol}.items():
            numbers = np.asarray(0 if value is None else value)
            if numbers.dtype.kind not in "iuf" or (numbers.ndim and name != "bound"):
                msg = f"`{name}` must be a number, or an array as `bound`; got {value!r}"
                raise TypeError(msg)
            if not np.all(numbers >= 0) or (isinstance(value, float) and math.isinf(value)):
                msg = f"`{name}` must be 0 or more, and a single number finite; got {value!r}"
                raise ValueError(msg)
        if not (self.compare is None or callable(self.compare)):
            msg = f"`compare` must be a function of an array; got {self.compare!r}"
            raise TypeError(msg)

    def allowed_error(self, exact: _Array, dtype: str) -> tuple[_Array, str]:
        """Return the largest allowed error of each number of a result, and its origin in words.

        `exact` is the result in float64, `dtype` that of the result on a device. If the shape of
        absolute errors does not fit the result, raise ValueError.
        """
        info = np.finfo(dtype)
        eps, tiny = float(info.eps), float(info.smallest_normal)
        if isinstance(self.bound, np.ndarray | list | tuple):
            factor = (
                float(np.finfo("float32").eps / np.finfo("float64").eps) if self.is_rounded else 1.0
            )
            errors = np.asarray(self.bound, np.float64) * factor + tiny
            try:
                errors = np.broadcast_to(errors, exact.shape)
            except ValueError:
                msg = f"`bound` must fit the result's shape {exact.shape}; got shape {errors.shape}"
                raise ValueError(msg) from None
            return errors, f"`bound`{f' times {factor:g}, for lack of float64' * self.is_rounded}"
        if self.bound is not None:
            return self.bound * spacing(exact, dtype) + tiny, f"{self.bound:g} ULP of {dtype}"
        if self.rtol is not None or self.atol is not None:
            rtol, atol = max(self.rtol or 0.0, 4.0 * eps), self.atol or 0.0
            words = f"atol + rtol * |expected|, rtol = {rtol:.3g}, atol = {atol:.3g}"
            return atol + rtol * np.abs(np.nan_to_num(exact)) + tiny, words
        # Integers beside floating-point arrays, such as indices, do not determine the size of what
        # is rounded.
        floating = [x for x in self.arrays if x.dtype.kind in "fc"] or self.arrays
        longest = max(self.n, 1, *exact.shape, *(n for x in self.arrays for n in x.shape))
        # Of a sum over several axes, each result is made of more numbers than that.
        per_result = max((x.size // max(1, exact.size) for x in self.arrays), default=1)
        # Rounding errors of n operations: Higham and Mary, DOI 10.1137/18M1226312.
        n = max(longest, per_result)
        scale = max(float(np.max(_sizes(x), initial=0.0)) for x in (*floating, exact))
        word = "the longest axis" if longest >= per_result else "numbers of each result"
        words = f"8 * sqrt(n) * eps * scale, n = {n} ({word}), eps = {eps:.3g}, scale = {scale:g}"
        return np.full(exact.shape, 8 * math.sqrt(n) * eps * scale + tiny), words

    def coarseness(self, exact: _Array, dtype: str) -> str | None:
        """Return words about a default bound that detects gross faults only."""
        error, words = self.allowed_error(exact, dtype)
        if not words.startswith("8 *") or not np.any(sizes := _sizes(exact)):
            return None
        largest = float(error.flat[0]) - float(np.finfo(dtype).smallest_normal)
        # float16 has few digits: a tenth is not unusual there.
        is_coarse = np.median(sizes[sizes > 0]) < largest * min(
            10.0, 1 / 512 / float(np.finfo(dtype).eps)
        )
        return f"{largest:.3g} ({words})" if is_coarse else None

    def fault(self, values: _Array, exact: _Array, dtype: str) -> str | None:
        """Return a message about the largest deviation of a result; None if all are allowed."""
        if self.compare is not None:
            values, exact = np.asarray(self.compare(values)), np.asarray(self.compare(exact))
        if values.shape != exact.shape:
            return f"is wrong: `compare` gives shape {values.shape} instead of {exact.shape}"
        kinds = {values.dtype.kind, exact.dtype.kind}
        if kinds.isdisjoint("fc"):  # integers and booleans
            bound, words = np.zeros(exact.shape), ""
            found = deviation((values != exact) * 1.0, bound, bound)
        else:
            wide: Any = np.complex128 if "c" in kinds else np.float64
            values, exact = np.asarray(values, wide), np.asarray(exact, wide)
            bound, words = self.allowed_error(exact, dtype)
            with np.errstate(all="ignore"):
                overflows = np.abs(exact) + bound > float(np.finfo(dtype).max)
                # The direction of a complex infinity depends on the library.
                is_aligned = (np.sign(values) == np.sign(exact)) | (wide is np.complex128)
            allowed = np.where(np.isinf(values) & is_aligned & overflows, np.inf, bound)
            allowed = np.where(np.isnan(values) == np.isnan(exact), allowed, 0.0)
            found = deviation(values, exact, allowed)
        if not found.n_exceeding:
            return None
        worst = found.worst
        message = (
            f"is wrong: {found.n_exceeding} of {values.size} values out of bound, the worst"
            f"{f' at {list(worst)}' * bool(worst)}: {values[worst]} instead of {exact[worst]}"
        )
        if not words:
            return message
        off = np.abs(values[worst] - exact[worst])
        in_ulp = f" ({off / spacing(exact[worst], dtype):.3g} ULP)" if exact[worst] else ""
        distance = f", off by {off:.3g}{in_ulp}" if np.isfinite(off) else ""
        return f"{message}{distance}, the bound is {bound[worst]:.3g} ({words})"


def spacing(exact: Any, dtype: str) -> Any:
    """Return the distance between neighbouring numbers of a dtype (one ULP) at float64 values."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        rounded = np.abs(exact).astype(dtype).astype(np.float64)
    return ulp(rounded, *map(float, (info.eps, info.smallest_normal, info.max)))


def _sizes(x: _Array) -> _Array:
    """Return the magnitudes of the finite numbers."""
    return np.abs(1.0 * x[np.isfinite(x)])
