"""Reproducible results: their errors, special numbers, forms of input, and what is refused."""

import copy
import dataclasses
import pickle
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
    found, y = reproducible(network)(x), x.astype(np.longdouble)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in network.layers:
            z = y @ layer.weight.astype(np.longdouble) + layer.bias
            y = ACTIVATIONS[name].function(z.astype(np.float64), np).astype(np.longdouble)
        rounded, plain = y.astype(np.float32), network(x)
    is_finite = np.isfinite(rounded)
    np.testing.assert_array_equal(np.isfinite(found), is_finite)
    found, rounded, plain = found[is_finite], rounded[is_finite], plain[is_finite]
    ulp = np.spacing(np.maximum(np.abs(rounded), np.float32(1e-3) * np.max(np.abs(rounded))))
    assert np.max(np.abs(found - rounded) / ulp) <= 1
    assert np.sum(found != rounded) <= np.sum(plain != rounded)


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
    logits = xpnet.forward(network, rows).astype(np.float64)
    np.testing.assert_allclose(expected, xpnet.softmax(logits), rtol=2e-7)
    ids, order = np.argmax(expected, axis=1), np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(xpnet.predict(network, rows, **options), ids)
    assert xpnet.evaluate(network, rows, ids, **options).correct == len(rows)
    same(xpnet.predict_proba(network, rows[order], **options), expected[order])
    for part in (slice(1), slice(1, 50), slice(50, None)):
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


def test_copies_are_reproducible_too(network, rows):
    there = reproducible(network)
    assert reproducible(there) is there
    assert repr(there) == f"reproducible({network!r})"
    assert not network.is_reproducible
    expected = there(rows)
    assert (there.ordinary(rows) != expected).any()
    for made in (
        copy.copy(there),
        copy.deepcopy(there),
        pickle.loads(pickle.dumps(there)),
        there.to("cpu"),
        there.map_arrays(np.copy),
        dataclasses.replace(there, output="values"),
    ):
        assert made.is_reproducible
        same(made(rows), expected)
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


def test_dtypes_and_devices_without_float64_are_refused(network):
    strict, torch = (pytest.importorskip(name) for name in ("array_api_strict", "torch"))
    device = strict.Device("no_float64")
    for there, word in (
        (network.astype("float16"), "float16"),
        (network.map_arrays(torch.asarray).astype("bfloat16"), "bfloat16"),
        (network.map_arrays(lambda x: strict.asarray(x, device=device)), "need float64"),
    ):
        with pytest.raises(TypeError, match=word):
            reproducible(there)


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


def one_unit(weight, steps=None):
    """Return a float32 network of one unit, whose weights are given."""
    weight = np.asarray(weight, np.float32).reshape(-1, 1)
    return Network([Dense(weight, np.zeros(1, np.float32))], steps)


@pytest.mark.parametrize(
    ("x", "weight"), [((1e12, 1e-3), (1e-12, 1e3)), ((0, 0.3), (1e30, 1))], ids=str
)
def test_inputs_of_different_sizes_are_as_accurate_as_in_float32(x, weight):
    network, x = one_unit(weight), np.asarray([x])
    np.testing.assert_allclose(reproducible(network)(x), network(x), rtol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [(Scale(1e-200), Standardize(), Scale(1e300)), (Standardize(0.0, 1e200), Scale(1e250))],
    ids=str,
)
def test_subnormal_numbers_in_the_preprocessing(steps):
    pytest.importorskip("jax")
    backend, network, x = open_backend("jax"), one_unit(1.0, steps), np.asarray([[1e-110]])
    with backend.flags:
        there = network.map_arrays(lambda v: backend.asarray(v, v.dtype))
        found = np.asarray(reproducible(there)(backend.asarray(x, "float64")))
    assert found == reproducible(network)(x)


TINY = [Scale(1e-310), Standardize(2.5e-308), Standardize(0.0, -1e-300), [Scale(1e-200)] * 2]


@pytest.mark.parametrize("steps", TINY, ids=str)
def test_tiny_numbers_of_the_preprocessing_are_refused(steps):
    with pytest.raises(ValueError, match="preprocessing by numbers"):
        reproducible(one_unit(1.0, steps))


def test_infinite_inputs_and_weights():
    x = np.asarray([[np.inf], [-np.inf], [1e300]])
    found = reproducible(Network([Dense([[1.0]], [0.0])]))(x)
    assert found.ravel().tolist() == [2.0**400, -(2.0**400), 2.0**400]
    for value in (np.inf, -np.inf, np.nan):  # shows in all units
        layer = Dense(np.asarray([[value, 1], [1, 1]], "f4"), np.zeros(2, "f4"))
        assert np.isnan(reproducible(Network([layer]))(np.ones((1, 2), "f4"))).all()
