"""The table of error bounds: complete, refused where unknown, and kept."""

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import library_of
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.bounds import ULP_BOUNDS, log_softmax_bound, softmax_bound, ulp_bound
from xpnet.functions.dtype_constants import PRECISIONS, TAIL_BEND

LIBRARIES = ("numpy", "dask", "array_api_strict", "torch", "jax", "cupy")
WIDTHS = (2, 10, 63, 64, 1_000, 10_000)
FITS = Path(__file__).parent / "tables" / "fit_polynomials.py"


def test_every_elementwise_function_has_bounds():
    names = {row.name for row in ACTIVATIONS.values() if row.is_elementwise}
    assert set(ULP_BOUNDS) == names | {"gelu_tanh"}


@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_bounds_are_whole_and_small(name):
    assert list(ULP_BOUNDS[name]) == ["numpy", "torch", "jax"]
    bounds = [bound for pair in ULP_BOUNDS[name].values() for bound in pair]
    assert len(bounds) == 6
    assert all(0 <= bound <= 13 and bound == int(bound) for bound in bounds)


def sentence(name, start="The error is"):
    """Return what a docstring must say."""
    bounds = {bound for pair in ULP_BOUNDS[name].values() for bound in pair}
    if bounds == {0}:
        return "Exact."
    if len(bounds) == 1:
        return f"{start} at most {bounds.pop()} ULP in float32 and float64."
    numpy, torch, jax = (f"{pair[0]} and {pair[1]}" for pair in ULP_BOUNDS[name].values())
    return (
        f"{start} at most, in float32 and float64: {numpy} ULP on NumPy, {torch} on torch,"
        f" {jax} on JAX."
    )


@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_docstrings_state_the_bounds(name):
    is_form = name == "gelu_tanh"
    function = xpnet.gelu if is_form else getattr(xpnet, name)
    start = "That of the tanh form is" if is_form else "The error is"
    assert sentence(name, start) in " ".join(function.__doc__.split())


@pytest.mark.parametrize(
    ("name", "library"),
    [("swish", "numpy"), ("softmax", "numpy"), ("tanh", "sparse"), ("linear", "jax")],
)
def test_unknown_bounds(name, library):
    with pytest.raises(ValueError, match=f"no bound is known for '{name}' of '{library}' arrays"):
        ulp_bound(name, library, "float32")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_short_dtypes_are_rounded_once(name, library, dtype):
    is_exact = name in {"hard_shrink", "hard_tanh", "identity", "relu", "relu6", "step"}
    expected = 0 if is_exact or name == "threshold" else 1
    assert ulp_bound(name, library, dtype) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_bounds_of_libraries_with_numpys_functions(name, dtype):
    bound = ulp_bound(name, "numpy", dtype)
    assert bound == ULP_BOUNDS[name]["numpy"][dtype == "float64"]
    assert ulp_bound(name, "dask", dtype) == ulp_bound(name, "array_api_strict", dtype) == bound


@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_cupy_has_numpys_bounds_and_one_more_in_float64(name):
    single, double = (ulp_bound(name, "numpy", dtype) for dtype in ("float32", "float64"))
    if name == "tanh_shrink":  # of CUDA's own tanh
        single = 10.0
    assert ulp_bound(name, "cupy", "float32") == single
    assert ulp_bound(name, "cupy", "float64") == (double + 1 if double else 0)


@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("name", ULP_BOUNDS)
def test_torch_and_jax_have_columns_of_their_own(name, library):
    bounds = tuple(ulp_bound(name, library, dtype) for dtype in ("float32", "float64"))
    assert bounds == ULP_BOUNDS[name][library]


def test_an_unknown_dtype():
    with pytest.raises(ValueError, match="no bound is known for dtype float128"):
        ulp_bound("tanh", "numpy", "float128")


# Where the rounding of beta * x, amplified by exp, cost up to 440 ULP.
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("beta", [0.07, 0.3, 0.7, 10.0])
def test_softplus_with_any_beta(xp_backend, beta, dtype):
    mp = pytest.importorskip("mpmath", reason="true values are computed by mpmath").mp
    end = (85 if dtype == "float32" else 700) / beta
    x = np.random.default_rng(5).uniform(-end, 4 / beta, 400).astype(dtype)
    got = xp_backend.check(
        xpnet.softplus(xp_backend.asarray(x, dtype), beta=beta), dtype=dtype, shape=x.shape
    )
    library = library_of(xp_backend.asarray([0.0]))
    bound = ulp_bound("softplus", library, dtype) + 2
    with mp.workdps(40):
        exact = [mp.log1p(mp.exp(mp.mpf(beta) * mp.mpf(float(v)))) / mp.mpf(beta) for v in x]
        errors = [
            float(abs(mp.mpf(float(y)) - true)) / float(np.spacing(np.dtype(dtype).type(true)))
            for y, true in zip(got, exact, strict=True)
        ]
    assert max(errors) <= bound


def logits(width, spread, dtype="float32"):
    random = np.random.default_rng(width)
    return random.uniform(-spread, 0, (max(2, 200 // width), width)).astype(dtype)


def exact(x):
    """Return the probabilities and their logarithms in float64, and the distances from the top."""
    x = x.astype(np.float64)
    below = np.max(x, axis=-1, keepdims=True) - x
    logs = -below - np.log(np.sum(np.exp(-below), axis=-1, keepdims=True))
    return np.exp(logs), logs, below


@pytest.mark.parametrize("spread", [0.1, 5.0, 30.0, 200.0])
@pytest.mark.parametrize("width", WIDTHS)
def test_softmax_keeps_its_bound(width, spread):
    x = logits(width, spread)
    probabilities, _, below = exact(x)
    error = np.abs(xpnet.softmax(x) - probabilities)
    tiny = float(np.finfo(np.float32).tiny)
    bound = softmax_bound(below, width, "numpy", "float32")
    assert np.all(error <= bound * np.maximum(probabilities, tiny))


@pytest.mark.parametrize("spread", [0.1, 5.0, 30.0, 200.0])
@pytest.mark.parametrize("width", WIDTHS)
def test_log_softmax_keeps_its_bound(width, spread):
    x = logits(width, spread)
    _, logs, below = exact(x)
    error = np.abs(xpnet.log_softmax(x) - logs)
    assert np.all(error <= log_softmax_bound(below, width, "numpy", "float32"))


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
def test_a_float16_softmax_of_many_classes_is_the_rounded_true_value(xp_backend, spread):
    x = logits(10_000, spread, "float16")
    probabilities, _, _ = exact(x)
    result = to_numpy(xpnet.softmax(xp_backend.asarray(x, "float16")))
    assert result.dtype == np.float16
    spacing = np.spacing(probabilities.astype(np.float16)).astype(np.float64)
    assert np.max(np.abs(result.astype(np.float64) - probabilities) / spacing) <= 1
    # Added up in float16 the sum would stop at a few thousand.
    assert np.sum(result, axis=-1, dtype=np.float64) == pytest.approx(1.0, abs=0.01)


def test_the_polynomials_are_what_their_program_fits():
    pytest.importorskip("mpmath", reason="polynomials are fitted by mpmath")
    spec = importlib.util.spec_from_file_location("fit_polynomials", FITS)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert set(program.FITS) == set(PRECISIONS)
    for bits, fits in program.FITS.items():
        for name, coefficients in fits.items():
            assert getattr(PRECISIONS[bits], name) == tuple(coefficients), (bits, name)


@pytest.mark.parametrize(("bits", "dtype"), [(32, "float32"), (64, "float64")])
def test_the_limits_are_what_they_say(bits, dtype):
    precision, limits = PRECISIONS[bits], np.finfo(dtype)
    number = limits.dtype.type
    with np.errstate(over="ignore"):
        end = number(precision.largest_exponent)
        assert end == precision.largest_exponent
        assert np.isfinite(np.exp(end))
        assert np.isinf(np.exp(np.nextafter(end, number(np.inf))))
        assert np.isfinite(2 * np.exp(number(precision.safe_exponent)))
        assert 1 / np.exp(number(precision.safe_exponent)) < limits.tiny
    assert TAIL_BEND == 0.4375


@pytest.mark.parametrize(("bits", "dtype"), [(32, "float32"), (64, "float64")])
def test_the_largest_selu(bits, dtype):
    largest, number = PRECISIONS[bits].largest_selu, np.dtype(dtype).type
    assert number(largest) == largest
    scale = Fraction("1.0507009873554804934193349852946")
    following = float(np.nextafter(number(largest), number(np.inf)))
    # From half a unit beyond the largest number on, values round to infinity.
    eps = Fraction(float(np.finfo(dtype).eps))
    end = Fraction(float(np.finfo(dtype).max)) * (1 + eps / (4 - 2 * eps))
    assert scale * Fraction(largest) < end <= scale * Fraction(following)
    y = xpnet.selu(np.asarray([largest, np.nextafter(number(largest), number(np.inf))], dtype))
    assert np.isfinite(y[0])
    assert np.isinf(y[1])
