"""Forward pass on a GPU.

Layers with weights of 1 pass numbers to the activation exactly, so its results can be compared with
the true values and bounds.
"""

import functools
import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import error_bound
from xpnet.parity.report import compare

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of NumPy, of infinities and NaN
]

TABLES = Path(__file__).parents[1] / "functions" / "test_tables.py"
NAMES = sorted({row.name for row in ACTIVATIONS.values()})
ELEMENTWISE = [name for name in NAMES if ACTIVATIONS[name].is_elementwise]
BIASES = (-0.5, 0.0, 1.25)
OPTIONS = [
    ("celu", "alpha", (0.5, 3.0)),
    ("elu", "alpha", (0.5, 3.0)),
    ("hard_shrink", "threshold", (0.0, 1.25)),
    ("leaky_relu", "negative_slope", (0.25, 0.5)),
    ("soft_shrink", "threshold", (0.0, 1.25)),
    ("softplus", "beta", (0.5, 4.0)),
    ("squareplus", "b", (0.25, 25.0)),
    ("threshold", "threshold", (-0.5, 0.5)),
]


@functools.cache
def tables():
    """Return the test module that reads the tables."""
    spec = importlib.util.spec_from_file_location("tables_of_true_values", TABLES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["float32", "float64", "float16"])
def dtype(request, gpu):
    if not hasattr(gpu.xp, request.param):
        pytest.skip(f"{gpu.library} has no {request.param}")
    return request.param


def passing(gpu, name, dtype, biases=(0.0, 0.0, 0.0), **options):
    """Return a layer on the GPU that computes activation(x + bias) of each number x."""
    weight, bias = np.ones((1, len(biases)), dtype), np.asarray(biases, dtype)
    layer = xpnet.Dense(gpu.asarray(weight), gpu.asarray(bias), name, options)
    return xpnet.Network([layer], output="values")


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_tables_of_true_values(gpu, here, note, name, dtype):
    for whole in tables().read_tables(name, dtype):
        table = whole.rows(np.isfinite(whole.truth.nearest[:, 0]))
        x, truth = gpu.asarray(table.x.astype(dtype)), table.truth
        known_as = "gelu_tanh" if table.options.get("approximate") == "tanh" else name
        alone = here(getattr(xpnet, name)(x, **table.options), dtype)
        columns = here(passing(gpu, name, dtype, **table.options)(x), dtype)
        assert np.all(columns == columns[:, :1])
        for word, values in ((known_as, alone), (f"{known_as}, fused", columns[:, :1])):
            got = values.astype(np.float64)
            # A subnormal x may be taken for 0.
            is_flushed = (np.abs(table.x) < truth.tiny) & (got == truth.nearest[table.x == 0])
            got = np.where(is_flushed, truth.nearest, got)
            errors = (truth.error(got) / truth.ulp)[~truth.is_subnormal]
            note(word, dtype, float(np.max(errors)))
            bound = ACTIVATIONS[name].ulp_bound(gpu.library, dtype, **table.options)
            limit = bound * truth.ulp
            table.check(got, np.where(truth.is_subnormal, truth.tiny, limit))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_each_unit_adds_its_bias(gpu, here, note, name, dtype):
    # Sums of these numbers and biases are exact in every dtype.
    x = np.arange(-16, 8, 2.0**-5)[:, None]
    network = passing(gpu, name, dtype, BIASES)
    got = here(network(gpu.asarray(x.astype(dtype))), dtype).astype(np.float64)
    exact = getattr(xpnet, name)(x + np.asarray(BIASES))
    # The error of the true values themselves.
    slack = ACTIVATIONS[name].ulp_bound("numpy", dtype) if dtype == "float64" else 1e-6
    ulp = np.spacing(np.abs(exact).astype(dtype)).astype(np.float64)
    errors = np.abs(got - exact) / ulp
    if dtype != "float64":
        note(f"{name}, fused", dtype, float(np.max(errors)))
    assert np.max(errors) <= ACTIVATIONS[name].ulp_bound(gpu.library, dtype) + slack


@pytest.mark.parametrize(("name", "option", "values"), OPTIONS)
def test_options_do_not_mix(gpu, here, name, option, values):
    x = np.linspace(-5, 5, 101, dtype=np.float32)[:, None]
    for value in (*values, *values):
        options = {option: value}
        if name == "threshold":
            options["value"] = -7.0 * value
        got = here(passing(gpu, name, "float32", **options)(gpu.asarray(x)))[:, 0]
        np.testing.assert_allclose(got, getattr(xpnet, name)(x, **options)[:, 0], rtol=1e-5)


def networks(name, make_network):
    """Return a network with this activation in the hidden layers, and one with it in all layers."""
    network = make_network(64, 50, 30, 10, activation=name)
    layers = [replace(layer, activation=name) for layer in network.layers]
    return network, replace(network, layers=tuple(layers))


@pytest.mark.parametrize("name", NAMES)
def test_networks_are_within_their_bounds(gpu, here, make_network, name):
    rows = np.random.default_rng(3).integers(0, 256, (300, 64), np.uint8)
    for network in networks(name, make_network):
        last = error_bound(network, rows).stages[-1]
        assert np.mean(np.isfinite(last.bound)) > 0.5 or name in {"step", "exponential"}
        there = network.to(gpu)
        found = [here(there(gpu.asarray(x))) for x in (rows, rows.astype(np.float32))]
        for got in found:
            assert np.all((np.abs(got - last.values) <= last.bound) | (got == last.values))
        # Layer by layer; nothing has a bound beyond a step.
        report = compare(network, rows, {"gpu": there})
        assert report.candidates["gpu"].first_out is None


def test_networks_may_be_first_used_by_threads_at_once(gpu, make_network):
    rows = np.random.default_rng(3).integers(0, 256, (300, 64), np.uint8)
    for name in ("sigmoid", "gelu", "leaky_relu"):
        host = make_network(64, 50, 10, activation=name)
        expected = gpu.to_numpy(host.to(gpu)(gpu.asarray(rows)))
        one, several = host.to(gpu), [host.to(gpu) for _ in range(4)]
        for networks_of_threads in ([one] * 4, several):
            with ThreadPoolExecutor(4) as pool:
                found = pool.map(lambda net: net(gpu.asarray(rows)), networks_of_threads)
                for got in found:
                    np.testing.assert_array_equal(gpu.to_numpy(got), expected)


def test_any_layout_and_number_of_axes(gpu, here, make_network):
    network = make_network(64, 50, 10, activation="tanh").to(gpu)
    rows = np.random.default_rng(5).normal(0, 50, (12, 64)).astype(np.float32)
    x = gpu.asarray(rows)
    expected = here(network(x))
    views = {
        "one row": (x[3, :], expected[3]),
        "more axes": (gpu.xp.reshape(x, (2, 3, 2, 64)), expected.reshape(2, 3, 2, 10)),
        "every other row": (x[::2, :], expected[::2]),
        "from the last": (x[::-1, :], expected[::-1]),
        "by columns": (gpu.asarray(rows.T.copy()).T, expected),
        "no rows": (x[:0, :], expected[:0]),
    }
    for name, (view, values) in views.items():
        got = here(network(view))
        # The product may be computed in another order.
        np.testing.assert_allclose(got, values, rtol=1e-4, atol=1e-4, err_msg=name)
        assert got.shape == values.shape


def test_scaled_bytes_are_within_the_bounds(gpu, here, make_network):
    network = make_network(64, 50, 10, activation="sigmoid")
    assert network.to(gpu).plan is None
    rows = np.random.default_rng(3).integers(0, 256, (300, 64), np.uint8)
    last = error_bound(network, rows).stages[-1]
    got = here(network.to(gpu)(gpu.asarray(rows)))
    assert np.all(np.abs(got - last.values) <= last.bound)
