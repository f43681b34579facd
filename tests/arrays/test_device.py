"""Devices by name."""

import copy
import pickle
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import array_api_compat
import numpy as np
import pytest

import xpnet
from xpnet.arrays.libraries import KNOWN, library_with
from xpnet.arrays.library import library_version
from xpnet.arrays.namespace import array_namespace, device_of

CURRENT = ContextVar("CURRENT")  # of CuPy, one for each thread


class Gpu:
    """CuPy's device: as a context, it is the current one of the thread."""

    __module__ = "cupy.cuda.device"

    def __init__(self, index):
        self.id, self.n_waits = index, 0

    def synchronize(self):
        self.n_waits += 1

    def __enter__(self):
        self.token = CURRENT.set(self)

    def __exit__(self, *_):
        CURRENT.reset(self.token)


@pytest.fixture
def two_gpus(monkeypatch):
    """Replace CuPy by a stand-in with two cards."""
    cupy = MagicMock(__version__="14.0")
    cupy.cuda.runtime.getDeviceProperties = lambda i: {"name": b"Card %d" % i}
    namespace = ModuleType("array_api_compat.cupy")
    own = {"__array_namespace__": lambda **_: namespace, "get": lambda: np.ones(1)}
    cupy.asarray = lambda _: SimpleNamespace(device=CURRENT.get(Gpu(0)), **own)
    cupy.ndarray, namespace.zeros = Gpu, cupy.asarray  # without `device`
    monkeypatch.setattr("xpnet.arrays.gpu.open_gpu", Gpu)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    # If another test has imported the real namespace, it is an attribute of its package.
    monkeypatch.setattr(array_api_compat, "cupy", namespace, raising=False)


def test_a_word_opens_a_device_of_its_library(device, request):
    word = request.node.callspec.params["device"]
    assert device.name == str(device) == word
    assert device.library == ("numpy" if word == "cpu" else word.partition(":")[0])
    assert device.reason == f"asked for {word}"
    assert library_version(device.xp)[0].isdigit()
    assert device.hardware in repr(device)
    xp = device.xp
    for x in (device.asarray([1.0, 2.0]), xp.zeros(2, device=None), xp.eye(2), xp.fft.fftfreq(4)):
        assert (array_namespace(x) == xp, device_of(x)) == (True, device.handle)
        assert library_with(array_namespace(x)).name == device.library
    device.synchronize()
    pickled = pickle.loads(pickle.dumps(device))
    for same in (xpnet.Device(device), copy.copy(device), pickled):
        assert (same.name, same.xp, same.handle) == (word, device.xp, device.handle)


def test_the_cpu_is_the_default_and_numpy():
    for device in (xpnet.Device(), xpnet.Device("numpy")):
        assert (device.name, device.xp, device.handle) == ("cpu", np, "cpu")


@pytest.mark.parametrize("word", ["gpu", "gpu:1", "cuda", "cuda:1", "cupy", "cupy:1", "auto"])
@pytest.mark.usefixtures("two_gpus")
def test_words_for_a_gpu(word):
    device, n = xpnet.Device(word), int(word.endswith("1"))
    assert (device.name, device.library, device.hardware) == (f"gpu:{n}", "cupy", f"Card {n}")
    assert library_version(device.xp) == "14.0"
    assert device.reason.startswith("auto chose gpu" if word == "auto" else f"asked for {word}")
    device.synchronize()
    assert device.handle.n_waits == 1


@pytest.mark.usefixtures("two_gpus")
def test_each_thread_creates_on_the_gpu_that_another_one_has_opened():
    device = xpnet.Device("gpu:1")
    zero = xpnet.Device("gpu").handle
    with ThreadPoolExecutor(1) as pool:
        calls = [
            pool.submit(device.xp.zeros, 2),
            pool.submit(device.asarray, [1.0]),
            pool.submit(device.xp.zeros, 2, device=zero),
        ]
    assert [call.result().device.id for call in calls] == [1, 1, 0]


UNUSABLE = {
    "tpu": "numpy, array-api-strict, .*register_library",
    "jax.numpy": "'jax.numpy'",
    "numpy:0": "no devices to choose from",
    "torch:cpu:1": "there is one cpu",
    "torch:meta": "torch:meta is not usable",  # its numbers cannot be read
    "jax:cpu:77": "out of range",
    "array-api-strict:device9": "device9",
    "cupy:x": "cupy:x is not usable",
    f"numpy:{'9' * 999}": "numpy:9",
}


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("word", UNUSABLE)
def test_there_is_no_fallback_but_one_line_with_cause_and_remedy(opened, word):
    is_known = word.partition(":")[0] in KNOWN
    if is_known and "cupy" not in word:
        opened(word.partition(":")[0])
    with pytest.raises(xpnet.DeviceError, match=UNUSABLE[word]) as caught:
        xpnet.Device(word)
    assert caught.value.code == ("unusable" if is_known else "unknown-library")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert str(error) == f"{error.message}; {error.fix}"
        assert ("\n" in str(error), len(str(error)) <= 400) == (False, True)


@pytest.mark.parametrize(
    "word",
    [
        *("", "GPU", "CPU", "gpu:", "gpu:-1", "gpu:+1", "gpu:x", "gpu:\uff11", "cpu:0", "auto:1"),
        *("Torch", "torch:", "torch::", "torch: cuda", "torch:cuda\n", ":cuda", "1d", "-torch"),
        *("cpu\n", " cpu", "cpu,gpu", "torch:*", "jax:cpu:-1", "jax:cpu:", None, 3, b"cpu"),
    ],
)
def test_malformed_words_are_rejected(word):
    with pytest.raises(ValueError, match=re.escape(repr(word))):
        xpnet.Device(word)


def test_torch_on_a_gpu(opened, monkeypatch):
    torch, device, waits = pytest.importorskip("torch"), opened("torch"), []
    device.handle = torch.device("cuda:1")  # needs no GPU
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda handle: f"Card {handle.index}")
    monkeypatch.setattr(torch.accelerator, "synchronize", waits.append)
    device.synchronize()
    assert (device.hardware, waits) == ("Card 1", [device.handle])


def test_jax_waits_for_its_arrays(opened, monkeypatch):
    jax, device, seen = pytest.importorskip("jax"), opened("jax"), []
    x = device.asarray([1.0])
    monkeypatch.setattr(jax, "block_until_ready", seen.extend)
    device.synchronize()
    assert any(x is y for y in seen)


def test_threads_open_devices_one_after_the_other(monkeypatch):
    """Another library may be imported while array-api-compat looks at the first ones."""
    alone = threading.Lock()

    def opened_alone(_):
        assert alone.acquire(blocking=False)
        time.sleep(0.02)
        alone.release()

    monkeypatch.setitem(KNOWN, "numpy", replace(KNOWN["numpy"], open=opened_alone))
    with ThreadPoolExecutor(4) as pool:
        assert [device.name for device in pool.map(xpnet.Device, ["cpu"] * 8)] == ["cpu"] * 8
