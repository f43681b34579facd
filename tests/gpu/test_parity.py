"""Forward pass on a GPU, compared with the bounds on its error and with the CPU."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import compare, error_bound

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of NumPy, of infinities and NaN
]

IMAGES = xpnet.sample()[0].reshape(1000, 784)
NETWORKS = {
    "sample": lambda _: xpnet.load("sample"),
    "sigmoid": lambda make: make(784, 200, 150, 10, activation="sigmoid"),
    "wide relu": lambda make: make(784, 1024, 1024, 10),
    "deep tanh": lambda make: make(784, *[60] * 8, 10, activation="tanh"),
    "float64": lambda make: make(784, 200, 10, activation="sigmoid", dtype="float64"),
    "standardized": lambda make: make(784, 90, 10, preprocessing=xpnet.Standardize.fit(IMAGES)),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_in_bound(gpu, make_network, make):
    host = make(make_network)
    report = compare(host, IMAGES, {"gpu": host.to(gpu)})
    shares = [stage.largest_share for stage in report.candidates["gpu"].stages]
    assert report.is_in_bound, shares
    assert 0 < max(share for share in shares if share is not None) < 1
    report = compare(xpnet.reproducible(host), IMAGES, {"gpu": host.to(gpu)})
    assert report.is_in_bound, report.candidates["gpu"]
    assert report.result_hash == xpnet.result_hash(host.to(gpu), IMAGES)


@pytest.mark.parametrize("name", sorted({row.name for row in ACTIVATIONS.values()}))
def test_activations_are_in_bound(gpu, make_network, pixels, name):
    network, rows = make_network(64, 50, 30, 10, activation=name), pixels[:300]
    layers = tuple(replace(layer, activation=name) for layer in network.layers)
    for host in (network, replace(network, layers=layers)):
        for x in (rows, rows.astype(np.float32)):
            # Layer by layer; nothing has a bound beyond a step.
            report = compare(host, x, {"gpu": host.to(gpu)})
            assert report.candidates["gpu"].first_out is None


def test_what_a_batch_gives_is_in_bound_however_large(gpu, make_network):
    network = make_network(784, 50, 100, 10, activation="sigmoid", output="values")
    last = error_bound(network, IMAGES).stages[-1]
    there, rows = network.to(gpu), np.tile(IMAGES, (20, 1))
    for batch_size in (1, 3, 17, 1000, 20_000):
        found = xpnet.predict(there, rows[: 50 * batch_size], batch_size=batch_size)
        values, bound = (np.resize(x, (len(found), 10)) for x in (last.values, last.bound))
        assert np.all(np.abs(found - values) <= bound), batch_size


def test_any_layout_and_number_of_axes(gpu, here, make_network):
    network = make_network(64, 50, 10, activation="tanh").to(gpu)
    rows = np.random.default_rng(5).normal(0, 50, (12, 64)).astype(np.float32)
    x = gpu.asarray(rows)
    y = here(network(x))
    for view, values in (
        (x[3, :], y[3]),
        (x.reshape(2, 3, 2, 64), y.reshape(2, 3, 2, 10)),
        (x[::-2, :], y[::-2]),
        (gpu.asarray(rows.T.copy()).T, y),
        (x[:0, :], y[:0]),
    ):
        # The product may be computed in another order.
        np.testing.assert_allclose(here(network(view)), values, 1e-4, 1e-4)


@pytest.mark.parametrize("n_rows", [0, 1, 100_000])
def test_rows_of_the_host_and_of_the_gpu(gpu, here, make_network, pixels, n_rows):
    host, rows, options = make_network(64, 50, 10), pixels[:n_rows], {"batch_size": 9999}
    there, placed, expected = host.to(gpu), gpu.asarray(rows), xpnet.predict_proba(host, rows)
    # Rounding alone: logits of some units in float32 differ by less than 100 of its 6e-8.
    found = xpnet.predict_proba(there, rows, **options)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    same = here(xpnet.predict_proba(there, placed, **options))
    np.testing.assert_allclose(same, expected, atol=1e-5)
    labels = xpnet.predict(there, rows, **options)
    np.testing.assert_array_equal(here(xpnet.predict(there, placed, **options), "int64"), labels)
    # Rounding exchanges nearly equal logits only.
    assert np.all(expected[np.arange(n_rows), labels] >= expected.max(axis=1) - 1e-5)
    result = xpnet.evaluate(there, placed, gpu.asarray(labels), **options)
    assert (result.correct, result.total) == (n_rows, n_rows)
