"""Activation functions and their table: arguments, results and properties, on every backend."""

import functools
import inspect
import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from function_cases import ALONG_AXIS, ELEMENTWISE, ROWS, assert_near
from true_values import true_value

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

# Dask computes when the functions, which compute with warnings off, have returned.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:dask")
INF, NAN = math.inf, math.nan
NAMES = pytest.mark.parametrize("name", ELEMENTWISE)


def stacked(xp_backend, results, shape, dtype="float32"):
    """Return the values of results, computed as one array: faster in Dask than many."""
    whole = xp_backend.xp.stack(results)
    return xp_backend.check(whole, dtype=dtype, shape=(len(results), *shape))


def test_the_argument_is_kept_and_a_row_is_its_public_function(xp_backend, subtests):
    xp = xp_backend.xp
    for shape in [(), (0,), (3, 0), (2, 3, 4)]:
        values = np.random.default_rng(0).uniform(-3, 3, shape).astype(np.float32)
        x = xp_backend.asarray(values)
        for name, row in ROWS.items():
            if row.is_elementwise or shape:
                with subtests.test(name=name, shape=shape):
                    found = stacked(xp_backend, [getattr(xpnet, name)(x), row(x, xp)], shape)
                    np.testing.assert_array_equal(*found)
        np.testing.assert_array_equal(to_numpy(x), values)


# Values at -inf and inf.
LIMITS = {
    name: limits
    for limits, names in {
        (-1, INF): ["celu", "elu"],
        (-1, 1): ["hard_tanh", "softsign", "tanh"],
        (-1.7580993408473766, INF): ["selu"],
        (-INF, 0): ["log_sigmoid"],
        (-INF, INF): ["identity", "leaky_relu"],
        (0, 1): ["hard_sigmoid", "sigmoid", "step"],
        (0, 6): ["relu6"],
        (0, INF): ["exponential", "gelu", "hard_silu", "mish", "relu", "silu", "softplus"],
    }.items()
    for name in names
}
ODD = ("hard_tanh", "identity", "softsign", "tanh")
LARGEST = float(np.finfo(np.float32).max)
EDGES = [
    *((name, {}, limits) for name, limits in LIMITS.items()),
    *((name, {"alpha": x}, (-x, INF)) for name in ("celu", "elu") for x in (1e6, 1e-6)),
    ("gelu", {"approximate": "tanh"}, (0, INF)),
    ("leaky_relu", {"negative_slope": 0.0}, (0, INF)),
    *(("leaky_relu", {"negative_slope": x}, (-INF, INF)) for x in (1e-30, 1.0)),
]
X = np.asarray([-INF, -LARGEST, -1e30, 1e30, LARGEST, INF, NAN, 0.0, -0.0], np.float32)


def check_edges(name, options, limits, found):
    with np.errstate(over="ignore"):
        finite = [float(np.float32(float(true_value(name, x, **options)))) for x in X[1:5].tolist()]
    expected = [limits[0], *finite, limits[1], NAN]
    assert_near(X[:7], found[:7], expected, rtol=1e-6, atol=2.0**-120)
    assert found[7] == found[8]
    if name in ODD:
        assert np.signbit(found[7:]).tolist() == [False, True]


def test_infinities_nan_and_the_ends_of_the_dtype(xp_backend, subtests):
    x = xp_backend.asarray(X)
    results = [getattr(xpnet, name)(x, **options) for name, options, _ in EDGES]
    for (name, options, limits), found in zip(
        EDGES, stacked(xp_backend, results, X.shape), strict=True
    ):
        with subtests.test(name=name, **options):
            check_edges(name, options, limits, found)


def test_infinities_compiled_by_jax(subtests):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    for name, options, limits in EDGES:
        with subtests.test(name=name, **options):
            function = jax.jit(functools.partial(getattr(xpnet, name), **options))
            check_edges(name, options, limits, np.asarray(function(X)))


@pytest.mark.parametrize("shape", [(), (5,)])
def test_numpy_does_not_warn(shape, subtests):
    for name, value in itertools.product(ELEMENTWISE, [-INF, -1e30, -95.0, 0.0, 1e30, INF, NAN]):
        x = np.full(shape, value, np.float32)
        with (
            subtests.test(name=name, value=value),
            np.errstate(all="raise", under="ignore"),
            warnings.catch_warnings(action="error"),
        ):
            assert np.all(np.isnan(getattr(xpnet, name)(x))) == math.isnan(value)


@NAMES
def test_numbers_lists_and_numpy_scalars(name):
    function = getattr(xpnet, name)
    for x in [0.5, [0.5, -1], (1, 2), True, [[1.5], [2.5]]]:
        result = function(x)
        assert isinstance(result, np.ndarray | np.float64)
        assert (result.dtype, np.shape(result)) == (np.float64, np.shape(x))
        np.testing.assert_array_equal(result, function(np.asarray(x, float)))
    for dtype in ["float16", "float32", "float64"]:
        result = function(np.dtype(dtype).type(0.625))
        assert (result.dtype, np.shape(result)) == (dtype, ())
        assert result == function(np.asarray([0.625], dtype))[0]


MONOTONE = [n for n in ELEMENTWISE if np.all(np.diff(ROWS[n](np.linspace(-9, 9, 99), np)) >= 0)]
LOWEST = {"gelu": -0.17, "hard_silu": -0.37500003, "mish": -0.3089, "silu": -0.2785}


def test_range_order_and_symmetry_of_random_numbers(xp_backend):
    random = np.random.default_rng(0)
    x = np.append(random.uniform(-20, 20, 400), 2.0 ** random.uniform(-126, 127, 100))
    x = np.sort(np.append(x, -x).astype(np.float32))
    argument = xp_backend.asarray(x)
    results = [getattr(xpnet, name)(argument) for name in ELEMENTWISE]
    for name, y in zip(ELEMENTWISE, stacked(xp_backend, results, x.shape), strict=True):
        low, high = min(LIMITS[name]), max(LIMITS[name])
        assert np.all(y >= np.float32(LOWEST.get(name, low))), name
        assert np.all(y <= np.float32(high)), name
        if name in ODD:
            np.testing.assert_array_equal(y, -y[::-1], name)
        if name in MONOTONE:
            z = np.clip(y, -LARGEST / 2, LARGEST / 2).astype(np.float64)
            size = np.spacing(np.abs(z).astype(np.float32))
            error = np.maximum(ROWS[name].ulp_bound("float32") * size, 2.0**-120)
            assert not np.any((z - error)[:-1] > (z + error)[1:]), name


@pytest.mark.parametrize("name", ROWS)
def test_signatures_and_pickles(name):
    function = getattr(xpnet, name)
    assert pickle.loads(pickle.dumps(function)) is function
    first, *others = inspect.signature(function).parameters.values()
    assert (first.name, first.kind) == ("x", first.POSITIONAL_ONLY)
    assert {other.kind for other in others} <= {first.KEYWORD_ONLY}
    defaults = {other.name: other.default for other in others if other.name != "axis"}
    assert ROWS[name].checked({}) == defaults
    assert dict(ROWS[name].options).keys() == defaults.keys()


def test_the_table_lists_every_activation():
    public = {name: getattr(xpnet, name) for name in dir(xpnet) if name.islower()}
    rows = {name for name, function in public.items() if hasattr(function, "row")}
    assert [*ACTIVATIONS] == sorted(rows | {"linear"})
    assert ACTIVATIONS["linear"] is ACTIVATIONS["identity"]
    assert ALONG_AXIS == ["log_softmax", "softmax"]
    assert [name for name, row in ROWS.items() if not row.is_learnable] == ["step"]
    assert [name for name, row in ROWS.items() if row.in_place] == ["relu", "sigmoid", "tanh"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        ACTIVATIONS["swish"] = ACTIVATIONS["silu"]


@NAMES
def test_rectifiers_are_close_to_the_larger_of_0_and_x(name):
    row = ROWS[name]
    below, zero, above = row(np.asarray([-3.0, 0.0, 3.0]), np)
    assert row.is_rectifier == (abs(below) < 1.0 and zero == 0.0 and above > 2.0)


def test_bounds_of_short_dtypes_follow_from_float32():
    for name in ELEMENTWISE:
        single, *short = map(ROWS[name].ulp_bound, ("float32", "float16", "bfloat16"))
        assert short == [min(1, single)] * 2, name


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [100, None])  # relu has a form for few numbers
def test_overwriting_gives_the_same_bits_and_derivatives(name, dtype, size):
    infinity = np.asarray(INF, dtype)
    kind = f"i{infinity.itemsize}"
    # Numbers of all sizes and signs, most of them where functions bend; or some of these.
    x = np.arange(0, infinity.view(kind), infinity.view(kind) // 100_000, kind).view(dtype)
    x = np.concatenate([x, np.linspace(0.0, 800.0, 400_001).astype(dtype), [infinity]])
    x = np.concatenate([-x, x, np.asarray([NAN, -NAN], dtype)])
    x = x if size is None else np.random.default_rng(0).choice(x, size)
    row, given = ROWS[name], x.copy()
    with np.errstate(all="ignore"):
        expected = row(x, np)
        found = row.in_place(np, given.dtype)(given, np)
        slopes = [row.gradient(np.ones_like(x), z, expected, np) for z in (x, expected)]
    assert found is given
    # Below the slack, one of the two may be 0.
    slack = 2.0 ** (-120 if dtype == "float32" else -1000)
    found, expected = (np.where(np.abs(y) < slack, 0.0, y) for y in (found, expected))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(*slopes)  # the argument is lost: the result suffices
