"""How far each function may be from its true value, by library and dtype: the one table.

The bounds hold wherever the true value is a normal number; where it is smaller, the error is at
most the smallest normal number, and the result may be flushed to zero. Those of float32 are the
largest errors over all 2^32 inputs, as ``benchmarks/accuracy.py`` found them, rounded up; they hold
for other options as well, which are first rounded to the dtype, but for softplus with a `beta`
other than 1, where it is 2 ULP more. Those of float64 are above the largest errors at a million of
random points each and at tabulated ones. An error of exp, expm1, log1p or tanh is the library's
own, and part of the bound: found with NumPy 2.4 on x86-64 with and without AVX2 and AVX-512, with
torch 2.13 and with JAX 0.10.

CuPy's are not measured. CUDA states at most 2 ULP for exp and tanh, and 1 for expm1 and log1p in
float32, which is within what NumPy's bounds were found with; in float64, 1 for each, where NumPy
is more exact, so they are 1 larger.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["ULP_BOUNDS", "log_softmax_bound", "logsumexp_bound", "softmax_bound"]
__all__ += ["sparsemax_bound", "ulp_bound"]

_Pair = tuple[float, float]

# CUDA's tanh errs by 2 ULP, of which four times as much is left where it is taken from x at 1.
_OF_CUPYS_TANH_SHRINK = 10
_COLUMNS = {
    "numpy": "numpy",
    "dask": "numpy",
    "array_api_strict": "numpy",
    "cupy": "numpy",
    "torch": "torch",
    "jax": "jax",
}


def _row(numpy: _Pair, torch: _Pair, jax: _Pair) -> Mapping[str, _Pair]:
    return MappingProxyType({"numpy": numpy, "torch": torch, "jax": jax})


# By name and library, in float32 and in float64.
ULP_BOUNDS: Mapping[str, Mapping[str, _Pair]] = MappingProxyType(
    {
        "celu": _row((4, 2), (2, 2), (6, 5)),
        "elu": _row((4, 2), (2, 2), (6, 5)),
        "erf": _row((4, 3), (4, 3), (7, 6)),
        "exponential": _row((3, 1), (1, 1), (6, 2)),
        "gelu": _row((6, 4), (5, 4), (5, 4)),
        "gelu_tanh": _row((4, 3), (4, 3), (4, 4)),
        "hard_shrink": _row((0, 0), (0, 0), (0, 0)),
        "hard_sigmoid": _row((1, 1), (1, 1), (2, 2)),
        "hard_silu": _row((2, 2), (2, 2), (3, 3)),
        "hard_tanh": _row((0, 0), (0, 0), (0, 0)),
        "identity": _row((0, 0), (0, 0), (0, 0)),
        "leaky_relu": _row((1, 1), (1, 1), (1, 1)),
        "log_sigmoid": _row((4, 2), (2, 2), (3, 3)),
        "mish": _row((4, 3), (3, 3), (3, 3)),
        "relu": _row((0, 0), (0, 0), (0, 0)),
        "relu6": _row((0, 0), (0, 0), (0, 0)),
        "selu": _row((4, 3), (3, 3), (7, 7)),
        "sigmoid": _row((4, 3), (3, 3), (3, 3)),
        "silu": _row((4, 3), (3, 3), (3, 3)),
        "soft_shrink": _row((1, 1), (1, 1), (1, 1)),
        "softplus": _row((4, 2), (2, 2), (3, 3)),
        "softsign": _row((2, 2), (2, 2), (2, 2)),
        "sparse_plus": _row((2, 2), (2, 2), (2, 2)),
        "sparse_sigmoid": _row((1, 1), (1, 1), (1, 1)),
        "squareplus": _row((4, 4), (5, 4), (4, 4)),
        "step": _row((0, 0), (0, 0), (0, 0)),
        "tanh": _row((2, 3), (1, 1), (5, 8)),
        "tanh_shrink": _row((4, 6), (5, 5), (9, 13)),
        "threshold": _row((0, 0), (0, 0), (0, 0)),
    }
)


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
    if dtype not in {"float16", "bfloat16", "float32", "float64"}:
        msg = f"no bound is known for dtype {dtype}"
        raise ValueError(msg)
    single, double = ULP_BOUNDS[name][_COLUMNS[library]]
    if library == "cupy" and name == "tanh_shrink":
        single = _OF_CUPYS_TANH_SHRINK
    if dtype == "float32":
        return float(single)
    if dtype == "float64":
        return float(double + 1 if library == "cupy" and double else double)
    return min(1.0, single)


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
