"""How far a result may be from the float64 one, and whether it is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BEYOND", "Limit", "Tolerance", "deviation"]

# What `deviation` says of values.
BEYOND: Final = "out of bound"


@dataclass(frozen=True)
class Limit:
    """The largest allowed error of each number of one result, and how it came about.

    Attributes
    ----------
    error : ndarray
        float64, in the shape of the result.
    words : str
    is_coarse : bool
        Whether it follows from a count of operations, and is a large part of the largest result,
        or of numbers of the usual size.
    """

    error: NDArray[Any]
    words: str
    is_coarse: bool = False


class Tolerance:
    """What the user of `assert_parity` allows: ULP, absolute errors, or a count of operations.

    Parameters
    ----------
    bound : float or array_like, optional
    operations : int, optional
        As `assert_parity` describes them.

    Raises
    ------
    TypeError
        If both are given, or one is of the wrong kind.
    ValueError
        If a number in them is NaN, negative, or no count.
    """

    def __init__(self, bound: Any = None, operations: Any = None) -> None:
        if bound is not None and operations is not None:
            msg = "`bound` and `operations` must not both be given; got both. Each is a bound"
            raise TypeError(msg)
        self._n = None if operations is None else _checked_count(operations)
        self._ulp: float | None = None
        self._errors: NDArray[Any] | None = None
        if _is_number(bound):
            self._ulp = _checked_ulp(bound)
        elif bound is not None:
            self._errors = _checked_errors(bound)

    def limit(
        self,
        exact: NDArray[Any],
        dtype: str,
        arguments: Iterable[Any],
        *,
        is_rounded: bool = False,
    ) -> Limit:
        """Return how far a result in a dtype may be from the exact one.

        Parameters
        ----------
        exact : ndarray
            The result in float64.
        dtype : str
            Of the result that is judged, such as ``"float32"``.
        arguments : iterable of ndarray or number
            What the function was called with.
        is_rounded : bool, default False
            Whether float64 arguments were rounded to float32, which coarsens absolute errors.

        Raises
        ------
        ValueError
            If the absolute errors do not fit the shape of the result.
        """
        info = np.finfo(dtype)
        eps, tiny = float(info.eps), float(info.smallest_normal)
        if self._ulp is not None:
            words = f"{self._ulp:g} ULP of {dtype}"
            return Limit(self._ulp * spacing(exact, dtype) + tiny, words)
        if self._errors is not None:
            factor = float(np.finfo("float32").eps / np.finfo("float64").eps) if is_rounded else 1.0
            words = f"`bound` times {factor:g}, for lack of float64" if is_rounded else "`bound`"
            return Limit(_broadcast(self._errors, exact.shape) * factor + tiny, words)
        # A number, such as the end of a range, says nothing of the size of what is rounded; nor
        # do integers beside floating-point arrays, such as places to take from.
        arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        floating = [x for x in arrays if x.dtype.kind == "f"] or arrays
        n = self._n or max((length for x in (*arrays, exact) for length in x.shape), default=1) or 1
        scale = max(map(_magnitude, (*floating, exact)))
        word = "operations" if self._n else "the longest axis"
        words = f"8 * sqrt(n) * eps * scale, n = {n:g} ({word}), eps = {eps:.3g}, scale = {scale:g}"
        error = 8 * math.sqrt(n) * eps * scale
        usual = min(_magnitude(exact), max(map(_usual_magnitude, (*floating, exact))))
        # In float16, whose digits are few, a tenth is nothing unusual.
        is_coarse = 0.0 < usual < error * min(10.0, 1.0 / (512.0 * eps))
        return Limit(np.full(exact.shape, error + tiny), words, is_coarse=is_coarse)


def deviation(actual: NDArray[Any], exact: NDArray[Any], limit: Limit, dtype: str) -> str | None:
    """Say where a result leaves its limit most; None if it nowhere does.

    NaN must be where NaN is, and infinities where they are, or where the exact number is beyond
    the largest one of the dtype.
    """
    actual, exact = np.asarray(actual, np.float64), np.asarray(exact, np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(actual - exact)
        beyond = np.abs(exact) + limit.error > float(np.finfo(dtype).max)
        is_right = (
            (error <= limit.error)
            | (actual == exact)
            | (np.isnan(actual) & np.isnan(exact))
            | (np.isinf(actual) & (np.sign(actual) == np.sign(exact)) & beyond)
        )
        excess = np.where(is_right, -1.0, np.nan_to_num(error / limit.error, nan=np.inf))
    if is_right.all():
        return None
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return (
        f"{np.sum(~is_right)} of {actual.size} values {BEYOND}, the worst{_place(worst)}:"
        f" {actual[worst]:.9g} instead of {exact[worst]:.9g}"
        + _distance(float(error[worst]), float(spacing(exact[worst], dtype)))
        + f", the bound is {limit.error[worst]:.3g} ({limit.words})"
    )


def spacing(exact: Any, dtype: str) -> Any:
    """Return the distance of floating-point numbers (one ULP) at these float64 values."""
    info = np.finfo(dtype)
    magnitude = np.nan_to_num(np.abs(exact), nan=0.0)
    inside = np.clip(magnitude, float(info.smallest_normal), float(info.max)).astype(dtype)
    # The largest number has no next one: its distance is that to the one below.
    ulp = np.where(inside == info.max, info.max - np.nextafter(info.max, info.max * 0), 0)
    with np.errstate(all="ignore"):
        return np.where(ulp > 0, ulp, np.spacing(inside)).astype(np.float64)


def _distance(error: float, ulp: float) -> str:
    return f", off by {error:.3g} ({error / ulp:.3g} ULP)" if math.isfinite(error) else ""


def _place(index: tuple[Any, ...]) -> str:
    return f" at [{', '.join(str(int(i)) for i in index)}]" if index else ""


def _magnitude(x: NDArray[Any]) -> float:
    finite = np.abs(x[np.isfinite(x)].astype(np.float64))
    return float(np.max(finite, initial=0.0))


def _usual_magnitude(x: NDArray[Any]) -> float:
    """Return the median magnitude of finite numbers that are not zero; 0 if there is none."""
    sizes = np.abs(x[np.isfinite(x) & (x != 0)].astype(np.float64))
    return float(np.median(sizes)) if sizes.size else 0.0


def _is_number(bound: Any) -> bool:
    return isinstance(bound, int | float | np.integer | np.floating) and not isinstance(bound, bool)


def _checked_ulp(bound: Any) -> float:
    if not 0 <= bound < math.inf:
        msg = f"`bound` must be a finite number of ULP, 0 or more; got {bound}"
        raise ValueError(msg)
    return float(bound)


def _checked_count(operations: Any) -> int:
    if isinstance(operations, bool) or not isinstance(operations, int | np.integer):
        msg = f"`operations` must be a whole number; got {type(operations).__name__}"
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


def _broadcast(errors: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        return np.broadcast_to(errors, shape)
    except ValueError:
        msg = f"`bound` must fit the result's shape {shape}; got shape {errors.shape}"
        raise ValueError(msg) from None
