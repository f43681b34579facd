"""The forward pass against float64, with its derived bounds; and what it must not change."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.preprocessing import arrays_of
from xpnet.parity import error_bound

SCALE = xpnet.Scale(1 / 255)
PIXELS = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8)
OPTIONS = {"elu": {"alpha": 0.3}, "leaky_relu": {"negative_slope": 0.2}}
OPTIONS |= {"gelu": {"approximate": "tanh"}}


def network_of(*widths, dtype="float32", preprocessing=SCALE, activation="sigmoid", seed=0):
    """Return a network of random parameters whose outputs are the sums of its last layer."""
    draw, names = np.random.default_rng(seed), [activation] * (len(widths) - 2) + ["identity"]
    layers = []
    for n_in, n_out, name in zip(widths, widths[1:], names, strict=False):
        weight, bias = draw.normal(0.0, n_in**-0.5, (n_in, n_out)), draw.normal(0.0, 0.3, n_out)
        arrays = (x.astype(dtype) for x in (weight, bias))
        layers.append(xpnet.Dense(*arrays, name, OPTIONS.get(name, {}) if seed % 2 else {}))
    return xpnet.Network(layers, preprocessing, "values", metadata={"origin": "here"})


def share_of_bound(network, rows, found=None):
    """Return the largest error of a call's results, relative to the bound of the network."""
    last = error_bound(network, rows).stages[-1]
    # In float64 the true values have errors of the same size.
    bound = last.bound * (2.0 if network.dtype == np.float64 else 1.0)
    with np.errstate(all="raise"):  # which a call does not notice
        found = network(rows) if found is None else found
    assert found.dtype == network.dtype
    is_judged = (found != last.values) & np.isfinite(bound)
    with np.errstate(all="ignore"):
        shares = np.abs(found.astype(float) - last.values) / bound
    return float(np.max(shares, where=is_judged, initial=0.0))


def arrays(network):
    """Return all arrays of a network."""
    found = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    return [*found, *(x for step in network.preprocessing for x in arrays_of(step).values())]


def assert_equal(xs, ys):
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_array_equal(x, y)


STEPS = [xpnet.Scale(x) for x in (1 / 255, -0.5, 2.0**-24, 2.0**-25, 1.0, -1.5)]
STEPS += [xpnet.Standardize(33.0, 78.0), "columns", "whiten"]
KINDS = ["uint8", "bool", "int64", "float16", "float32", "float64", ">f4"]


def step_for(step, n_in):
    draw = np.random.default_rng(n_in).normal
    if step == "columns":
        return xpnet.Standardize(draw(33.0, 10.0, n_in), draw(80.0, 10.0, n_in))
    if step == "whiten":
        return xpnet.Whiten(draw(33.0, 10.0, n_in), draw(0.0, 0.01, (n_in, n_in)))
    return step


@settings(max_examples=100)
@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    calls=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), min_size=1, max_size=4),
    steps=st.lists(st.sampled_from(STEPS), max_size=3),
    seed=st.integers(0, 2**32),
)
def test_random_networks_are_within_their_bounds(widths, calls, steps, **options):
    """Also call after call, since the operands for each kind of rows are kept."""
    n_in, steps = widths[0], [step_for(step, widths[0]) for step in steps]
    network = network_of(*widths, preprocessing=steps, **options)
    for kind, n_rows in calls:
        rows = np.random.default_rng(n_rows).integers(0, 256, (n_rows, n_in))
        rows = (rows if steps else rows / 255).astype(kind)
        found = network(rows)
        assert share_of_bound(network, rows, found) <= 1
        # All ways of one call are one result, apart from the order of sums.
        with np.errstate(all="ignore"):
            stacked = network(rows.reshape(1, n_rows, n_in))
            assert share_of_bound(network, rows, stacked[0]) <= 1
            if n_rows:
                assert share_of_bound(network, rows[:1], network(rows[0])[None]) <= 1


@pytest.mark.parametrize(
    ("weight", "factor", "row"),
    [
        (1e-37, 2.0**-24, np.uint8(255)),  # underflows by a part of 2^-126 of the scaled row
        (1e-30, -(2.0**-60), np.float32(1e30)),
        (1.2345 * 2.0**-110, 2.0**-30, np.float32(2.0**120)),  # too small a factor for the weight
        (3e38, 1.0, np.float32(1)),
        (3e38, 2.0, np.float32(0.25)),
        (1.0, 1e-7, np.float64(1e40)),
        (1.0, -1e-7, np.int64(2**40 + 1)),
    ],
    ids=str,
)
def test_numbers_near_the_ends_of_the_range(weight, factor, row):
    layer = xpnet.Dense(np.full((4, 3), weight, "f4"), np.zeros(3, "f4"))
    network = xpnet.Network([layer], xpnet.Scale(factor), "values")
    for number in (np.float32(1e-3), row, np.float32(1e-3)):  # each kind on its own
        scaled = np.float64(number) * factor
        exact, atol = np.float64(np.float32(weight)) * scaled, 2.0**-126 * abs(scaled) + 2.0**-149
        found = network(np.diag([number] * 4))
        np.testing.assert_allclose(found, np.full((4, 3), exact), 2.0**-22, atol)


@pytest.mark.parametrize("activation", ["identity", "relu", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("preprocessing", [(), (SCALE,), (xpnet.Scale(1.0),)], ids=str)
def test_a_call_writes_into_nothing_of_others(activation, dtype, preprocessing):
    network = network_of(16, 16, 16, dtype=dtype, preprocessing=preprocessing)
    layers = [dataclasses.replace(x, activation=activation) for x in network.layers]
    network = dataclasses.replace(network, layers=layers)
    before = copy.deepcopy(arrays(network))
    calls = [network, network.layers[0], network.layers[0].linear]
    calls += [lambda x: xpnet.predict(network, x)]
    for n_rows in (1, 20):
        x = np.random.default_rng(1).normal(size=(n_rows, 16)).astype(dtype)
        given = x.copy()
        for call in calls:
            found = call(x)
            kept = found.copy()
            for other in calls:
                other(x)
            np.testing.assert_array_equal(found, kept)
            assert not any(np.may_share_memory(found, y) for y in (x, *arrays(network)))
            found[...] = 7  # an own array
            np.testing.assert_array_equal(call(x), kept)
        np.testing.assert_array_equal(x, given)
    assert_equal(arrays(network), before)


ROUND_TRIPS = {
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    "to": lambda network: network.to("cpu"),
    "astype": lambda network: network.astype("float32"),
    "map_arrays": lambda network: network.map_arrays(lambda x: x),
}


@pytest.mark.parametrize("is_reproducible", [False, True])
@pytest.mark.parametrize("trip", ROUND_TRIPS)
def test_copies_and_pickles_are_equal(trip, is_reproducible):
    steps = [xpnet.Standardize(np.arange(784.0)), SCALE]
    network = network_of(784, 50, 10, activation="elu", preprocessing=steps, seed=1)
    network = xpnet.reproducible(network) if is_reproducible else network
    size = len(pickle.dumps(network))
    y = network(PIXELS)
    assert len(pickle.dumps(network)) == size  # without what is kept
    other = ROUND_TRIPS[trip](network)
    assert other.is_reproducible == is_reproducible
    assert (repr(other), other.metadata) == (repr(network), {"origin": "here"})
    assert_equal(arrays(other), arrays(network))
    assert not any(x.flags.writeable for x in arrays(other))
    np.testing.assert_array_equal(other(PIXELS), y)


class Subclass(np.ndarray):
    """An array that NumPy may treat in another way."""


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.view(Subclass),
        lambda x: x.astype("float16"),
        lambda x: x.astype(x.dtype.newbyteorder()),
    ],
    ids=["subclass", "float16", "other_bytes"],
)
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_unusual_numpy_arrays_are_taken_as_they_are(convert, activation):
    usual = network_of(784, 50, 10, activation=activation)
    network = usual.map_arrays(convert)
    for n_rows in (1, 100):
        y = network(PIXELS[:n_rows])
        assert (type(y), y.dtype) == (type(network.layers[0].weight), network.dtype)
        rtol = 0.02 if y.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(np.asarray(y), usual(PIXELS[:n_rows]), rtol, rtol)
        x = PIXELS[:n_rows].view(Subclass)
        np.testing.assert_array_equal(np.asarray(usual(x)), usual(PIXELS[:n_rows]))
