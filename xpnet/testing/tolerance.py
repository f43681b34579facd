"""Allowed errors of results in comparison with float64, and messages about larger ones."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation, ulp

__all__ = ["AllowedError", "Tolerance", "canonical", "describe_deviation"]


@dataclass(frozen=True)
class AllowedError:
    """Largest allowed error of each number of a result."""

    error: NDArray[Any]  # float64, in the shape of the result
    words: str  # origin of the error, for messages
    # Whether the error follows from a count, and is a large part of the median magnitude.
    is_coarse: bool = False


class Tolerance:
    """Tolerance of `assert_parity`: ULP, absolute errors, `rtol`, or a count of numbers."""

    def __init__(self, bound: Any = None, rtol: Any = None, atol: Any = None) -> None:
        is_relative = None if rtol is None and atol is None else True
        kinds = {"bound": bound, "rtol` or `atol": is_relative}
        given = [name for name, value in kinds.items() if value is not None]
        if len(given) > 1:
            msg = f"`{given[0]}` and `{given[1]}` must not both be given; got both. Each is a bound"
            raise TypeError(msg)
        self.is_default = not given
        is_ulp = isinstance(bound, int | float | np.number) and not isinstance(bound, bool)
        self._ulp = _checked_number(bound, "bound") if is_ulp else None
        self._errors = None if bound is None or is_ulp else _checked_errors(bound)
        self._is_relative = is_relative
        self._rtol, self._atol = _checked_number(rtol, "rtol"), _checked_number(atol, "atol")

    def allowed_error(
        self,
        exact: NDArray[Any],
        dtype: str,
        arguments: Iterable[Any],
        *,
        least: int = 1,
        is_rounded: bool = False,
    ) -> AllowedError:
        """Return the largest allowed error of a result of `dtype`, for example ``"float32"``.

        `exact` is the result in float64, `arguments` are the function's NumPy arrays, `least` is
        the smallest default count of operations. `is_rounded` means that float64 arguments were
        rounded to float32, which raises absolute errors. If their shape does not fit the result,
        raise ValueError.
        """
        info = np.finfo(dtype)
        eps, tiny = float(info.eps), float(info.smallest_normal)
        if self._ulp is not None:
            words = f"{self._ulp:g} ULP of {dtype}"
            return AllowedError(self._ulp * spacing(exact, dtype) + tiny, words)
        if self._is_relative:
            rtol, atol = max(self._rtol, 4.0 * eps), self._atol
            words = f"atol + rtol * |expected|, rtol = {rtol:.3g}, atol = {atol:.3g}"
            return AllowedError(atol + rtol * np.abs(np.nan_to_num(exact)) + tiny, words)
        if self._errors is not None:
            try:
                errors = np.broadcast_to(self._errors, exact.shape)
            except ValueError:
                shapes = f"shape {exact.shape}; got shape {self._errors.shape}"
                msg = f"`bound` must fit the result's {shapes}"
                raise ValueError(msg) from None
            factor = float(np.finfo("float32").eps / np.finfo("float64").eps) if is_rounded else 1.0
            words = f"`bound` times {factor:g}, for lack of float64" if is_rounded else "`bound`"
            return AllowedError(errors * factor + tiny, words)
        # Numbers, such as the ends of a range, do not determine the size of what is rounded; nor
        # do integers beside floating-point arrays, such as indices.
        arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        floating = [x for x in arrays if x.dtype.kind in "fc"] or arrays
        longest = max((least, *(length for x in (*arrays, exact) for length in x.shape)))
        # Of a sum over several axes, each result is made of more numbers than that.
        per_result = max((x.size // max(1, exact.size) for x in arrays), default=1)
        # Rounding errors of n operations: Higham and Mary, DOI 10.1137/18M1226312.
        n = max(longest, per_result)
        scale = max(map(_magnitude, (*floating, exact)))
        word = "the longest axis" if longest >= per_result else "numbers of each result"
        words = f"8 * sqrt(n) * eps * scale, n = {n:g} ({word}), eps = {eps:.3g}, scale = {scale:g}"
        error = 8 * math.sqrt(n) * eps * scale
        typical = _median_magnitude(exact)
        # float16 has few digits: a tenth is not unusual there.
        is_coarse = 0.0 < typical < error * min(10.0, 1.0 / (512.0 * eps))
        return AllowedError(np.full(exact.shape, error + tiny), words, is_coarse=is_coarse)


def describe_deviation(
    actual: NDArray[Any], exact: NDArray[Any], allowed: AllowedError, dtype: str
) -> str | None:
    """Return a message about the largest deviation of a result; None if all values are allowed."""
    wide = np.complex128 if "c" in actual.dtype.kind + exact.dtype.kind else np.float64
    actual, exact = np.asarray(actual, wide), np.asarray(exact, wide)
    with np.errstate(all="ignore"):
        overflows = np.abs(exact) + allowed.error > float(np.finfo(dtype).max)
        # The direction of a complex infinity depends on the library.
        is_aligned = (np.sign(actual) == np.sign(exact)) | (wide is np.complex128)
    bound = np.where(np.isinf(actual) & is_aligned & overflows, np.inf, allowed.error)
    bound = np.where(np.isnan(actual) == np.isnan(exact), bound, 0.0)
    found = deviation(actual, exact, bound)
    if not found.n_exceeding:
        return None
    worst = found.worst
    place = f" at {list(worst)}" if worst else ""
    off = float(np.abs(actual[worst] - exact[worst]))
    in_ulp = f" ({off / float(spacing(exact[worst], dtype)):.3g} ULP)" if exact[worst] else ""
    distance = f", off by {off:.3g}{in_ulp}" if math.isfinite(off) else ""
    return (
        f"{found.n_exceeding} of {actual.size} values out of bound, the worst{place}:"
        f" {actual[worst]:.9g} instead of {exact[worst]:.9g}{distance}"
        f", the bound is {allowed.error[worst]:.3g} ({allowed.words})"
    )


def canonical(
    values: NDArray[Any], exact: NDArray[Any], compare: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a result and the expected one in a form that may be compared number by number."""
    if compare is None:
        return values, exact
    return np.asarray(compare(values)), np.asarray(compare(exact))


def spacing(exact: Any, dtype: str) -> Any:
    """Return the distance between neighbouring numbers of a dtype (one ULP) at float64 values."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        rounded = np.abs(exact).astype(dtype).astype(np.float64)
    return ulp(rounded, *map(float, (info.eps, info.smallest_normal, info.max)))


def _magnitude(x: NDArray[Any]) -> float:
    return float(np.max(np.abs(1.0 * x[np.isfinite(x)]), initial=0.0))


def _median_magnitude(x: NDArray[Any]) -> float:
    """Return the median magnitude of the finite nonzero numbers; 0 if there are none."""
    sizes = np.abs(1.0 * x[np.isfinite(x) & (x != 0)])
    return float(np.median(sizes)) if sizes.size else 0.0


def _checked_number(value: Any, name: str) -> float:
    """Return a finite number; 0 for None."""
    number = 0.0 if value is None else value
    if isinstance(number, bool) or not isinstance(number, int | float | np.number):
        msg = f"`{name}` must be a number; got {type(value).__name__}"
        raise TypeError(msg)
    if not 0 <= number < math.inf:
        msg = f"`{name}` must be finite, 0 or more; got {value}"
        raise ValueError(msg)
    return float(number)


def _checked_errors(bound: Any) -> NDArray[Any]:
    errors = np.asarray(bound) if isinstance(bound, np.ndarray | list | tuple) else None
    if errors is None or errors.dtype.kind not in "iuf":
        kind = type(bound).__name__ if errors is None else f"dtype {errors.dtype}"
        msg = f"`bound` must be a number of ULP or an array of absolute errors; got {kind}"
        raise TypeError(msg)
    wrong = errors[~(errors >= 0)]
    if wrong.size:
        msg = f"`bound` must hold absolute errors, 0 or more; got {wrong.flat[0]}"
        raise ValueError(msg)
    return errors.astype(np.float64)
