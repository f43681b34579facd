"""Memory: a full device is told, and files may exceed it."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import xpnet

PIXELS = np.random.default_rng(0).integers(0, 256, (8193, 784), np.uint8)
NETWORK = xpnet.load("sample")
STRICT = "array-api-strict:device1"


@pytest.fixture
def full(monkeypatch):
    """Let a network have memory for 100 rows, and raise `error` for more."""
    compute = xpnet.Network.compute

    def limited(network, x, xp):
        if x.shape[0] > 100:
            raise limited.error
        return compute(network, x, xp)

    monkeypatch.setattr(xpnet.Network, "compute", limited)
    return limited


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Out of memory allocating 1,024 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
    ],
    ids=lambda error: str(error)[:9],
)
@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_a_full_device_is_an_error_that_names_the_batch_size(full, error, is_there, name):
    pytest.importorskip("array_api_strict")
    full.error, network = error, NETWORK.to(STRICT)
    rows = xpnet.Device(STRICT).asarray(PIXELS) if is_there else PIXELS
    arguments = [rows] if name == "predict" else [rows, np.zeros(len(PIXELS), int)]
    with pytest.raises(xpnet.DeviceError, match=r"8,193 rows.*batch_size=") as caught:
        getattr(xpnet, name)(network, *arguments)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.code == "out-of-memory"
    assert caught.value.__context__ is None  # it would keep memory
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    getattr(xpnet, name)(network, *arguments, batch_size=100)


def test_other_errors_are_left_alone(full):
    pytest.importorskip("array_api_strict")
    full.error = RuntimeError("a launch failed")
    with pytest.raises(RuntimeError, match="launch"):
        xpnet.predict(NETWORK.to(STRICT), PIXELS)
    full.error = MemoryError("the host's")
    with pytest.raises(MemoryError, match="the host's") as caught:
        xpnet.predict(NETWORK.to("array-api-strict"), PIXELS, batch_size=1000)
    assert type(caught.value) is MemoryError


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[100:2900], np.s_[::2], np.s_[:0], np.s_[7:8]])
def test_a_mapped_file_is_an_array(tmp_path, mode, part):
    PIXELS.tofile(tmp_path / "images.bin")
    images = np.memmap(tmp_path / "images.bin", np.uint8, mode, shape=PIXELS.shape)[part]
    regression = replace(NETWORK, output="values")
    for network in (regression, regression.to(STRICT)):
        found = xpnet.predict(network, images)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, xpnet.predict(network, PIXELS[part]))


MEMORY = """
import resource, sys
import numpy as np, xpnet

path, word, n_rows = sys.argv[1:]
network = xpnet.load("sample").to(word)
images = np.memmap(path, np.uint8, "r", shape=(int(n_rows), 784))
xpnet.predict(network, images[:50_000])  # what is taken once
lines = open("/proc/self/status").read().splitlines()
used = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**28, -1))
try:
    np.ones(images.nbytes, np.uint8)
except MemoryError:
    print(len(xpnet.predict(network, images)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of private memory")
@pytest.mark.parametrize("word", ["cpu", STRICT])
def test_a_file_may_exceed_the_memory(tmp_path, word):
    pytest.importorskip("array_api_strict")
    path, n_rows = tmp_path / "black.bin", 500_000
    with path.open("wb") as file:
        file.truncate(n_rows * 784)  # 392 MB; chunks on a device take several times 64
    command = [sys.executable, "-c", MEMORY, path, word, str(n_rows)]
    assert int(subprocess.check_output(command, timeout=60)) == n_rows
