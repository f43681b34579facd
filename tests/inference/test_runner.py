"""Many rows: the same results as for few, and nothing cached from an earlier call."""

import dataclasses
import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import xpnet
from xpnet.parity.bounds.error_bound import error_bound

FEW, MANY = 2047, 5000
PIXELS = np.random.default_rng(0).integers(0, 256, (MANY, 784), np.uint8)


@pytest.fixture(autouse=True)
def errstate():
    """Assert that NumPy's handling of floating-point errors is left unchanged."""
    before = np.geterr()
    with np.errstate():
        yield
        assert np.geterr() == before


def network_of(*widths, dtype="float32", preprocessing=None, output="values"):
    random = np.random.default_rng(sum(widths))
    layers = [
        xpnet.Dense(
            (random.normal(size=(n_in, n_out)) / n_in**0.5).astype(dtype),
            random.normal(size=n_out).astype(dtype),
            "sigmoid",
        )
        for n_in, n_out in pairwise(widths)
    ]
    layers[-1] = dataclasses.replace(layers[-1], activation="identity")
    return xpnet.Network(layers, preprocessing or xpnet.Scale(1 / 255), output)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "widths"),
    [
        ("float16", (784, 50, 100, 10)),
        ("float32", (784, 50, 100, 10)),
        ("float32", (784, 300, 10)),
        ("float64", (784, 300, 10)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "preprocessing",
    [
        xpnet.Scale(1 / 255),
        [xpnet.Scale(0.5), xpnet.Scale(1 / 128)],
        [xpnet.Standardize(33.0, 78.0), xpnet.Scale(0.7)],
    ],
    ids=str,
)
def test_many_rows_are_within_their_bounds(dtype, widths, preprocessing):
    network = network_of(*widths, dtype=dtype, preprocessing=preprocessing)
    rows = PIXELS[: 2100 if dtype == "float16" else MANY].copy()
    rows[:2] = [[0], [255]]
    found = xpnet.predict(network, rows)
    assert found.dtype == dtype
    last = error_bound(network, rows).stages[-1]
    # In float64 the reference values have errors of the same size.
    bound = last.bound * (2 if dtype == "float64" else 1)
    assert np.all(np.abs(found - last.values) <= bound)


@pytest.mark.parametrize("images", [np.asarray(3.0), np.asarray(3, np.uint8), np.float32(3)])
@pytest.mark.parametrize(
    "function", [xpnet.predict, xpnet.predict_proba, lambda *both: xpnet.evaluate(*both, [0])]
)
def test_a_single_number_is_rejected(function, images):
    network = network_of(784, 10, output="logits")
    with pytest.raises(ValueError, match=r"must be rows of 784 values.*got the shape \(\)"):
        function(network, images)


@pytest.mark.parametrize("n_rows", [3, FEW + 1])
@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "object", "U1"])
def test_images_that_are_not_real_numbers_are_rejected(dtype, n_rows):
    with pytest.raises(TypeError, match="must hold real numbers; got dtype"):
        xpnet.predict(network_of(4, 2), np.zeros((n_rows, 4), dtype))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", ">f4", ">i2"])
@pytest.mark.parametrize("n_rows", [1, 100, FEW + 1])
def test_any_real_numbers_are_cast(dtype, n_rows):
    network = network_of(784, 30, 10, preprocessing=xpnet.Standardize(0.5, 2.0))
    images = (PIXELS[:n_rows] % 2).astype(dtype)
    expected = xpnet.predict(network, images.astype("float64" if dtype == "int64" else "float32"))
    np.testing.assert_array_equal(xpnet.predict(network, images), expected)


# Factors that would move the weights out of the range of float32.
EXTREMES = [(2e36, 255.0), (1e-20, 1e-25), (1e38, -1e30), (1e-37, 0.1)]


@pytest.mark.parametrize(("weight", "factor"), EXTREMES)
def test_many_rows_raise_no_further_floating_point_errors(weight, factor):
    layer = xpnet.Dense(np.full((4, 2), weight, np.float32), np.zeros(2, np.float32))
    network = xpnet.Network([layer], xpnet.Scale(factor), "values")
    rows = np.zeros((MANY, 4), np.float32)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(xpnet.predict(network, rows[:FEW]), 0)
        np.testing.assert_array_equal(xpnet.predict(network, rows), 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_parameters_give_the_same_for_many_rows(bad):
    network = network_of(784, 30, 10)
    weight = network.layers[0].weight.copy()
    weight[4, 5] = bad
    layers = [dataclasses.replace(network.layers[0], weight=weight), *network.layers[1:]]
    network, rows = dataclasses.replace(network, layers=layers), PIXELS.copy()
    rows[::3, 4] = 0  # 0 times infinity is NaN
    with np.errstate(all="ignore"):
        few, many = xpnet.predict(network, rows[:FEW]), xpnet.predict(network, rows)
    np.testing.assert_array_equal(np.isnan(many[:FEW]), np.isnan(few))
    assert np.isnan(few[0]).all()
    assert np.isnan(few[1]).all() == np.isnan(bad)


def test_a_nan_row_does_not_affect_others():
    network = network_of(784, 300, 10)
    rows = PIXELS.astype(np.float32)
    expected = xpnet.predict(network, rows)
    bad = [0, 1, 2000, 4999]
    rows[bad, 77] = np.nan
    found = xpnet.predict(network, rows)
    assert np.isnan(found[bad]).all()
    np.testing.assert_array_equal(np.delete(found, bad, 0), np.delete(expected, bad, 0))


@pytest.mark.parametrize("n_rows", [1, 30, 1000, MANY])
def test_results_share_no_memory(n_rows):
    network = network_of(784, 50, 10)
    first, second = (xpnet.predict(network, PIXELS[:n_rows]) for _ in range(2))
    assert not np.may_share_memory(first, second)
    kept = second.copy()
    first[...] = 99
    np.testing.assert_array_equal(second, kept)
    np.testing.assert_array_equal(xpnet.predict(network, PIXELS[:n_rows]), kept)


@pytest.mark.parametrize("n_rows", [3, 1000, MANY])
def test_a_network_that_gives_its_inputs_back_gives_copies(n_rows):
    eye = xpnet.Dense(np.eye(5, dtype=np.float32), np.zeros(5, np.float32))
    network = xpnet.Network([eye], output="values")
    rows = np.arange(5.0 * n_rows, dtype=np.float32).reshape(n_rows, 5)
    found = xpnet.predict(network, rows)
    np.testing.assert_array_equal(found, rows)
    assert not np.may_share_memory(found, rows)


# Chunks of rows for networks of other libraries than NumPy


def on_device(network):
    pytest.importorskip("array_api_strict")
    return network.to("array-api-strict:device1")


@pytest.mark.parametrize("n_rows", [0, 1, 24, 25, 26, 100])
def test_chunks_give_what_numpy_does(xp_backend, n_rows):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    network = network_of(784, 50, 10, output="logits")
    there, rows = network.map_arrays(xp_backend.asarray), PIXELS[:n_rows]
    placed = xp_backend.asarray(rows, "uint8")
    for function in (xpnet.predict, xpnet.predict_proba):
        expected = function(network, rows)
        found = function(there, rows, batch_size=25)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert function(there, placed, batch_size=25).shape == expected.shape
    ids = xpnet.predict(network, rows)
    assert xpnet.evaluate(there, rows, ids, batch_size=25).correct == n_rows


@pytest.fixture
def taken(monkeypatch):
    """Let a network compute as many rows at a time as its device has memory for."""
    n_rows, compute = [], xpnet.Network.compute

    def limited(network, x, xp):
        n_rows.append(x.shape[0])
        if x.shape[0] > 100:
            raise limited.error
        return compute(network, x, xp)

    limited.error, limited.n_rows = MemoryError("allocating 1,024 bytes"), n_rows
    monkeypatch.setattr(xpnet.Network, "compute", limited)
    return limited


ERRORS = [
    MemoryError("Out of memory allocating 1,024 bytes"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:9])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_device_is_an_error_that_names_the_batch_size(taken, error, is_there):
    network, taken.error = on_device(network_of(784, 50, 10)), error
    rows = xpnet.Device("array-api-strict:device1").asarray(PIXELS) if is_there else PIXELS
    for call in (xpnet.predict, lambda net, x: xpnet.evaluate(net, x, np.zeros(MANY, int))):
        classifier = dataclasses.replace(network, output="logits")
        with pytest.raises(xpnet.DeviceError, match=r"5,000 rows.*batch_size=") as caught:
            call(classifier, rows)
        assert isinstance(caught.value, MemoryError)
        assert caught.value.code == "out-of-memory"
        assert caught.value.__context__ is None  # it would keep memory
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert xpnet.predict(network, rows, batch_size=100).shape == (MANY, 10)
    assert set(taken.n_rows) == {MANY, 100}


def test_other_errors_are_left_alone(taken):
    taken.error = RuntimeError("a launch failed")
    with pytest.raises(RuntimeError, match="launch"):
        xpnet.predict(on_device(network_of(784, 50, 10)), PIXELS)
    taken.error = MemoryError("the host's")
    with pytest.raises(MemoryError, match="the host's"):  # a plain one
        xpnet.predict(network_of(784, 50, 10).to("array-api-strict"), PIXELS, batch_size=MANY)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[100:2900], np.s_[::2], np.s_[:0], np.s_[7:8]])
def test_a_mapped_file_is_an_array(tmp_path, mode, part):
    PIXELS.tofile(tmp_path / "images.bin")
    images = np.memmap(tmp_path / "images.bin", np.uint8, mode, shape=PIXELS.shape)[part]
    network = network_of(784, 50, 10)
    found = xpnet.predict(network, images)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, xpnet.predict(network, PIXELS[part]))
    there = on_device(network)
    found = xpnet.predict(there, images)
    np.testing.assert_array_equal(found, xpnet.predict(there, PIXELS[part]))


MEMORY = """
import resource, sys
import numpy as np, xpnet

path, word, n_rows = sys.argv[1:]
network = xpnet.load("sample").to(word)
images = np.memmap(path, np.uint8, "r", shape=(int(n_rows), 784))
xpnet.predict(network, images[:50_000])  # what is taken once
lines = open("/proc/self/status").read().splitlines()
used = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**27, -1))
try:
    np.ones(images.nbytes, np.uint8)
except MemoryError:
    print(len(xpnet.predict(network, images)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of private memory")
@pytest.mark.parametrize("word", ["cpu", "array-api-strict:device1"])
def test_a_file_may_exceed_the_memory(tmp_path, word):
    pytest.importorskip("array_api_strict")
    path, n_rows = tmp_path / "black.bin", 300_000
    with path.open("wb") as file:
        file.truncate(n_rows * 784)  # 235 MB
    command = [sys.executable, "-c", MEMORY, path, word, str(n_rows)]
    assert int(subprocess.check_output(command, timeout=60)) == n_rows
