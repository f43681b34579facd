"""Reproducible results: their errors, special numbers, forms of input, and what is refused."""

import warnings

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, reproducible
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.testing.backends import open_backend


@pytest.fixture(scope="module")
def network(program):
    """Return a network with preprocessing that could be folded."""
    steps = (Scale(1 / 3), Standardize(40.0, program.numbers((48,), 3) + 20.0))
    return program.network_of((48, 24, 6), ("sigmoid", "identity"), steps=steps)


@pytest.fixture(scope="module")
def rows(program):
    return program.pixels(3000, 48)


def same(found, expected):
    assert found.dtype == expected.dtype
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"step"}))
def test_a_result_is_the_one_in_float64_rounded(name, program):
    """Within 1 ULP; near 0, where sums cancel, of a thousandth of the largest result."""
    network = program.network_of((60, 40, 30, 10), name)
    x = np.random.default_rng(1).standard_normal((200, 60)).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = network.astype("float64")(x).astype(np.float32)
    found, largest = reproducible(network)(x), np.max(np.abs(expected[np.isfinite(expected)]))
    np.testing.assert_allclose(found, expected, 2.0**-23, 1e-3 * 2.0**-23 * largest)
    assert np.sum(found != expected) <= np.sum(network(x) != expected)


def test_rows_of_nan_stay_alone(network, rows):
    given, there = rows[:99].astype(np.float32), reproducible(network)
    expected = there(given)
    given[::2, 3] = np.nan
    expected[::2] = np.nan  # of one sign
    same(there(given), expected)


def test_results_are_neither_subnormal_nor_negative_zero():
    for dtype, smallest in (("float32", 2.0**-126), ("float64", 2.0**-1000)):
        network = reproducible(Network([Dense(np.eye(1, dtype=dtype), np.zeros(1, dtype))]))
        x = np.asarray([[-0.0], [smallest / 2], [-smallest / 2], [-(2.0**-1021)]])
        same(network(x), np.zeros((4, 1), dtype))
        if dtype == "float32":  # the smallest normal number
            given = np.asarray([[smallest]], dtype)
            same(network(given), given)


def test_dtypes_and_memory_orders_of_the_same_values(network, rows):
    network = reproducible(network)
    expected = network(rows)
    for dtype in ("float16", "float32", "float64", "int16", "int64", "uint16", ">f4", ">i8"):
        same(network(rows.astype(dtype)), expected)
        same(network(np.asfortranarray(rows.astype(dtype))), expected)
    same(network(rows.reshape(30, 100, 48)).reshape(-1, 6), expected)
    same(network(rows[7]), expected[7])


OPTIONS = {"threads": 2}, {"batch_size": 777, "threads": 1}, {"batch_size": 1, "threads": 2}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batches_and_threads(network, rows, options):
    rows, network = rows[: 200 * options.get("batch_size", 15)], reproducible(network)
    expected = xpnet.predict_proba(network, rows)
    ids, order = np.argmax(expected, axis=1), np.random.default_rng(0).permutation(len(rows))
    assert xpnet.evaluate(network, rows, ids, **options).correct == len(rows)
    for part in (order, slice(1), slice(1, 50), slice(50, None)):
        same(xpnet.predict_proba(network, rows[part], **options), expected[part])


def test_probabilities_in_every_library(xp_backend, program):
    weight = program.numbers((16, 16), 1, 2.0)
    for n_out, output in ((16, "logits"), (1, "logits"), (1, "probabilities")):
        name = "sigmoid" if output == "probabilities" else "identity"
        layer = Dense(weight[:, :n_out].copy(), np.zeros(n_out), name)
        network, rows = Network([layer], output=output), program.special_rows(96, 16)
        there = network  # for Dask, whose rows are its own
        if xp_backend.library != "dask":
            there = network.map_arrays(lambda x: xp_backend.asarray(x, x.dtype))
        found = xpnet.predict_proba(reproducible(there), xp_backend.asarray(rows))
        same(to_numpy(found), xpnet.predict_proba(reproducible(network), rows))


def test_networks_of_the_same_parameters(network, rows):
    there = reproducible(network)
    assert reproducible(there) is there
    assert not network.is_reproducible
    assert (there.ordinary(rows) != there(rows)).any()
    double = there.astype("float64")
    assert (double.is_reproducible, double(rows).dtype) == (True, np.float64)


def test_later_changes_of_the_parameters_have_no_effect(rows):
    strict = pytest.importorskip("array_api_strict")  # whose arrays a layer does not copy
    weight, bias, mean = strict.ones((48, 2)), strict.zeros(2), strict.zeros(48)
    network, x = Network([Dense(weight, bias)], Standardize(mean, 1.0)), strict.asarray(rows)
    there = reproducible(network)
    calls = there, there.ordinary
    before = [to_numpy(call(x)) for call in calls]
    for array in (weight, bias, mean):
        array[...] = 7.0
        assert (to_numpy(reproducible(network)(x)) != before[0]).any()
    for call, expected in zip(calls, before, strict=True):
        same(to_numpy(call(x)), expected)


@pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning", "ignore:.*torch.jit.trace")
def test_tracing_is_refused(network):
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    there, x = reproducible(network.map_arrays(torch.asarray)), torch.zeros((2, 48))
    with pytest.raises(Exception, match="cannot be traced"):
        torch.compile(lambda x: xpnet.forward(there, x), backend="eager")(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        with pytest.raises(TypeError, match="cannot be traced"):
            torch.jit.trace(lambda x: xpnet.forward(there, x), x)
    with jax.enable_x64(False), pytest.raises(TypeError, match="JAX_ENABLE_X64=1"):
        reproducible(network.map_arrays(jax.numpy.asarray))
    backend = open_backend("jax")
    with backend.flags:
        there, x = reproducible(network.map_arrays(backend.asarray)), np.zeros((2, 48))
        for call in (
            *(jax.jit(there), jax.vmap(there), jax.grad(lambda x: there(x).sum())),
            jax.jit(lambda x: reproducible(Network([Dense(x, x[0])]))(x)),
        ):
            with pytest.raises(TypeError, match="cannot be traced"):
                call(backend.asarray(x))
        same(to_numpy(there(backend.asarray(x))), reproducible(network)(x))  # nothing is kept


def test_settings_of_libraries_change_nothing(network, rows):
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    there, given = network.map_arrays(torch.asarray), torch.asarray(rows)
    expected = reproducible(network)(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        same(reproducible(there)(given).numpy(), expected)
    learnable = there.map_arrays(lambda x: x.clone().requires_grad_())
    same(reproducible(learnable)(given).detach().numpy(), expected)
    backend = open_backend("jax")
    with backend.flags, jax.default_matmul_precision("bfloat16"):
        there = network.map_arrays(backend.asarray)
        same(to_numpy(reproducible(there)(backend.asarray(rows, "uint8"))), expected)


@pytest.mark.parametrize(
    "steps",
    [(Scale(1e-200), Standardize(), Scale(1e300)), (Standardize(0.0, 1e200), Scale(1e250))],
    ids=str,
)
def test_subnormal_numbers_in_the_preprocessing(steps):
    pytest.importorskip("jax")
    backend, x = open_backend("jax"), np.asarray([[1e-110]])
    network = Network([Dense(np.ones((1, 1), "f4"), np.zeros(1, "f4"))], steps)
    with backend.flags:
        there = network.map_arrays(lambda v: backend.asarray(v, v.dtype))
        found = np.asarray(reproducible(there)(backend.asarray(x, "float64")))
    assert found == reproducible(network)(x)
