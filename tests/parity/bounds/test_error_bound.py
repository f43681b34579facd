"""error_bound: kept by every correct computation, and close to the largest errors."""

import itertools

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import compare, error_bound, stage_results

F32 = np.float32
USUAL = 1.0 - 1e-6
MODES = pytest.mark.parametrize("confidence", [USUAL, 1.0], ids=["probabilistic", "worst case"])
RNG = np.random.default_rng(0)
ARRAYS = Standardize(RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6))
WHITEN = Whiten(RNG.normal(size=6), RNG.normal(size=(6, 6)))


def test_every_stage_has_values_and_bounds(xp_backend, random_network):
    network = random_network([6, 5, 4], ["gelu", "softmax"], preprocessing=Scale(0.5))
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


def in_order(network, rows, seed):
    """Return the results of all stages, each sum added one by one in a random order."""
    rng, results = np.random.default_rng(seed), [network.inputs(rows, np)]
    for layer in network.layers:
        y = results[-1]
        z = np.zeros((len(y), layer.n_out), network.dtype)
        for i in rng.permutation(layer.n_in):
            z += y[:, i, None] * layer.weight[i]
        results.append(layer.activate(z + layer.bias, np))
    return results


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_true_errors_are_in_bound(activation, dtype, confidence, random_network, shares):
    network = random_network([40, 30, 20], [activation, "tanh"], dtype=dtype)
    x = np.random.default_rng(5).normal(size=(20, 40)).astype(dtype)
    found = error_bound(network, x, confidence=confidence)
    assert found.dtype == dtype
    assert 0.0 < max(shares(found, in_order(network, x, 0))) <= 1.0
    assert max(shares(found, in_order(network, x, 1))) <= 1.0
    assert max(shares(found, stage_results(network, x))) <= 1.0
    for size in () if dtype == "float16" else (1e8, 1e15, 1e30):
        far = error_bound(network, x * F32(size), confidence=confidence)
        assert max(shares(far, stage_results(network, x * F32(size)))) <= 1.0


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
        weight, bias = rng.normal(0.0, gain * n_in**-0.5, (n_in, n_out)), rng.normal(0, 0.1, n_out)
        layers.append(Dense(weight.astype(dtype), bias.astype(dtype), name, options))
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
def test_random_networks_are_in_bound(library, n, moved):
    n_judged = 0
    for seed in range(n):
        network, rows = random_case(seed)
        if library == "jax" and network.dtype == np.float64:  # it has none by default
            network = network.astype("float32")
        results = stage_results(moved(network, library), rows)
        for confidence in (1.0, USUAL):  # with each layer by itself
            report = compare(network, rows, {"it": results}, confidence=confidence)
            assert report.candidates["it"].first_out is None, seed
        n_judged += report.is_in_bound
    assert n_judged > 0.6 * n


@pytest.mark.parametrize("library", ["jax", "array-api-strict:no_float64"])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_rows_of_64_bits_without_float64(library, dtype, random_network, moved, shares):
    for mean in (100.0, 1.7e9):
        network = random_network(preprocessing=Standardize(mean, 1.0))
        rows = (mean + np.random.default_rng(0).normal(0.0, 3.0, (50, 20))).astype(dtype)
        results = stage_results(moved(network, library), rows)
        assert max(shares(error_bound(network, rows), results)) <= 1.0


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
def test_bounds_of_preprocessed_inputs(dtype, kind, confidence, random_network, shares):
    is_cast = kind in {"int32", "float64"} or (dtype == "float16" and kind != "uint8")
    largest, table = (65535, WIDE) if is_cast else (255, NARROW)
    rows = np.random.default_rng(0).uniform(0, largest, (500, 6)).astype(kind)
    for steps in table:
        network = random_network([6, 5], ["sigmoid"], dtype=dtype, preprocessing=steps)
        found = error_bound(network, rows, confidence=confidence)
        first, last = shares(found, stage_results(network, rows))
        assert (0.9 if is_cast else 0.05) < first <= 1.0, steps  # and so it is sharp
        assert last <= 1.0, steps


@MODES
@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", "float16", "f4", "int32", "float64"])
def test_inputs_are_exact_where_their_dtype_is(kind, confidence, random_network):
    network = random_network([6, 4], ["identity"])
    x = (100.0 * np.random.default_rng(1).normal(size=(5, 6))).astype(kind)
    given, exact = (error_bound(network, y, confidence=confidence) for y in (x, x.astype(F32)))
    is_wide = kind in {"int32", "float64"}
    assert np.any(given.stages[0].bound) == is_wide
    assert not np.any(exact.stages[0].bound)
    more = given.stages[-1].bound - exact.stages[-1].bound
    np.testing.assert_array_equal(np.sign(more), float(is_wide))


def test_the_cast_of_integers_is_rounded(random_network, shares):
    network = random_network([6, 4], ["identity"], dtype="float16")
    rows = np.arange(2049, 2055, dtype="int16")[None]
    found = error_bound(network, rows, confidence=1.0)
    assert max(shares(found, stage_results(network, rows))) <= 1.0


def test_more_confidence_means_larger_bounds_that_are_tight(shares):
    network, x = xpnet.load("sample"), xpnet.sample()[0].reshape(-1, 784)
    less, usual, worst = (error_bound(network, x, confidence=p) for p in (0.5, USUAL, 1.0))
    assert np.all(less.stages[-1].bound < usual.stages[-1].bound)
    assert 0.1 < max(shares(usual, stage_results(network, x))) < 1.0
    assert 3.0 < np.median(worst.stages[-1].bound / usual.stages[-1].bound) < 300.0
    assert worst.confidence == 1.0


def test_sequential_sums_of_equal_terms_need_the_worst_case(shares):
    # All additions err in the same direction, contrary to the probabilistic model.
    network, x = (
        Network([Dense(np.ones((20_000, 1), F32), np.zeros(1, F32))]),
        np.full((1, 20_000), 0.1, F32),
    )
    results = [x, np.cumsum(x, axis=1, dtype=F32)[:, -1:]]
    assert max(shares(error_bound(network, x), results)) > 1.0
    assert max(shares(error_bound(network, x, confidence=1.0), results)) < 1.0


def test_bfloat16_has_a_bound(shares):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    weight, x = (torch.asarray(rng.normal(size=size)).bfloat16() for size in ((9, 4), (5, 9)))
    network = Network([Dense(weight, torch.zeros(4).bfloat16(), "sigmoid")])
    found = error_bound(network, x)
    assert found.dtype == "bfloat16"
    results = [x.float().numpy(), network(x).float().numpy()]
    assert 0.01 < max(shares(found, results)) <= 1.0
