"""How far each function may be from its true value, by library and dtype: the one table.

The bounds hold wherever the true value is a normal number; where it is smaller, the error is at
most the smallest normal number. Those of float32 are the largest errors over all 2^32 inputs,
rounded up, as ``benchmarks/accuracy.py`` found them; those of float64 are above the largest of
random and of tabulated points. Those of CuPy are not measured: they are NumPy's, whose own exp,
expm1, log1p and tanh err no less than CUDA's in float32, and 1 ULP more in float64.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["ULP_BOUNDS", "log_softmax_bound", "logsumexp_bound", "softmax_bound"]
__all__ += ["sparsemax_bound", "ulp_bound"]

# By name: NumPy in float32 and float64, torch likewise, JAX likewise.
ULP_BOUNDS: Mapping[str, tuple[float, float, float, float, float, float]] = MappingProxyType(
    {
        "celu": (4, 2, 2, 2, 6, 3),
        "elu": (4, 2, 2, 2, 6, 3),
        "erf": (4, 2, 4, 2, 7, 4),
        "exponential": (3, 1, 1, 1, 5, 2),
        "gelu": (6, 4, 5, 4, 5, 4),
        "gelu_tanh": (4, 3, 3, 3, 4, 3),
        "hard_shrink": (0, 0, 0, 0, 0, 0),
        "hard_sigmoid": (1, 1, 1, 1, 2, 2),
        "hard_silu": (2, 2, 2, 2, 3, 3),
        "hard_tanh": (0, 0, 0, 0, 0, 0),
        "identity": (0, 0, 0, 0, 0, 0),
        "leaky_relu": (1, 1, 1, 1, 1, 1),
        "log_sigmoid": (4, 2, 2, 2, 3, 3),
        "mish": (4, 3, 3, 3, 3, 3),
        "relu": (0, 0, 0, 0, 0, 0),
        "relu6": (0, 0, 0, 0, 0, 0),
        "selu": (4, 3, 3, 3, 7, 5),
        "sigmoid": (4, 2, 3, 2, 3, 2),
        "silu": (4, 3, 3, 3, 3, 3),
        "soft_shrink": (1, 1, 1, 1, 1, 1),
        "softplus": (4, 2, 2, 2, 3, 3),
        "softsign": (2, 2, 2, 2, 2, 2),
        "sparse_plus": (2, 2, 2, 2, 2, 2),
        "sparse_sigmoid": (1, 1, 1, 1, 1, 1),
        "squareplus": (4, 4, 4, 4, 4, 4),
        "step": (0, 0, 0, 0, 0, 0),
        "tanh": (2, 2, 1, 1, 5, 7),
        "tanh_shrink": (4, 4, 5, 5, 9, 9),
        "threshold": (0, 0, 0, 0, 0, 0),
    }
)
_COLUMNS = {
    "numpy": 0,
    "dask": 0,
    "array_api_strict": 0,
    "cupy": 0,
    "torch": 2,
    "jax": 4,
}


def ulp_bound(name: str, library: str, dtype: str) -> float:
    """Return the error bound of an elementwise function, in units in the last place.

    Parameters
    ----------
    name : str
        A name in `ULP_BOUNDS`: that of the public function, or ``"gelu_tanh"``.
    library : str
        Of the array, as `xpnet.arrays.namespace.library_of` tells it.
    dtype : str
        "float16", "bfloat16", "float32" or "float64".

    Raises
    ------
    ValueError
        If there is no bound for them.
    """
    if name not in ULP_BOUNDS or library not in _COLUMNS:
        msg = f"no bound is known for {name!r} of {library!r} arrays"
        raise ValueError(msg)
    bounds = ULP_BOUNDS[name]
    if dtype in {"float16", "bfloat16"}:
        return min(1.0, bounds[0])
    is_double = {"float32": 0, "float64": 1}[dtype]
    bound = bounds[_COLUMNS[library] + is_double]
    return float(bound + 1 if library == "cupy" and is_double and bound else bound)


def softmax_bound(below: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the relative error of a softmax's results that are normal numbers.

    Parameters
    ----------
    below : array
        How far each logit is below the largest of its row, in nats.
    n : int
        The length of a row.
    library, dtype : str
        As for `ulp_bound`.

    Notes
    -----
    With u = eps / 2, all errors relative: x - max is rounded, by u * below, which exp amplifies
    to as much; exp errs by its own bound; so does the sum of all exponentials, see `_sum_error`;
    the division is rounded.
    """
    own = _exp_error(library, dtype)
    return below * _unit(dtype) + own + _sum_error(n, library, dtype) + _rounding(dtype)


def log_softmax_bound(below: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the absolute error of a log_softmax's results, in nats.

    Parameters
    ----------
    below, n, library, dtype
        As for `softmax_bound`.

    Notes
    -----
    What the sum errs by, relatively, its logarithm errs by absolutely; that is at most log(n), and
    errs by 4 ULP on its own. x - max is rounded, and so is the result.
    """
    size = below + math.log(n)
    own = _unit(dtype) * (below + 8.0 * math.log(n)) + _sum_error(n, library, dtype)
    return own + _rounding(dtype) * size


def logsumexp_bound(result: Any, n: int, library: str, dtype: str) -> Any:
    """Return the bound of the absolute error of a logsumexp's results, in nats.

    Parameters
    ----------
    result : array
        The results.
    n, library, dtype
        As for `softmax_bound`.
    """
    own = 8.0 * math.log(n) * _unit(dtype) + _sum_error(n, library, dtype)
    return own + _rounding(dtype) * abs(result)


def sparsemax_bound(n: int, dtype: str) -> float:
    """Return the bound of the absolute error of a sparsemax's results, over rows of n numbers.

    The level that is taken from x is a mean of at most n differences, each rounded, as is the
    result, which is at most 1.
    """
    return (n + 1) * _unit(dtype) + _rounding(dtype)


def _sum_error(n: int, library: str, dtype: str) -> float:
    """Return the relative error of the sum of exp(x - max) over a row of n numbers.

    Each term errs by the rounding of x - max, whose mean, weighted by the terms, is at most
    log(n) * u, and by exp's own error; n - 1 additions err by u.
    """
    return (math.log(n) + n - 1) * _unit(dtype) + _exp_error(library, dtype)


def _exp_error(library: str, dtype: str) -> float:
    """Return the relative error of exp: an ULP is at most eps."""
    precision = "float64" if dtype == "float64" else "float32"
    return 2.0 * _unit(dtype) * ulp_bound("exponential", library, precision)


def _unit(dtype: str) -> float:
    """Return half of eps of the dtype that is computed in."""
    return 2.0**-53 if dtype == "float64" else 2.0**-24


def _rounding(dtype: str) -> float:
    """Return the relative error of the last rounding, to the dtype itself."""
    return {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, _unit(dtype))
