"""Forward pass on a GPU, compared with derived bounds and with the CPU."""

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

NAMES = sorted({row.name for row in ACTIVATIONS.values()})


@pytest.mark.parametrize("name", NAMES)
def test_networks_are_within_their_bounds(gpu, here, make_network, pixels, name):
    network, rows = make_network(64, 50, 30, 10, activation=name), pixels[:300]
    layers = tuple(replace(layer, activation=name) for layer in network.layers)
    for host in (network, replace(network, layers=layers)):
        last, there = error_bound(host, rows).stages[-1], host.to(gpu)
        for x in (rows, rows.astype(np.float32)):
            got = here(there(gpu.asarray(x)))
            assert np.all((np.abs(got - last.values) <= last.bound) | (got == last.values))
        # Layer by layer; nothing has a bound beyond a step.
        assert compare(host, rows, {"gpu": there}).candidates["gpu"].first_out is None


def test_any_layout_and_number_of_axes(gpu, here, make_network):
    network = make_network(64, 50, 10, activation="tanh").to(gpu)
    rows = np.random.default_rng(5).normal(0, 50, (12, 64)).astype(np.float32)
    x = gpu.asarray(rows)
    y = here(network(x))
    for view, values in (
        (x[3, :], y[3]),
        (x.reshape(2, 3, 2, 64), y.reshape(2, 3, 2, 10)),
        (x[::2, :], y[::2]),
        (x[::-1, :], y[::-1]),
        (gpu.asarray(rows.T.copy()).T, y),
        (x[:0, :], y[:0]),
    ):
        # The product may be computed in another order.
        np.testing.assert_allclose(here(network(view)), values, 1e-4, 1e-4)


@pytest.mark.parametrize("n_rows", [0, 1, 100_000])
def test_rows_of_the_host_and_of_the_gpu(gpu, here, make_network, pixels, n_rows):
    host, rows = make_network(64, 50, 10), pixels[:n_rows]
    there, placed, options = host.to(gpu), gpu.asarray(rows), {"batch_size": 9999}
    expected = xpnet.predict_proba(host, rows)
    # Rounding alone: logits of some units in float32 differ by less than 100 of its 6e-8.
    found = xpnet.predict_proba(there, rows, **options)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    same = here(xpnet.predict_proba(there, placed, **options))
    np.testing.assert_allclose(same, expected, atol=1e-5)
    ids = here(xpnet.predict(there, placed, **options), "int64")
    labels = xpnet.predict(there, rows, **options)
    np.testing.assert_array_equal(ids, labels)
    # Rounding exchanges nearly equal logits only.
    margin = np.sort(expected, axis=1)[:, -1:] - expected[np.arange(n_rows), labels][:, None]
    assert np.all(margin <= 1e-5)
    result = xpnet.evaluate(there, placed, gpu.asarray(labels), **options)
    assert (result.correct, result.total) == (n_rows, n_rows)
