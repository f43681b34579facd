"""Error bounds: complete, stated in docstrings, and kept by the results."""

import itertools

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import library_of
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import log_softmax_bound, softmax_bound

LIBRARIES = ("numpy", "torch", "jax")
WIDTHS = (2, 10, 63, 64, 1_000, 10_000)
SPREADS = (0.1, 5.0, 30.0, 200.0)
# Every elementwise function with its defaults, and options that have bounds of their own.
BOUNDED = [(name, {}) for name, row in ACTIVATIONS.items() if row.is_elementwise]
BOUNDED += [("gelu", {"approximate": "tanh"}), ("softplus", {"beta": 2.0})]


def bounds_of(name, options, library):
    row = ACTIVATIONS[name]
    return tuple(row.ulp_bound(library, dtype, **options) for dtype in ("float32", "float64"))


def sentence(name, options):
    """Return the sentence of a docstring that states the bounds."""
    start = 'With approximate="tanh", the error' if options else "The error"
    bounds = [bounds_of(name, options, library) for library in LIBRARIES]
    each = {int(bound) for pair in bounds for bound in pair}
    if each == {0}:
        return "The result is exact."
    if len(each) == 1:
        return f"{start} is at most {each.pop()} ULP in float32 and float64."
    numpy, torch, jax = (f"{single:.0f} and {double:.0f}" for single, double in bounds)
    return (
        f"{start} is at most, in float32 and float64: {numpy} ULP on NumPy, {torch} on torch,"
        f" {jax} on JAX."
    )


def test_docstrings_state_the_bounds(subtests):
    for name, options in BOUNDED:
        if "beta" not in options:
            with subtests.test(name=name, **options):
                docstring = getattr(xpnet, ACTIVATIONS[name].name).__doc__
                assert sentence(name, options) in " ".join(docstring.split())


def test_bounds_are_small_integers():
    for name, options in BOUNDED:
        for library in LIBRARIES:
            bounds = bounds_of(name, options, library)
            assert all(bound in range(14) for bound in bounds), (name, options, library)


def test_short_dtypes_are_rounded_once():
    for name, options in BOUNDED:
        for library in (*LIBRARIES, "dask", "array_api_strict", "cupy"):
            is_exact = bounds_of(name, options, library)[0] == 0
            expected = 0 if is_exact else 3 if "beta" in options else 1
            for dtype in ("float16", "bfloat16"):
                bound = ACTIVATIONS[name].ulp_bound(library, dtype, **options)
                assert bound == expected, (name, options, library, dtype)


def test_bounds_of_libraries_with_the_functions_of_numpy():
    for name, options in BOUNDED:
        single, double = bounds_of(name, options, "numpy")
        for library in ("dask", "array_api_strict"):
            assert bounds_of(name, options, library) == (single, double), (name, options)
        if name == "tanh_shrink":  # from CUDA's own tanh
            single = 10
        expected = (single, double + 1 if double else 0)
        assert bounds_of(name, options, "cupy") == expected, (name, options)


@pytest.mark.parametrize(
    ("name", "options", "library", "expected"),
    [
        ("relu", {}, "jax", (0, 0)),
        ("gelu", {}, "numpy", (6, 4)),
        ("gelu", {"approximate": "tanh"}, "numpy", (4, 3)),
        ("softplus", {}, "torch", (2, 2)),
        ("softplus", {"beta": 1.0}, "torch", (2, 2)),
        ("softplus", {"beta": 0.5}, "torch", (4, 4)),
        ("tanh", {}, "jax", (5, 8)),
    ],
)
def test_bounds_depend_on_library_and_options(name, options, library, expected):
    assert bounds_of(name, options, library) == expected


@pytest.mark.parametrize(
    ("name", "library", "dtype"),
    [
        ("softmax", "numpy", "float32"),
        ("tanh", "sparse", "float32"),
        ("tanh", "extra", "float32"),
        ("tanh", "numpy", "float128"),
    ],
)
def test_unknown_bounds(name, library, dtype):
    message = f"no error bound is known for '{name}' of '{library}' arrays of {dtype}"
    with pytest.raises(ValueError, match=message):
        ACTIVATIONS[name].ulp_bound(library, dtype)


# The rounding error of beta * x, amplified by exp, would be up to 440 ULP.
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softplus_with_any_beta(xp_backend, dtype):
    mp = pytest.importorskip("mpmath", reason="true values are computed by mpmath").mp
    library = library_of(xp_backend.asarray([0.0]))
    for beta in (0.07, 0.3, 0.7, 10.0):
        end = (85 if dtype == "float32" else 700) / beta
        x = np.random.default_rng(5).uniform(-end, 4 / beta, 400).astype(dtype)
        result = xpnet.softplus(xp_backend.asarray(x, dtype), beta=beta)
        got = xp_backend.check(result, dtype=dtype, shape=x.shape)
        bound = ACTIVATIONS["softplus"].ulp_bound(library, dtype, beta=beta)
        with mp.workdps(40):
            for v, y in zip(x, got, strict=True):
                true = mp.log1p(mp.exp(mp.mpf(beta) * mp.mpf(float(v)))) / mp.mpf(beta)
                ulp = float(np.spacing(np.dtype(dtype).type(true)))
                error = float(abs(mp.mpf(float(y)) - true)) / ulp
                assert error <= bound, f"softplus({v}, beta={beta}) gave {y}: {error} ULP"


def logits(width, spread, dtype="float32"):
    random = np.random.default_rng(width)
    return random.uniform(-spread, 0, (max(2, 200 // width), width)).astype(dtype)


def exact(x):
    """Return the probabilities and their logarithms in float64, and the distances from the top."""
    x = x.astype(np.float64)
    below = np.max(x, axis=-1, keepdims=True) - x
    logs = -below - np.log(np.sum(np.exp(-below), axis=-1, keepdims=True))
    return np.exp(logs), logs, below


def test_softmax_keeps_its_bound(subtests):
    tiny = float(np.finfo(np.float32).tiny)
    for width, spread in itertools.product(WIDTHS, SPREADS):
        with subtests.test(width=width, spread=spread):
            x = logits(width, spread)
            probabilities, _, below = exact(x)
            error = np.abs(xpnet.softmax(x) - probabilities)
            bound = softmax_bound(below, width, "numpy", "float32")
            assert np.max(error / (bound * np.maximum(probabilities, tiny))) <= 1


def test_log_softmax_keeps_its_bound(subtests):
    for width, spread in itertools.product(WIDTHS, SPREADS):
        with subtests.test(width=width, spread=spread):
            x = logits(width, spread)
            _, logs, below = exact(x)
            error = np.abs(xpnet.log_softmax(x) - logs)
            assert np.max(error / log_softmax_bound(below, width, "numpy", "float32")) <= 1


@pytest.mark.parametrize("bound", [softmax_bound, log_softmax_bound])
def test_bounds_of_rows_grow_with_what_makes_errors(bound):
    one = bound(1.0, 10, "numpy", "float32")
    assert bound(50.0, 10, "numpy", "float32") > one
    assert bound(1.0, 1_000, "numpy", "float32") > one
    assert bound(1.0, 10, "jax", "float32") > one
    assert bound(1.0, 10, "numpy", "float64") < one < bound(1.0, 10, "numpy", "float16")
    assert bound(1.0, 10, "numpy", "float16") < bound(1.0, 10, "torch", "bfloat16")


@pytest.mark.parametrize("xp_backend", ["numpy", "torch", "jax"], indirect=True)
@pytest.mark.parametrize("spread", [0.1, 5.0])
def test_a_float16_softmax_of_many_classes(xp_backend, spread):
    x = logits(10_000, spread, "float16")
    probabilities, _, _ = exact(x)
    result = to_numpy(xpnet.softmax(xp_backend.asarray(x, "float16")))
    assert result.dtype == np.float16
    spacing = np.spacing(probabilities.astype(np.float16)).astype(np.float64)
    assert np.max(np.abs(result.astype(np.float64) - probabilities) / spacing) <= 1
    # A sum in float16 would stop at a few thousand.
    assert np.sum(result, axis=-1, dtype=np.float64) == pytest.approx(1.0, abs=0.01)
