"""The plan of a NumPy network: made once of arrays that cannot change, and silent."""

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpnet
from xpnet.arrays.frozen import is_frozen
from xpnet.arrays.ranges import RangeError
from xpnet.networks.plan import Plan
from xpnet.networks.preprocessing import arrays_of as arrays_of_step

SCALE = xpnet.Scale(1 / 255)
FLOATS = ["float32", "float64"]
PIXELS = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8)


def network_of(*widths, dtype="float32", preprocessing=SCALE, **options):
    options = {"activation": "sigmoid", "output": "values", **options}
    return xpnet.init_network(list(widths), dtype=dtype, preprocessing=preprocessing, **options)


def arrays_of(network):
    arrays = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    return [*arrays, *(x for step in network.preprocessing for x in arrays_of_step(step).values())]


@pytest.fixture
def n_made(monkeypatch):
    """Return a list that gets an item whenever a plan is made, slowly."""
    made, init = [], Plan.__init__

    def counted(self, *args):
        made.append(threading.current_thread().name)
        time.sleep(0.01)
        init(self, *args)

    monkeypatch.setattr(Plan, "__init__", counted)
    return made


# --- when a plan is made


def test_a_plan_is_made_at_the_first_use(n_made):
    network = network_of(784, 50, 10)
    assert n_made == []
    for _ in range(2):
        xpnet.predict(network, PIXELS)
        xpnet.predict_proba(dataclasses.replace(network, output="logits"), PIXELS[:1])
        network(PIXELS)
        network.plan.outputs(PIXELS)
    assert len(n_made) == 3  # one for the network, and one for each of two copies


def test_a_plan_is_made_once_by_several_threads(n_made):
    network, start = network_of(784, 50, 10), threading.Barrier(6)

    def predict(_):
        start.wait()
        return xpnet.predict(network, PIXELS)

    with ThreadPoolExecutor(6) as pool:
        first, *others = pool.map(predict, range(6))
    assert len(n_made) == 1
    assert all(np.array_equal(first, other) for other in others)


# Another thread is making a plan while this process is forked.
FORK = """
import os, threading, time, numpy, xpnet
from xpnet.networks.plan import Plan

network, other = xpnet.init_network([9, 5]), xpnet.init_network([9, 5])
rows, started, init = numpy.ones((3, 9)), threading.Event(), Plan.__init__

def slow(self, *args):
    started.set()
    time.sleep(0.05)
    init(self, *args)

Plan.__init__ = slow
thread = threading.Thread(target=lambda: other.plan)
thread.start()
started.wait()
child = os.fork()
y = network.plan.outputs(rows)
if child == 0:
    os._exit(3 if (y == network(rows)).all() else 4)
thread.join()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_child_that_was_forked_while_a_plan_is_made_makes_its_own():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    subprocess.run(command, check=True, timeout=60)


ROUND_TRIPS = {
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "pickle_5": lambda network: pickle.loads(pickle.dumps(network, protocol=5)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    "to": lambda network: network.to("cpu"),
    "astype": lambda network: network.astype("float32"),
    "map_arrays": lambda network: network.map_arrays(lambda x: x),
}


@pytest.mark.parametrize("trip", ROUND_TRIPS)
def test_copies_and_pickles_are_equal(trip):
    steps = [SCALE, xpnet.Standardize(np.arange(784.0), 2.0)]
    network = network_of(784, 50, 10, preprocessing=steps)
    size = len(pickle.dumps(network))
    y = network(PIXELS)
    assert len(pickle.dumps(network)) == size  # without the plan
    other = ROUND_TRIPS[trip](network)
    assert repr(other) == repr(network)
    for mine, theirs in zip(arrays_of(network), arrays_of(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert is_frozen(theirs)
    np.testing.assert_array_equal(other(PIXELS), y)


@pytest.mark.parametrize(
    "network",
    [
        network_of(784, 10, dtype="float16"),
        network_of(784, 10).map_arrays(lambda x: x.astype(x.dtype.newbyteorder())),
        xpnet.reproducible(network_of(784, 10)),
    ],
    ids=["float16", "other_bytes", "reproducible"],
)
def test_networks_without_a_plan(network):
    assert network.plan is None
    np.testing.assert_array_equal(network(PIXELS), xpnet.predict(network, PIXELS))


def test_only_numpy_networks_have_a_plan(xp_backend):
    network = network_of(784, 10).map_arrays(xp_backend.asarray)
    assert (network.plan is not None) == (xp_backend.library == "numpy")


# --- arrays that cannot change


def test_the_given_arrays_may_change_without_effect():
    weight, bias, mean = np.ones((784, 3), "f4"), np.ones(3, "f4"), np.ones(784, "f4")
    layer = xpnet.Dense(weight, bias)
    network = xpnet.Network([layer], xpnet.Standardize(mean, 2.0), "values")
    changed = dataclasses.replace(network)
    for x in (weight, bias, mean):
        x[...] = 99
    np.testing.assert_array_equal(network(PIXELS), changed(PIXELS))
    assert layer.bias.tolist() == [1, 1, 1]
    assert set(network.preprocessing[0].mean) == {1.0}


def test_the_arrays_of_a_network_cannot_be_written():
    steps = [xpnet.Standardize(np.ones(5), np.ones(5)), xpnet.Whiten(np.ones(5), np.eye(5))]
    given = [np.asfortranarray(np.eye(5)[:, :3]), np.ones(3)]
    for dtype in ("float16", *FLOATS):
        layer = xpnet.Dense(*(x.astype(dtype) for x in given))
        for x in arrays_of(xpnet.Network([layer], steps)):
            assert is_frozen(x)
            with pytest.raises(ValueError, match="read-only"):
                x[...] = 0


def test_map_arrays_hands_out_copies():
    network = network_of(784, 10, preprocessing=xpnet.Standardize(np.zeros(784), 2.0))
    seen = []
    network.map_arrays(lambda x: seen.append(x) or x)
    assert all(x.flags.writeable for x in seen)
    for x, mine in zip(seen, [network.preprocessing[0].mean, *arrays_of(network)], strict=False):
        assert not np.may_share_memory(x, mine)


def test_torch_gets_copies_without_a_warning():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    network = network_of(784, 10)
    there = network.map_arrays(torch.from_numpy)
    kept = network.layers[0].weight.copy()
    there.layers[0].weight.zero_()
    np.testing.assert_array_equal(network.layers[0].weight, kept)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_memory_map_is_read_once_unless_it_can_be_written(tmp_path, mode, n_made):
    np.save(tmp_path / "weight.npy", np.ones((784, 10), np.float32))
    weight = np.load(tmp_path / "weight.npy", mmap_mode=mode)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(10, np.float32))], SCALE, "values")
    assert network.layers[0].weight is weight
    y = xpnet.predict(network, PIXELS)
    assert len(n_made) == (mode == "r")
    assert (network.plan is None) == (mode == "r+")
    np.load(tmp_path / "weight.npy", mmap_mode="r+")[...] = 2
    np.testing.assert_allclose(xpnet.predict(network, PIXELS), y if mode == "r" else 2 * y)


class Subclass(np.ndarray):
    """An array that NumPy may treat in another way."""


def test_changes_of_a_subclass_have_effect():
    weight = np.ones((784, 10), np.float32).view(Subclass)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(10, np.float32))], SCALE, "values")
    y = np.asarray(xpnet.predict(network, PIXELS))
    weight *= 2
    assert network.plan is None
    np.testing.assert_array_equal(np.asarray(xpnet.predict(network, PIXELS)), 2 * y)


# --- silence, and sums that might overflow


ROWS = {
    "bytes": PIXELS,
    "signed": PIXELS.view(np.int8),
    "bool": PIXELS > 100,
    "int64": PIXELS.astype(np.int64),
    "float16": PIXELS.astype(np.float16),
    "float32": PIXELS.astype(np.float32),
    "float64": PIXELS.astype(np.float64),
}
NETWORKS = {
    "sigmoid": ((784, 50, 10), SCALE),
    "saturated": ((784, 50, 10), None),  # sums beyond 88
    "steep": ((784, 50, 10), xpnet.Scale(10.0)),  # sums beyond 709
    "wide": ((784, 1024, 10), None),
    "not_folded": ((63, 50, 10), xpnet.Standardize(100.0, 0.25)),
}


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", ROWS)
def test_no_call_is_noticed_by_the_callers_errstate(name, rows, dtype):
    widths, steps = NETWORKS[name]
    network = network_of(*widths, dtype=dtype, preprocessing=steps)
    x = ROWS[rows][:, : widths[0]]
    with np.errstate(all="raise"):
        before = np.geterr()
        # Numbers that a step enlarges are not cast first.
        is_enlarged = name == "steep" and rows in {"int64", "float64"} and dtype == "float32"
        assert (network.plan.outputs(x) is None) == is_enlarged
        for n_rows in (1, 100):
            assert np.isfinite(xpnet.predict(network, x[:n_rows])).all()
            assert np.isfinite(network(x[:n_rows])).all()
        assert np.isfinite(xpnet.predict(network, np.resize(x, (3000, widths[0])))).all()
        assert np.geterr() == before


@pytest.mark.parametrize("n_rows", [2, 100, 3000])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_of_nan_or_infinity_changes_no_other_row(n_rows, bad):
    network = network_of(784, 300, 10)
    rows = np.resize(PIXELS, (n_rows, 784)).astype(np.float32)
    expected = xpnet.predict(network, rows)
    rows[1, 77] = bad
    with np.errstate(all="raise"):
        found = xpnet.predict(network, rows)
    np.testing.assert_array_equal(np.delete(found, 1, 0), np.delete(expected, 1, 0))


@pytest.mark.parametrize("dtype", FLOATS)
def test_huge_rows_are_inspected_and_have_the_same_labels(dtype, monkeypatch):
    network = network_of(784, 50, 10, dtype=dtype, activation="relu", output="logits")
    rows = 1e30 * PIXELS.astype(dtype)
    assert network.plan.outputs(rows) is None
    labels = xpnet.predict(network, rows)
    np.testing.assert_array_equal(labels, xpnet.predict(network, PIXELS))
    monkeypatch.setattr(xpnet.Network, "plan", None)
    np.testing.assert_array_equal(labels, xpnet.predict(network, rows))


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
def test_preprocessed_bytes_may_be_larger_than_the_root_of_the_largest_number():
    layer = xpnet.Dense(np.eye(3, dtype="f4") * 1e-20, np.zeros(3, "f4"))
    network = xpnet.Network([layer], xpnet.Standardize(0.1, 1e-20), "values")
    for rows in (np.full((2, 3), 255, dtype) for dtype in ("uint8", *FLOATS)):
        np.testing.assert_allclose(xpnet.predict(network, rows), 254.9, rtol=1e-5)


def test_a_row_of_nan_leads_to_no_error_of_others():
    layer = xpnet.Dense(np.full((64, 2), 1e-30, "f4"), np.zeros(2, "f4"))
    network, rows = xpnet.Network([layer], xpnet.Scale(1e36), "values"), np.full((2, 64), 1e9, "f4")
    outcomes = []
    for number in (1e9, np.nan):
        rows[1, 0] = number
        try:
            outcomes.append(xpnet.predict(network, rows)[0].tolist())
        except RangeError as error:
            outcomes.append((error.row, error.column))
    assert outcomes[0] == outcomes[1]


def test_results_that_overflow_in_the_last_activation_are_counted():
    layer = xpnet.Dense(np.eye(3, dtype="f4"), np.zeros(3, "f4"), "exponential")
    network = xpnet.Network([layer])
    for rows in (np.asarray([[100, 1, 2], [1, 2, 3]], dtype) for dtype in ("uint8", "float32")):
        with pytest.warns(xpnet.NonfiniteWarning, match="1 of 2"):
            xpnet.predict(network, rows)


def test_integers_that_float64_rounds_are_rejected_where_a_mean_is_folded():
    layer = xpnet.Dense(np.eye(64), np.zeros(64))
    network, rows = xpnet.Network([layer], xpnet.Standardize(1.0, 1.0)), np.ones((2, 64), np.int64)
    assert xpnet.predict(network, rows).tolist() == [0, 0]
    rows[1, 3] = 2**53 + 1
    with pytest.raises(ValueError, match="at most 2\\^53 in size"):
        xpnet.predict(network, rows)


@pytest.mark.parametrize("widths", [(20, 10), (784, 50, 10), (784, 1024, 10)], ids=str)
def test_few_rows_are_computed_in_one_piece(widths, monkeypatch):
    network, seen, outputs = network_of(*widths), [], Plan.outputs

    def counted(self, x):
        seen.append(len(x))
        return outputs(self, x)

    monkeypatch.setattr(Plan, "outputs", counted)
    n_rows = network.plan.few_rows
    assert 10 < n_rows < 1024
    xpnet.predict(network, np.resize(PIXELS, (n_rows, widths[0])))
    assert seen == [n_rows]
