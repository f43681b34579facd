"""Every function against true values by mpmath, in every dtype, on every backend."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from function_cases import CASES
from true_values import (
    DEFINITIONS,
    DTYPES,
    ROWS,
    elementwise_truth,
    hard_points,
    row_truth,
    true_value,
    truth_of,
)

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import log_softmax_bound, softmax_bound

# Dask computes when the functions, which compute with warnings off, have returned.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:dask")
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "accuracy.json"


def label(case):
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


def dtypes_of(xp_backend):
    """Return the dtypes that a backend has."""
    lacked = [d for d in DTYPES if not hasattr(xp_backend.xp, d) or "no_" + d in xp_backend.name]
    return [dtype for dtype in DTYPES if dtype not in lacked]


def on_backend(xp_backend, function, x, dtype):
    """Return a function's values in float64."""
    argument = xp_backend.asarray(x, "float32" if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        argument = xp_backend.xp.astype(argument, xp_backend.xp.bfloat16)
    result = function(argument)
    return xp_backend.check(result, dtype=dtype, shape=tuple(result.shape)).astype(np.float64)


def check_elementwise(case, dtype, compute):
    name, options = case
    truth = elementwise_truth(name, dtype, tuple(options.items()))
    got = compute(functools.partial(getattr(xpnet, name), **options), truth.x, dtype)
    if name == "step":  # a library may take subnormal numbers for 0
        got = np.where(np.abs(truth.x) < 2.0 ** DTYPES[dtype][1], truth.nearest[:, 0], got)
    truth.check(got[:, None], ACTIVATIONS[name].ulp_bound(dtype))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_elementwise(xp_backend, case, subtests):
    for dtype in dtypes_of(xp_backend):
        with subtests.test(dtype=dtype):
            check_elementwise(case, dtype, functools.partial(on_backend, xp_backend))


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=label)
def test_elementwise_compiled_by_jax(case, subtests):
    jax = pytest.importorskip("jax", reason="compiles by JAX")

    def compiled(function, x, dtype):
        return np.asarray(jax.jit(function)(jax.numpy.asarray(x, dtype=dtype)), np.float64)

    with jax.enable_x64(new_val=True):
        for dtype in DTYPES:
            with subtests.test(dtype=dtype):
                check_elementwise(case, dtype, compiled)


def limit_of_rows(name, truth):
    """Return the largest errors allowed, in ULP."""
    dtype, n = truth.dtype, truth.x.shape[-1]
    below = np.max(truth.x, axis=-1, keepdims=True) - truth.x
    if name == "softmax":
        normal = np.maximum(truth.nearest, 2.0 ** DTYPES[dtype][1])
        return softmax_bound(below, n, dtype) * normal / truth.ulp
    if name == "log_softmax":
        return log_softmax_bound(below, n, dtype) / truth.ulp
    # As the docstring says; narrower results are computed in float32 and rounded.
    computed, rounded = (
        2.0**-bits for bits in (53 if dtype == "float64" else 24, DTYPES[dtype][0])
    )
    return ((9 * math.log(n) + n + 11) * computed + np.abs(truth.nearest) * rounded) / truth.ulp


@pytest.mark.parametrize("name", ROWS)
def test_along_an_axis(xp_backend, name, subtests):
    keep = {"keepdims": True} if name == "logsumexp" else {}
    function = functools.partial(getattr(xpnet, name), **keep)
    for dtype in dtypes_of(xp_backend):
        for n in (2, 7, 101):
            with subtests.test(dtype=dtype, n=n):
                truth = row_truth(name, dtype, n)
                got = on_backend(xp_backend, function, truth.x, dtype)
                truth.check(got, limit_of_rows(name, truth))


def test_errors_are_exact_to_a_thousandth_of_an_ulp():
    values = [1 + 2**-24, 1 - 2**-26, 2.0**-130, 0.1, 2.0**128, -(2.0**128) * (1 - 2**-25)]
    truth = truth_of(np.zeros(6), [[true_value("identity", x)] for x in values], "float32")
    results = [1 + 2**-23, 1.0, 0.0, 0.25, np.inf, -np.inf]
    for got, error in (
        (results, [0.5, 0.25, 0, 0.15 * 2**27, 0, 0.5]),
        ([math.nan] * 6, [math.nan] * 6),
    ):
        found = truth.errors(np.asarray(got)[:, None])[:, 0]
        np.testing.assert_allclose(found, error, atol=1e-3)
    assert truth.errors(np.full((6, 1), np.inf))[:4].min() > 2**23


@pytest.mark.parametrize("name", [name for name in DEFINITIONS if any(ACTIVATIONS[name].ulp)])
def test_errors_are_as_was_measured(name):
    """For benchmarks/accuracy.py: NumPy's errors, and all of them below the bound."""
    results = json.loads(RESULTS.read_text("utf-8"))["functions"] if RESULTS.exists() else {}
    if name not in results:
        pytest.skip(f"benchmarks/results has no accuracy of {name}")
    columns = results[name]
    for dtype, record in columns["xpnet numpy"].items():
        # With the inputs at which some library was worst.
        x = [float(each[dtype]["x"]) for each in columns.values() if dtype in each]
        x = np.unique(np.append(hard_points(dtype), [v for v in x if math.isfinite(v)]))
        truth = truth_of(x, [[true_value(name, v)] for v in x.tolist()], dtype)
        got = getattr(xpnet, name)(x.astype(dtype)).astype(np.float64)[:, None]
        truth.check(got, float(record["error"]) + 0.5)
        for column in ("numpy", "torch", "jax", "jit"):
            each = columns[f"xpnet {column}"][dtype]
            assert float(each["error"]) <= ACTIVATIONS[name].ulp_bound(dtype), (column, dtype)
            assert not each["wrong"]
