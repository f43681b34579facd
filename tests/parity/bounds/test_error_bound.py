"""error_bound: kept by every correct computation, exceeded by faults, inf where none exists."""

import itertools
import math

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.inference.chunks import suited
from xpnet.parity import compare, error_bound
from xpnet.testing.backends import open_backend

F32 = np.float32
USUAL = 1.0 - 1e-6
MODES = pytest.mark.parametrize("confidence", [USUAL, 1.0], ids=["probabilistic", "worst case"])
DTYPES = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
RNG = np.random.default_rng(0)
ARRAYS = Standardize(RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6))
WHITEN = Whiten(RNG.normal(size=6), RNG.normal(size=(6, 6)))


def random_layer(rng, n_in, n_out, activation="identity", dtype=F32, **options):
    weight = rng.normal(0.0, n_in**-0.5, (n_in, n_out)).astype(dtype)
    return Dense(weight, rng.normal(0.0, 0.1, n_out).astype(dtype), activation, options)


def random_network(seed, widths, activations, dtype=F32, steps=()):
    rng = np.random.default_rng(seed)
    layers = zip(itertools.pairwise(widths), activations, strict=True)
    layers = [random_layer(rng, *shape, name, dtype) for shape, name in layers]
    return Network(layers, steps, "values")


def one_layer(weight, bias, activation="identity", dtype=F32, steps=(), **options):
    layer = Dense(np.asarray(weight, dtype), np.asarray(bias, dtype), activation, options)
    return Network([layer], steps)


def computed(network, rows, library="numpy"):
    """Return the results of all stages, computed by a library."""
    backend = open_backend(library)
    with backend.flags, np.errstate(all="ignore"):
        if library != "numpy":
            network = network.map_arrays(backend.make)
        network, x = suited(network, rows)
        xp = array_namespace(x)
        results = [network.inputs(x, xp), *(y for _, y in network.layer_results(x, xp))]
        return [to_numpy(y) for y in results]


def in_order(network, rows, seed):
    """Return the results of all stages, each sum added one by one in a random order."""
    rng, results = np.random.default_rng(seed), [network.inputs(rows, np)]
    for layer in network.layers:
        y = results[-1]
        z = np.zeros((len(y), layer.n_out), network.dtype)
        for i in rng.permutation(layer.n_in):
            z += y[:, i, None] * layer.weight[i]
        results.append(ACTIVATIONS[layer.activation](z + layer.bias, np, **layer.options))
    return results


def shares(found, results):
    """Return the largest error of each stage as a share of its bound, in float64 of twice it."""
    largest, n_bounds = [], 2.0 if found.dtype == "float64" else 1.0
    for stage, result in zip(found.stages, results, strict=True):
        y = result.astype(np.float64)
        assert not np.any(np.isnan(stage.bound))
        with np.errstate(all="ignore"):
            error = np.abs(y - stage.values) / (n_bounds * stage.bound)
        is_same = (y == stage.values) | (np.isnan(y) & np.isnan(stage.values))
        error = np.where(is_same | np.isinf(stage.bound), 0.0, np.nan_to_num(error, nan=np.inf))
        largest.append(float(np.max(error, initial=0.0)))
    return largest


def test_every_stage_has_values_and_bounds(xp_backend):
    network = random_network(0, [6, 5, 4], ["gelu", "softmax"], steps=Scale(0.5))
    images = np.random.default_rng(1).normal(size=(7, 2, 3)).astype(F32)
    found, rows = error_bound(network, images), images.reshape(7, 6)
    names = ["preprocessing", "layer 1, gelu", "layer 2, softmax"]
    assert [stage.name for stage in found.stages] == names
    assert (found.dtype, found.confidence) == ("float32", USUAL)
    assert "(7, 5)" in repr(found.stages[1])
    np.testing.assert_array_equal(found.stages[-1].values, network.astype("float64")(rows))
    others = error_bound(network.map_arrays(xp_backend.make), xp_backend.asarray(rows)).stages
    for stage, same, width in zip(found.stages, others, (6, 5, 4), strict=True):
        assert stage.values.dtype == stage.bound.dtype == np.float64
        assert stage.bound.shape == (7, width)
        assert np.all(stage.bound > 0.0)
        np.testing.assert_array_equal(same.values, stage.values)
        np.testing.assert_array_equal(same.bound, stage.bound)
    assert error_bound(network, images[:0]).stages[-1].bound.shape == (0, 4)


NOT_FINITE = Network([Dense([[1.0, 1.0]], [0.0, math.nan]), Dense([[1.0], [1.0]], [0.0])])
TWO = one_layer(np.eye(2), [0.0, 0.0], "relu")


@pytest.mark.parametrize(
    ("network", "x", "confidence", "error", "word"),
    [
        ("sample", np.zeros((1, 2)), USUAL, TypeError, "Network"),
        (NOT_FINITE, np.zeros((1, 1)), USUAL, ValueError, "bias of layer 1"),
        (TWO, np.zeros((1, 2), complex), USUAL, TypeError, "complex128"),
        (TWO, np.zeros((1, 3)), USUAL, ValueError, "2"),
        (TWO, "pixels", USUAL, TypeError, "str"),
        *((TWO, np.zeros((1, 2)), p, ValueError, "confidence") for p in (0.0, 1.5, math.nan)),
    ],
)
def test_errors(network, x, confidence, error, word):
    with pytest.raises(error, match=word):
        error_bound(network, x, confidence=confidence)


@MODES
@DTYPES
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_true_errors_are_in_bound(activation, dtype, confidence):
    network = random_network(3, [40, 30, 20], [activation, "tanh"], dtype)
    x = np.random.default_rng(4).normal(size=(20, 40)).astype(dtype)
    found = error_bound(network, x, confidence=confidence)
    assert found.dtype == dtype
    assert 0.0 < max(shares(found, in_order(network, x, 0))) <= 1.0
    assert max(shares(found, in_order(network, x, 1))) <= 1.0
    assert max(shares(found, computed(network, x))) <= 1.0
    for size in () if dtype == "float16" else (1e8, 1e15, 1e30):
        far = error_bound(network, x * F32(size), confidence=confidence)
        assert max(shares(far, computed(network, x * F32(size)))) <= 1.0


def random_case(seed):
    """Return a network of any form, with rows of any dtype."""
    rng = np.random.default_rng(seed)
    dtype = str(rng.choice(["float32", "float32", "float16", "float64"]))
    widths = [int(rng.choice([1, 3, 8, 20, 64])) for _ in range(rng.integers(2, 5))]
    widths[0] = 300 if rng.random() < 0.05 else widths[0]
    ranges = {"elu": ("alpha", 6), "celu": ("alpha", 6), "leaky_relu": ("negative_slope", 0)}
    layers, gain = [], float(rng.choice([0.3, 1.0, 3.0]))
    for n_in, n_out in itertools.pairwise(widths):
        name = str(rng.choice(sorted(ACTIVATIONS)))
        option, most = ranges.get(name, ("", 0))
        options = {option: 10.0 ** rng.uniform(-6, most)} if option and rng.random() < 0.5 else {}
        layer = random_layer(rng, n_in, n_out, name, dtype, **options)
        weight = layer.weight * np.asarray(gain, dtype)
        layers.append(Dense(weight, layer.bias, name, options))
    n = widths[0]
    mean, scale = rng.uniform(20, 120, n).astype(dtype), rng.uniform(20, 90, n).astype(dtype)
    matrix = ((np.eye(n) + 0.3 * rng.normal(size=(n, n)) / n**0.5) / 64).astype(dtype)
    steps = [Scale(1 / 255), Standardize(mean, scale), Standardize(33.3, 78.1)]
    steps += [Whiten(mean, matrix), Scale(rng.choice([0.5, 1.0, -(2.0**-20), 2.0**-30, 3.0]))]
    used = [steps[i] for i in rng.permutation(5)[: rng.integers(0, 3)]]
    kinds = ["uint8", "float32", "float64", "float16", "int32", "int64", "uint16", dtype]
    shape = int(rng.choice([1, 5, 7, 40])), n  # few rows meet another form of the weight
    rows = (rng.integers(0, 256, shape) * (rng.random(shape) < 0.6)).astype(rng.choice(kinds))
    return Network(layers, used, "values"), rows


@pytest.mark.parametrize(
    ("library", "n"),
    # JAX compiles for seconds.
    [("numpy", 60), ("torch", 44), ("jax", 6), pytest.param("numpy", 500, marks=pytest.mark.slow)],
)
def test_random_networks_are_in_bound(library, n):
    pytest.importorskip(library, reason=f"{library} is not installed")
    n_judged = 0
    for seed in range(n):
        network, rows = random_case(seed)
        if library == "jax" and network.dtype == np.float64:  # it has none by default
            network = network.astype("float32")
        results = computed(network, rows, library)
        for confidence in (1.0, USUAL):  # with each layer by itself
            report = compare(network, rows, {"it": results}, confidence=confidence)
            assert report.candidates["it"].first_out is None, seed
        n_judged += report.is_in_bound
    assert n_judged > 0.6 * n


@pytest.mark.parametrize("backend", ["jax", "array-api-strict:no_float64"])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_device_without_float64_has_the_bounds_of_wide_rows(backend, dtype):
    pytest.importorskip(backend.partition(":")[0].replace("-", "_"))
    for mean in (100.0, 1.7e9):
        network = random_network(
            1, [20, 16, 10], ["relu", "identity"], steps=Standardize(mean, 1.0)
        )
        rows = (mean + np.random.default_rng(0).normal(0.0, 3.0, (50, 20))).astype(dtype)
        assert max(shares(error_bound(network, rows), computed(network, rows, backend))) <= 1.0


BY_255, BY_65535, MNIST = Scale(1 / 255), Scale(1 / 65535), Standardize(0.1307, 0.3081)
# Steps for rows below 256, and for rows below 65536.
NARROW = [(BY_255,), (MNIST,), (BY_255, MNIST), (Scale(0.1), ARRAYS, Scale(-3.0))]
NARROW += [(Standardize(10000.1, 1.0),), (Standardize(0.0, 3.0), Standardize(0.7))]
NARROW += [(BY_255, WHITEN), (MNIST, WHITEN, ARRAYS)]
WIDE = [(BY_65535,), (Standardize(30000.0, 20000.0),), (BY_65535, ARRAYS)]
WIDE += [(BY_65535, WHITEN), (BY_65535, WHITEN, ARRAYS)]


@MODES
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_bounds_of_preprocessed_inputs_are_kept_and_sharp(dtype, kind, confidence, subtests):
    is_cast = kind in {"int32", "float64"} or (dtype == "float16" and kind != "uint8")
    largest, table = (65535, WIDE) if is_cast else (255, NARROW)
    rows = np.random.default_rng(0).uniform(0, largest, (500, 6)).astype(kind)
    for steps in table:
        with subtests.test(str(steps)):
            network = random_network(0, [6, 5], ["sigmoid"], dtype, steps)
            found = error_bound(network, rows, confidence=confidence)
            first, last = shares(found, computed(network, rows))
            assert (0.9 if is_cast else 0.05) < first <= 1.0
            assert last <= 1.0


@MODES
@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", "float16", "f4", "int32", "float64"])
def test_inputs_are_exact_where_their_dtype_is(kind, confidence):
    network = random_network(0, [6, 4], ["identity"])
    x = (100.0 * np.random.default_rng(1).normal(size=(5, 6))).astype(kind)
    given, exact = (error_bound(network, y, confidence=confidence) for y in (x, x.astype(F32)))
    is_wide = kind in {"int32", "float64"}
    assert np.any(given.stages[0].bound) == is_wide
    assert not np.any(exact.stages[0].bound)
    more = given.stages[-1].bound - exact.stages[-1].bound
    np.testing.assert_array_equal(np.sign(more), float(is_wide))


def test_a_mean_that_cancels_leaves_an_absolute_error_before_the_cast_none():
    network = one_layer(np.eye(6), np.zeros(6), steps=Standardize(100.1, 1e-3))
    rows = np.asarray([[100.1, 100.2, 100.3, 100.1, 100.0, 99.9]])
    narrow, wide = (error_bound(network, x).stages[0] for x in (rows.astype(F32), rows))
    assert np.all((narrow.bound > 100.0 * 2.0**-25 / 1e-3) & (narrow.bound < 1e7 * 2.0**-24))
    assert np.all(wide.bound <= np.abs(wide.values) * 2.0**-24 * 1.001 + 1e-9)


HALF = np.random.default_rng(0).normal(size=(500, 4)).astype(F32)
CANCEL = Dense(np.concatenate([HALF, -HALF]), np.full(4, 1e-3, F32))
BYTES = np.tile(np.random.default_rng(0).integers(0, 256, (20, 500), dtype=np.uint8), 2)
EYE = Dense(np.eye(4, dtype=F32), np.zeros(4, F32))
STEP = Dense(F32([[1.0], [-1.0]]), np.zeros(1, F32), "step")
LARGE = {dtype: float(np.finfo(dtype).max) * 0.9 for dtype in ("float16", "float32")}
TINY = one_layer(np.full((300, 2), 1e-19), [0.0, 1e-39]), np.full((1, 300), 1e-19, F32), False
UNDERFLOW = F32([[0.0, -90.0, -110.0], [0.0, -100.0, -300.0]])
NOT_NUMBERS = F32([[math.nan, 1.0], [math.inf, 1.0], [-math.inf, 1.0]])
OPTIONS = [(name, "alpha", x) for name in ("elu", "celu") for x in (1e-6, 1e6)]
OPTIONS += [("leaky_relu", "negative_slope", 1e-30)]
# Steps whose intermediate numbers overflow or underflow, and rows.
FAR_STEPS = [
    ([Scale(1e-10)], np.asarray([[1e39, 1.0]])),
    ([Scale(1e45)], np.asarray([[1e-50, 1e-10]])),
    ([Scale(1e30), Scale(1e-30)], np.asarray([[1e20, 1.0]])),
    ([Scale(1.0 / 255.0)], np.asarray([[1.7e-43, 3e-46]])),
    ([Scale(1e-42)], F32([[1e3, 0.0]])),
    ([Standardize(0.0, 1e39)], np.asarray([[1e38, 1e38]])),
    ([Standardize(F32([1e-40, 0]), F32([1, 2.0**127]))], F32([[1e-38, 1e30]])),
    ([Scale(1e30), Standardize(1e30, 1e30)], F32([[1.0 + 2.0**-20, 1.0]])),
    ([Whiten(F32([0, 0]), F32([[1e-40, 1], [1, 1e-40]]))], F32([[1e3, 1e3]])),
]
# Network, rows, and which outputs have no bound.
SPECIAL = {
    "terms cancel": (Network([CANCEL, EYE, EYE]), np.tile(HALF.T[:2], 2), False),
    "terms of bytes cancel": (Network([CANCEL, EYE], Scale(1 / 255)), BYTES, False),
    "terms of few bytes cancel": (Network([CANCEL, EYE], Scale(1 / 255)), BYTES[:3], False),
    "products below the normal numbers": TINY,
    "probabilities underflow": (one_layer(np.eye(3), np.zeros(3), "softmax"), UNDERFLOW, False),
    "step within reach": (
        one_layer([[1.0, 1.0], [-1.0, 1.0]], [0.0, 0.0], "step"),
        F32([[0.1, 0.1], [0.1, 0.3]]),
        [[True, False], [False, False]],
    ),
    "no bound before": (
        Network([STEP, random_layer(np.random.default_rng(0), 1, 2, "tanh")]),
        F32([[0.1, 0.1], [0.1, 0.3]]),
        [[True], [False]],
    ),
    "step at exact zeros": (one_layer([[1], [1]], [0], "step"), np.zeros((1, 2), F32), False),
    "step at a subnormal input": (one_layer([[1.0]], [0.0], "step"), F32([[1e-40]]), True),
    "step at a subnormal bias": (one_layer([[1.0]], [1e-40], "step"), F32([[0.0]]), True),
    "selu of subnormal": (one_layer([[1.0]], [0.0], "selu"), F32([[-9.4e-39]]), False),
    "elu of subnormal bias": (one_layer([[1.0]], [-9.4e-39], "elu"), F32([[0.0]]), False),
    "exponential": (
        one_layer([[1.0]], [0.0], "exponential"),
        F32([[88.722839], [88.0], [-1e6]]),
        [[True], [False], [False]],
    ),
}
for dtype, large in LARGE.items():
    row = (np.asarray([[1, 1, -1], [0.3, -0.3, 0.3], [1e-4, 0, 0]]) * large).astype(dtype)
    network = one_layer(np.ones((3, 1)), [0.0], dtype=dtype)
    SPECIAL[f"sum overflows in {dtype}"] = network, row, [[True], [False], [False]]
    network = one_layer([[1.0, 1.0], [-10.0, 0.1]], [0.0, 0.0], dtype=dtype)
    SPECIAL[f"infinity in {dtype}"] = network, np.asarray([[math.inf, large]], dtype), [True, False]
for name in ("relu", "sigmoid", "softmax", "silu", "identity"):
    network = one_layer([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]], np.zeros(3), name)
    SPECIAL[f"not numbers, {name}"] = network, NOT_NUMBERS, False
for name, option, value in OPTIONS:
    network = one_layer([[1.0, -1.0]], [0.0, 0.0], name, **{option: value})
    SPECIAL[f"{name}({value:g})"] = network, F32([[0.0], [1], [-50], [1e30], [1e-33]]), False
for steps, row in FAR_STEPS:
    SPECIAL[str(steps)] = one_layer(np.eye(2), [0, 0], "softsign", steps=steps), row, False


@MODES
@pytest.mark.parametrize("library", ["numpy", "jax"])  # JAX counts subnormal numbers as 0
@pytest.mark.parametrize("name", SPECIAL)
def test_special_cases(name, library, confidence):
    pytest.importorskip(library, reason=f"{library} is not installed")
    network, rows, is_unbounded = SPECIAL[name]
    found = error_bound(network, rows, confidence=confidence)
    last = found.stages[-1]
    assert np.all(np.isinf(last.bound) == is_unbounded)
    assert np.all(last.bound[~np.isfinite(last.values) & np.isfinite(last.bound)] == 0.0)
    assert max(shares(found, computed(network, rows, library))) <= 1.0


def test_other_results_of_special_cases_are_in_bound():
    # Products, or probabilities, that are flushed to zero; a NaN that was lost.
    network, rows, _ = TINY
    assert max(shares(error_bound(network, rows), [rows, np.zeros((1, 2))])) <= 1.0
    network, rows, _ = SPECIAL["probabilities underflow"]
    assert max(shares(error_bound(network, rows), [rows, F32([[1, 0, 0]] * 2)])) <= 1.0
    network, rows, _ = SPECIAL["not numbers, relu"]
    assert shares(error_bound(network, rows), [rows, np.zeros((3, 3))])[-1] == math.inf
    network, rows, _ = SPECIAL["terms cancel"]
    assert max(shares(error_bound(network, rows), in_order(network, rows, 1))) <= 1.0


def test_a_row_with_nan_or_infinity_leaves_others_bounds():
    rows = np.ones((2, 6), F32)
    for step, number in itertools.product((ARRAYS, WHITEN), (math.nan, math.inf)):
        rows[0, 2] = number
        stage = error_bound(random_network(0, [6, 5], ["tanh"], steps=step), rows).stages[0]
        is_finite = np.isfinite(stage.values)
        assert is_finite.sum() == (11 if step is ARRAYS else 6)
        assert np.all(stage.bound[~is_finite] == 0.0)
        assert np.all(np.isfinite(stage.bound) & ((stage.bound > 0.0) == is_finite))


def test_partial_sums_of_whitening_that_may_overflow_have_no_bound():
    step = Whiten(np.zeros(2, F32), F32([[1.0, 1.0], [-1.0, 0.2]]))
    rows = F32([[LARGE["float32"]] * 2])
    for confidence in (USUAL, 1.0):
        found = error_bound(one_layer(np.eye(2), [0, 0], steps=step), rows, confidence=confidence)
        is_certain = confidence != 1.0  # the sum of one positive and one negative term
        assert np.isfinite(found.stages[0].bound[0, 0]) == is_certain
        assert np.isinf(found.stages[0].bound[0, 1])


def test_more_confidence_means_larger_bounds_that_are_tight():
    network, x = xpnet.load("sample"), xpnet.sample()[0].reshape(-1, 784)
    less, usual, worst = (error_bound(network, x, confidence=p) for p in (0.5, USUAL, 1.0))
    assert np.all(less.stages[-1].bound < usual.stages[-1].bound)
    assert 0.1 < max(shares(usual, computed(network, x))) < 1.0
    assert 3.0 < np.median(worst.stages[-1].bound / usual.stages[-1].bound) < 300.0
    assert worst.confidence == 1.0


def test_sequential_sums_of_equal_terms_need_the_worst_case():
    # All additions err in the same direction, contrary to the probabilistic model.
    network, x = one_layer(np.ones((20_000, 1)), [0.0]), np.full((1, 20_000), 0.1, F32)
    results = [x, np.cumsum(x, axis=1, dtype=F32)[:, -1:]]
    assert max(shares(error_bound(network, x), results)) > 1.0
    assert max(shares(error_bound(network, x, confidence=1.0), results)) < 1.0


def test_bfloat16_has_a_bound():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    weight, x = (torch.asarray(rng.normal(size=size)).bfloat16() for size in ((9, 4), (5, 9)))
    network = Network([Dense(weight, torch.zeros(4).bfloat16(), "sigmoid")])
    found = error_bound(network, x)
    assert found.dtype == "bfloat16"
    results = [x.float().numpy(), network(x).float().numpy()]
    assert 0.01 < max(shares(found, results)) <= 1.0
