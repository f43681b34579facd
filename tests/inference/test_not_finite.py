"""Rows without a finite largest output: an error where labels come to the host, NaN elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy

F32 = np.float32
INF, NAN = np.inf, np.nan
ROWS = np.asarray([[1.0], [1e30], [-2.0], [1e29], [0.0]], F32)
OVERFLOWS = [[1e10, -1e10, 1.0]]  # for 1e29 and more


def network_of(*weights, bias=0.0, hidden="identity", **options):
    arrays = [np.asarray(weight, F32) for weight in weights]
    names = [*[hidden] * (len(arrays) - 1), "identity"]
    layers = [
        xpnet.Dense(weight, np.zeros(weight.shape[1], F32), name)
        for weight, name in zip(arrays, names, strict=True)
    ]
    last = replace(layers[-1], bias=np.broadcast_to(F32(bias), layers[-1].bias.shape))
    return xpnet.Network([*layers[:-1], last], **options)


SPREAD = [[1.0, -1.0, 0.5]]
SOFTMAX = network_of(OVERFLOWS, output="probabilities")
SOFTMAX = replace(SOFTMAX, layers=[replace(SOFTMAX.layers[0], activation="softmax")])
# Network, rows, those without a finite largest output, and a word for the cause.
CASES = {
    "NaN": (network_of(SPREAD), [[1], [NAN], [2], [NAN]], [1, 3], "inputs"),
    "infinity": (network_of(SPREAD), [[1], [-1], [2], [-INF]], [3], "inputs"),
    "NaN among others": (network_of(np.eye(3)), [[1, 0, NAN], [1, 2, 3]], [0], "inputs"),
    "preprocessing": (
        network_of(SPREAD, preprocessing=xpnet.Scale(1e38)),
        [[1.0], [0.0], [1e3], [1e4]],
        [2, 3],
        "preprocessing",
    ),
    "cast": (network_of(SPREAD), np.asarray([[1.0], [1e39], [-1e300]]), [1, 2], "preprocessing"),
    "bytes": (
        network_of(SPREAD, preprocessing=xpnet.Scale(1e37)),
        np.asarray([[0], [255]], np.uint8),
        [1],
        "preprocessing",
    ),
    "layer 1": (network_of(OVERFLOWS), ROWS, [1, 3], "layer 1"),
    "the first one's cause": (network_of(OVERFLOWS), [[1e30], [NAN]], [0, 1], "layer 1"),
    "layer 3": (network_of([[1.0]], [[1.0]], OVERFLOWS), ROWS, [1, 3], "layer 3"),
    "hidden by a sigmoid": (network_of([[1e30]], SPREAD, hidden="sigmoid"), ROWS, [], ""),
    "-inf beside a finite one": (network_of(SPREAD, bias=[0.0, 0.0, -INF]), ROWS, [], ""),
    "all -inf": (network_of(SPREAD, bias=-INF), ROWS[:1], [0], "layer 1"),
    "one logit": (network_of([[1e10]]), ROWS, [1, 3], "layer 1"),
    "one probability": (network_of([[1e10]], output="probabilities"), -ROWS, [1, 3], "layer 1"),
    "softmax": (SOFTMAX, ROWS, [1, 3], "layer 1"),
}


@pytest.fixture(params=CASES)
def case(request):
    """Return network, rows, kept rows, lost rows, the word, and labels (0 for lost rows)."""
    network, rows, lost, word = CASES[request.param]
    rows = rows if isinstance(rows, np.ndarray) else np.asarray(rows, F32)
    with np.errstate(all="ignore"):
        y = network(rows)
    if network.n_out == 1:
        y = np.concatenate([np.full_like(y, 0.5 * (network.output != "logits")), y], axis=1)
    labels, kept = y.argmax(axis=1), np.delete(np.arange(len(rows)), lost)
    labels[lost] = 0
    return network, rows, kept, lost, word, labels


def raises(lost, word, first_row=0):
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return pytest.raises(xpnet.DataError, match=rf"row {first_row + lost[0]}\b.*{more}.*{word}")


def check(network, case, **options):
    """Assert results and errors of a network on any device for rows on the host."""
    usual, rows, kept, lost, word, labels = case
    some = rows[kept], labels[kept]
    np.testing.assert_array_equal(xpnet.predict(network, some[0], **options), some[1])
    assert xpnet.evaluate(network, *some, **options).correct == len(kept)
    assert xpnet.evaluate(network, iter([some, some]), **options).total == 2 * len(kept)
    if lost:
        with raises(lost, word):
            xpnet.predict(network, rows, **options)
        with raises(lost, word):
            xpnet.evaluate(network, rows, labels, **options)
        with raises(lost, word, first_row=len(kept)):
            xpnet.evaluate(network, iter([some, (rows, labels)]), **options)
    shares = xpnet.predict_proba(network, rows, **options)
    assert np.isfinite(shares[kept]).all()
    if usual.n_out > 1:
        assert np.isnan(shares[lost]).any(axis=1).all()
    values = xpnet.predict(replace(network, output="values"), rows, **options)
    is_kept = np.isin(range(len(rows)), kept)
    np.testing.assert_array_equal(np.isfinite(values.max(axis=1)), is_kept)


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"batch_size": 1, "threads": 2}])
def test_rows_on_the_host(case, options):
    check(case[0], case, **options)


def test_host_rows_for_a_network_on_a_device(xp_backend, case):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    check(case[0].map_arrays(xp_backend.asarray), case)


# In float64, fewer numbers overflow.
@pytest.mark.parametrize(
    "case", ["NaN", "infinity", "layer 1", "one logit", "hidden by a sigmoid"], indirect=True
)
def test_a_reproducible_network(case):
    check(xpnet.reproducible(case[0]), case)


def test_rows_on_the_device(xp_backend, case):
    network, rows, kept, lost, word, labels = case
    if xp_backend.name == "dask" or xp_backend.library == "numpy":
        pytest.skip("these rows are on the host")
    network = network.map_arrays(xp_backend.asarray)
    with np.errstate(over="ignore"):
        rows = xp_backend.asarray(rows, "uint8" if rows.dtype == np.uint8 else "float32")
    found = to_numpy(xpnet.predict(network, rows))  # without an error, of any class
    np.testing.assert_array_equal(found[kept], labels[kept])
    assert 0 <= found.min() <= found.max() < network.n_classes
    answers = xp_backend.asarray(labels, "int32")
    if lost:
        is_finite = np.isfinite(to_numpy(rows)).all()  # some rows exceed float32
        with raises(lost, word if is_finite else "inputs"):
            xpnet.evaluate(network, rows, answers)
    else:
        assert xpnet.evaluate(network, rows, answers).accuracy == 1.0


def test_dask_raises_where_a_block_is_computed(case):
    da = pytest.importorskip("dask.array")
    network, rows, _, lost, word, labels = case
    lazy = da.from_array(rows, chunks=(2, -1))
    found = xpnet.predict(network, lazy)
    if not lost:
        np.testing.assert_array_equal(found.compute(), labels)
        assert xpnet.evaluate(network, lazy, labels).accuracy == 1.0
        return
    with pytest.raises(xpnet.DataError, match=word):
        found.compute()
    with pytest.raises(xpnet.DataError, match=word):
        xpnet.evaluate(network, lazy, labels)


def test_a_call_shows_it_in_its_row(xp_backend):
    network, x = network_of(OVERFLOWS, SPREAD * 3), np.tile(ROWS, (200, 1))
    if xp_backend.name != "dask":
        network = network.map_arrays(xp_backend.asarray)
    y = to_numpy(network(xp_backend.asarray(x, "float32")))
    is_lost = np.tile([False, True, False, True, False], 200)
    np.testing.assert_array_equal(np.isnan(y).any(axis=1), is_lost)
    assert np.isfinite(y[~is_lost]).all()


def test_the_first_of_many_rows():
    rows = np.ones((10_000, 1), F32)
    rows[4321:] = NAN
    for options in ({}, {"batch_size": 7}, {"threads": 2}):
        with pytest.raises(xpnet.DataError, match=r"row 4321\b.*5,678 more"):
            xpnet.predict(network_of(SPREAD, classes="abc"), rows, **options)
    pairs = ((part, np.zeros(len(part), int)) for part in np.array_split(rows, 11))
    with pytest.raises(xpnet.DataError, match=r"row 4321\b"):
        xpnet.evaluate(network_of(SPREAD), pairs)


def test_a_row_of_nan_does_not_affect_others():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(784, 30)), rng.normal(size=(30, 10))
    network, rows = network_of(*weights, output="values"), rng.normal(size=(5000, 784)).astype(F32)
    expected, bad = xpnet.predict(network, rows), [0, 1, 2000, 4999]
    rows[bad, 77] = NAN
    found = xpnet.predict(network, rows)
    assert np.isnan(found[bad]).all()
    np.testing.assert_array_equal(np.delete(found, bad, 0), np.delete(expected, bad, 0))


@pytest.mark.parametrize(("dtype", "size"), [("float16", 1.0), ("float32", 1e19)])
def test_large_outputs_are_finite(dtype, size):
    """The square of a float16 above 256 is infinite, and that of a float32 above 1.8e19."""
    network = network_of(np.asarray([[300.0, 0.0], [0.0, 400.0]]) * size).astype(dtype)
    assert xpnet.predict(network, np.ones((1, 2), dtype)).tolist() == [1]
