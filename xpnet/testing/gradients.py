"""Gradients of functions of torch arrays, in comparison with differences in NumPy."""

import contextlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.testing.backends import Backend

__all__ = ["gradient_fault"]

_STEP: Final = 2.0**-14  # of differences, relative to the arguments


def gradient_fault(
    function: Callable[..., list[Any]], arrays: list[NDArray[Any]], backend: Backend, /
) -> str | None:
    """Return a message about a wrong gradient of a function on torch; None if there is no fault."""
    point = [x.astype("float64") if x.dtype.kind == "f" else x for x in arrays]
    leaves = [backend.make(x) for x in point]
    results = function(*leaves)
    for i, x in enumerate(point):
        if x.dtype.kind != "f" or not np.isfinite(x).all():
            continue
        random = np.random.default_rng(i).uniform(-1.0, 1.0, (2, *x.shape))
        if x.ndim > 1 and np.array_equal(x, x.mT):  # NumPy's eigh reads one triangle only
            random += random.mT.copy()
        one, other = random * np.where(x == 0.0, 1.0, np.abs(x))
        moved = [np.asarray(x + _STEP * y) for y in (0.0 * one, one, -one, other, -one - other)]
        values: list[Any] = []
        with np.errstate(all="ignore"), contextlib.suppress(Exception):  # as of x out of range
            values = [function(*point[:i], y, *point[i + 1 :]) for y in moved]
        for j, (result, *y) in enumerate(zip(results, *values, strict=False), 1):
            fault = _fault(result, [np.asarray(z) for z in y], leaves[i], one)
            # Of equal numbers, sort() may follow any.
            if fault and not (fault.startswith("is wrong") and np.unique(x).size < x.size):
                return f"the gradient of result {j} by array {i + 1} {fault}"
    return None


def _fault(result: Any, y: list[NDArray[Any]], leaf: Any, direction: Any) -> str | None:
    if not y or y[0].dtype.kind != "f" or any(x.shape != y[0].shape for x in y):
        return None
    with np.errstate(all="ignore"):
        ahead, behind, other, back = (np.asarray(y[1:]) - y[0]) / _STEP
        slope = (ahead - behind) / 2
        # Slopes along directions that add up to zero do so too, but not at kinks and ties.
        error = 10 * (np.abs(ahead + behind) + np.abs(ahead + other + back))
        error += 1e-3 * np.abs(slope) + 16 * np.finfo(y[0].dtype).eps * np.abs(y[0]) / _STEP
        is_judged = error <= 0.1 * (np.abs(slope) + np.abs(y[0]))
    weight = np.random.default_rng(0).uniform(-1.0, 1.0, slope.shape) * is_judged
    expected = np.sum(weight * slope, where=is_judged)
    found, leaf.grad = 0.0, None
    if getattr(result, "requires_grad", False):
        result.backward(result.new_tensor(weight), retain_graph=True)
        found = found if leaf.grad is None else np.sum(leaf.grad.numpy() * direction)
    is_right = np.abs(found - expected) <= np.sum(np.abs(weight) * error, where=is_judged)
    if is_right or not (np.isfinite(found) or is_judged.all()):
        return None
    fault = f"is wrong: {found:.6g} along a random direction"
    if found == 0.0:
        fault = "is cut off, by detach(), float() or a conversion"
    elif not np.isfinite(found):
        fault = "is NaN or infinite (where() needs finite numbers in both branches)"
    return f"{fault}; differences of NumPy's results give {expected:.6g}"
