"""Allowed errors of results in comparison with float64, and messages about larger ones."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["OUT_OF_BOUND", "AllowedError", "Tolerance", "describe_deviation"]

# In every message about values.
OUT_OF_BOUND: Final = "out of bound"


@dataclass(frozen=True)
class AllowedError:
    """Largest allowed error of each number of a result."""

    error: NDArray[Any]  # float64, in the shape of the result
    words: str  # origin of the error, for messages
    # Whether the error follows from a count of operations, and is a large part of the largest
    # result or of the median magnitude.
    is_coarse: bool = False


class Tolerance:
    """Tolerance of `assert_parity`: ULP, absolute errors, or a count of operations.

    Raise TypeError if both arguments are given, or one is of a wrong type; ValueError if `bound`
    contains NaN or a negative number, or `operations` is below 1.
    """

    def __init__(self, bound: Any = None, operations: Any = None) -> None:
        if bound is not None and operations is not None:
            msg = "`bound` and `operations` must not both be given; got both. Each is a bound"
            raise TypeError(msg)
        self._n, self._ulp, self._errors = None, None, None
        is_number = isinstance(bound, int | float | np.integer | np.floating)
        if operations is not None:
            self._n = _checked_count(operations)
        elif is_number and not isinstance(bound, bool):
            if not 0 <= bound < math.inf:
                msg = f"`bound` must be a finite number of ULP, 0 or more; got {bound}"
                raise ValueError(msg)
            self._ulp = float(bound)
        elif bound is not None:
            self._errors = _checked_errors(bound)

    def allowed_error(
        self,
        exact: NDArray[Any],
        dtype: str,
        arguments: Iterable[Any],
        *,
        is_rounded: bool = False,
    ) -> AllowedError:
        """Return the largest allowed error of a result of `dtype`, for example ``"float32"``.

        `exact` is the result in float64, `arguments` are the function's NumPy arrays and numbers.
        `is_rounded` means that float64 arguments were rounded to float32, which raises absolute
        errors. If their shape does not fit the result, raise ValueError.
        """
        info = np.finfo(dtype)
        eps, tiny = float(info.eps), float(info.smallest_normal)
        if self._ulp is not None:
            words = f"{self._ulp:g} ULP of {dtype}"
            return AllowedError(self._ulp * spacing(exact, dtype) + tiny, words)
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
        floating = [x for x in arrays if x.dtype.kind == "f"] or arrays
        n = self._n or max((length for x in (*arrays, exact) for length in x.shape), default=1) or 1
        scale = max(map(_magnitude, (*floating, exact)))
        word = "operations" if self._n else "the longest axis"
        words = f"8 * sqrt(n) * eps * scale, n = {n:g} ({word}), eps = {eps:.3g}, scale = {scale:g}"
        error = 8 * math.sqrt(n) * eps * scale
        typical = min(_magnitude(exact), max(map(_median_magnitude, (*floating, exact))))
        # float16 has few digits: a tenth is not unusual there.
        is_coarse = 0.0 < typical < error * min(10.0, 1.0 / (512.0 * eps))
        return AllowedError(np.full(exact.shape, error + tiny), words, is_coarse=is_coarse)


def describe_deviation(
    actual: NDArray[Any], exact: NDArray[Any], allowed: AllowedError, dtype: str
) -> str | None:
    """Return a message about the largest deviation of a result; None if all values are allowed.

    NaN must be in the same places. A result may be infinite where the exact one is, or exceeds
    the largest number of the dtype.
    """
    actual, exact = np.asarray(actual, np.float64), np.asarray(exact, np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(actual - exact)
        overflows = np.abs(exact) + allowed.error > float(np.finfo(dtype).max)
        is_right = (
            (error <= allowed.error)
            | (actual == exact)
            | (np.isnan(actual) & np.isnan(exact))
            | (np.isinf(actual) & (np.sign(actual) == np.sign(exact)) & overflows)
        )
        excess = np.where(is_right, -1.0, np.nan_to_num(error / allowed.error, nan=np.inf))
    if is_right.all():
        return None
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    place = f" at {[int(i) for i in worst]}" if worst else ""
    off, ulp = float(error[worst]), float(spacing(exact[worst], dtype))
    distance = f", off by {off:.3g} ({off / ulp:.3g} ULP)" if math.isfinite(off) else ""
    return (
        f"{np.sum(~is_right)} of {actual.size} values {OUT_OF_BOUND}, the worst{place}:"
        f" {actual[worst]:.9g} instead of {exact[worst]:.9g}{distance}"
        f", the bound is {allowed.error[worst]:.3g} ({allowed.words})"
    )


def spacing(exact: Any, dtype: str) -> Any:
    """Return the distance between neighbouring numbers of a dtype (one ULP) at float64 values."""
    info = np.finfo(dtype)
    magnitude = np.nan_to_num(np.abs(exact), nan=0.0)
    inside = np.clip(magnitude, float(info.smallest_normal), float(info.max)).astype(dtype)
    # The largest number has no upper neighbour: its distance is that to the lower one.
    ulp = np.where(inside == info.max, info.max - np.nextafter(info.max, info.max * 0), 0)
    with np.errstate(all="ignore"):
        return np.where(ulp > 0, ulp, np.spacing(inside)).astype(np.float64)


def _magnitude(x: NDArray[Any]) -> float:
    finite = np.abs(x[np.isfinite(x)].astype(np.float64))
    return float(np.max(finite, initial=0.0))


def _median_magnitude(x: NDArray[Any]) -> float:
    """Return the median magnitude of the finite nonzero numbers; 0 if there are none."""
    sizes = np.abs(x[np.isfinite(x) & (x != 0)].astype(np.float64))
    return float(np.median(sizes)) if sizes.size else 0.0


def _checked_count(operations: Any) -> int:
    if isinstance(operations, bool) or not isinstance(operations, int | np.integer):
        msg = f"`operations` must be an integer; got {type(operations).__name__}"
        raise TypeError(msg)
    if operations < 1:
        msg = f"`operations` must be 1 or more; got {operations}"
        raise ValueError(msg)
    return int(operations)


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
