"""Batch invariance: the bits of a row's result do not depend on its batch."""

import dataclasses

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import xpnet
from xpnet.functions.activations import ACTIVATIONS

WIDTHS = (1, 2, 3, 7, 10, 13, 17, 33, 50, 63, 64, 65, 100, 129, 257)
DTYPES = (np.float32, np.float64, np.float16)
# Over all seeds, each activation is tested with each dtype.
NAMES = sorted(ACTIVATIONS)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of neighbours that overflow


@pytest.fixture(scope="module")
def pools():
    return ThreadpoolController()


def random_network(random, dtype, activations, first_width=None):
    widths = [first_width or int(random.choice((*WIDTHS, 784)))]
    widths += [int(random.choice(WIDTHS)) for _ in activations]
    layers = []
    for n_in, n_out, name in zip(widths, widths[1:], activations, strict=False):
        weight = (random.standard_normal((n_in, n_out)) / n_in**0.5).astype(dtype)
        if random.random() < 0.3:
            weight = np.asfortranarray(weight)
        bias = (0.3 * random.standard_normal(n_out)).astype(dtype)
        layers.append(xpnet.Dense(weight, bias, name))
    return xpnet.Network(layers, xpnet.Scale(0.7) if random.random() < 0.5 else None)


def company(random, n_rows, place, row):
    """Return random rows around the given one, in a random memory layout."""
    x = (3 * random.standard_normal((n_rows, row.size))).astype(row.dtype)
    if n_rows > 1:
        x[(place + 1) % n_rows] = random.choice([np.nan, np.inf, -np.inf, 0.0])
    x[place] = row
    layout = random.integers(4)
    if layout == 1:
        return np.asfortranarray(x)
    if layout == 2:
        return np.concatenate((x, x), axis=1)[:, : row.size]
    if layout == 3:  # unaligned memory
        memory = np.empty(x.nbytes + 1, np.uint8)[1:]
        memory[:] = np.frombuffer(x.tobytes(), np.uint8)
        return memory.view(x.dtype).reshape(x.shape)
    return x


def distinct(network, row, random, pools, *, n_trials, largest=1000, call=xpnet.predict_proba):
    """Return the number of different results of a row in batches of many sizes and places."""
    sizes = [1, 2, 15, 16, 17, *random.integers(1, largest + 1, n_trials)]
    seen = set()
    for size in map(int, sizes):
        place = int(random.choice((0, size - 1, random.integers(size))))
        with pools.limit(limits=int(random.integers(1, 4))):
            results = call(network, company(random, size, place, row), batch_invariant=True)
        seen.add(results[place].tobytes())
    return len(seen)


@pytest.mark.parametrize("seed", range(3 * len(NAMES)))
def test_on_numpy(seed, pools):
    random = np.random.default_rng(seed)
    dtype = DTYPES[seed % 3]
    names = [NAMES[seed // 3], *random.choice(NAMES, random.integers(0, 4))]
    network = random_network(random, dtype, names)
    row = (2 * random.standard_normal(network.n_in)).astype(dtype)
    n_trials, largest = (2, 40) if dtype is np.float16 else (6, 1000)
    assert distinct(network, row, random, pools, n_trials=n_trials, largest=largest) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_in", "n_out"), [(784, 1001), (5000, 257), (20000, 1), (20000, 63)])
def test_layers_that_threads_would_share(n_in, n_out, dtype, pools):
    random = np.random.default_rng(n_out)
    weight = random.standard_normal((n_in, n_out)).astype(dtype)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(n_out, dtype))], output="values")
    row = random.standard_normal(n_in).astype(dtype)
    kinds = distinct(network, row, random, pools, n_trials=4, largest=20, call=xpnet.predict)
    assert kinds == 1


@pytest.mark.parametrize("n_in", [65, 129])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_that_are_whitened(n_in, dtype, pools):
    random = np.random.default_rng(0)
    matrix = (random.standard_normal((n_in, n_in)) / n_in**0.5).astype(dtype)
    steps = [xpnet.Scale(0.7), xpnet.Whiten(matrix[0], matrix)]
    layers = random_network(random, dtype, ["relu", "identity"], n_in).layers
    row = random.standard_normal(n_in).astype(dtype)
    assert distinct(xpnet.Network(layers, steps), row, random, pools, n_trials=15) == 1


def test_without_the_mode_results_differ():
    # Without the mode, this search finds several results.
    random = np.random.default_rng(0)
    network = random_network(random, np.float32, ["identity"] * 2, first_width=784)
    rows = random.standard_normal((1000, 784)).astype(np.float32)
    kinds = {network(rows[:size])[0].tobytes() for size in range(1, 1001, 3)}
    assert len(kinds) > 1


def test_on_every_library(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    random = np.random.default_rng(1)
    host = random_network(random, np.float32, ["sigmoid", "softmax"], first_width=33)
    network = dataclasses.replace(host, preprocessing=None).map_arrays(xp_backend.asarray)
    rows = random.standard_normal((20, 33)).astype(np.float32)
    alone = xpnet.predict_proba(network, rows[7:8], batch_invariant=True)
    for start in (0, 3, 7):
        some = xp_backend.asarray(rows[start : start + 10])
        together = xpnet.predict_proba(network, some, batch_invariant=True)
        found = xp_backend.check(together, dtype="float32", shape=(10, host.n_out))
        np.testing.assert_array_equal(found[7 - start], alone[0])


def test_tiles_of_a_gpu_are_filled_up(monkeypatch):
    strict = pytest.importorskip("array_api_strict")
    monkeypatch.setattr("xpnet.inference.batch_invariance.rows_at_a_time", lambda _: 8)
    seen = []

    call = xpnet.Network.__call__

    def spy(network, rows):
        seen.append(tuple(rows.shape))
        return call(network, rows)

    monkeypatch.setattr(xpnet.Network, "__call__", spy)
    eye = strict.eye(3, dtype=strict.float32)
    network = xpnet.Network([xpnet.Dense(eye, eye[0, :])], output="values")
    rows = strict.reshape(strict.arange(57, dtype=strict.float32), (19, 3))
    found = xpnet.predict(network, rows, batch_invariant=True)
    expected = rows + eye[0, :]
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert seen == [(8, 3)] * 3


def test_the_results_are_right():
    network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    expected = xpnet.predict_proba(network, images)
    found = xpnet.predict_proba(network, images, batch_invariant=True)
    # Sums of 784 terms with a magnitude of some 20, in another order.
    np.testing.assert_allclose(found, expected, rtol=8 * 28 * 2**-24 * 20)
    result = xpnet.evaluate(network, images, labels, batch_invariant=True)
    assert result.correct == xpnet.evaluate(network, images, labels).correct


def test_long_sums_and_wide_layers_are_whole():
    random = np.random.default_rng(2)
    weight, row = random.standard_normal((5000, 200)), random.standard_normal((2, 5000))
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(200))], output="values")
    found = xpnet.predict(network, row, batch_invariant=True)
    np.testing.assert_allclose(found, row @ weight, rtol=0, atol=5000 * 2**-53 * 100)


def test_blocks_of_a_stream_and_of_dask_are_the_same():
    da = pytest.importorskip("dask.array")
    network, rows = xpnet.load("sample"), xpnet.sample()[0].reshape(1000, 784)[:300]
    whole = xpnet.predict_proba(network, rows, batch_invariant=True)
    stream = (rows[start : start + 7] for start in range(0, 300, 7))
    np.testing.assert_array_equal(xpnet.predict_proba(network, stream, batch_invariant=True), whole)
    lazy = da.from_array(rows, chunks=(13, 100))
    found = xpnet.predict_proba(network, lazy, batch_invariant=True)
    np.testing.assert_array_equal(found.compute(), whole)


def test_no_images_give_no_labels():
    network = xpnet.load("sample")
    found = xpnet.predict(network, np.empty((0, 784), np.uint8), batch_invariant=True)
    assert found.shape == (0,)
