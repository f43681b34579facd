"""Devices by name."""

import copy
import pickle
import re
import sys
import types
from collections import namedtuple

import array_api_compat
import numpy as np
import pytest

import xpnet
from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.library import library_version
from xpnet.arrays.namespace import array_namespace, device_of, dtype_name
from xpnet.testing.built_in import jax_settings

WORDS = ("cpu", "array-api-strict", "array-api-strict:device1", "array-api-strict:no_float64")
WORDS += ("dask", "torch", "torch:cpu", "jax", "jax:cpu:0", "dpnp", "mlx")
Pair = namedtuple("Pair", ["x", "y"])  # noqa: PYI024 (a typed one could hold no arrays of any kind)


def opened(word):
    """Return a device; skip the test where its library is not installed."""
    try:
        return xpnet.Device(word)
    except xpnet.DeviceError as error:
        if error.code != "not-installed":
            raise
        pytest.skip(str(error))


@pytest.fixture(params=WORDS)
def device(request):
    return opened(request.param)


class CudaDevice:
    """A stand-in for CuPy's device."""

    entered: list = []  # noqa: RUF012 (of the class, on purpose)

    def __init__(self, index):
        self.id, self.n_waits = index, 0

    def synchronize(self):
        self.n_waits += 1

    def __enter__(self):
        self.entered.append(self)

    def __exit__(self, *_):
        self.entered.remove(self)


CudaDevice.__module__ = "cupy.cuda.device"


@pytest.fixture
def fake_gpu(monkeypatch):
    """Replace CuPy by a stand-in with two cards."""
    runtime = types.ModuleType("cupy.cuda.runtime")
    runtime.getDeviceProperties = lambda i: {"name": b"Card %d" % i}
    cuda = types.ModuleType("cupy.cuda")
    cuda.Device, cuda.runtime = CudaDevice, runtime
    cupy = types.ModuleType("cupy")
    cupy.cuda, cupy.__version__ = cuda, "14.0"
    monkeypatch.setattr("xpnet.arrays.gpu.open_gpu", CudaDevice)
    cupy.asarray = lambda _: types.SimpleNamespace(device=CudaDevice.entered[-1])
    modules = {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.runtime": runtime}
    modules["array_api_compat.cupy"] = types.ModuleType("fake")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    # If another test has imported the real namespace, it is an attribute of its package.
    monkeypatch.setattr(array_api_compat, "cupy", modules["array_api_compat.cupy"], raising=False)


# Words


def test_the_cpu_is_the_default_and_numpy():
    device = xpnet.Device()
    assert (device.name, device.library, device.handle) == ("cpu", "numpy", "cpu")
    assert device.xp is np
    assert device == xpnet.Device("cpu") == xpnet.Device("numpy")
    assert xpnet.Device("numpy").name == "cpu"
    device.synchronize()


def test_a_word_opens_a_device_of_its_library(device, request):
    word = request.node.callspec.params["device"]
    assert device.name == str(device) == word
    assert device.library == ("numpy" if word == "cpu" else word.partition(":")[0])
    assert device.reason == f"asked for {word}"
    assert library_version(device.xp)[0].isdigit()
    assert device.hardware
    x = device.asarray([1.0, 2.0])
    assert array_namespace(x) == device.xp
    assert device_of(x) == device.handle
    assert word in repr(device)


@pytest.mark.parametrize("word", ["gpu", "gpu:1", "cuda", "cuda:1", "cupy", "cupy:1", "auto"])
@pytest.mark.usefixtures("fake_gpu")
def test_words_for_a_gpu(word):
    device, n = xpnet.Device(word), int(word.endswith("1"))
    assert (device.name, device.library, device.hardware) == (f"gpu:{n}", "cupy", f"Card {n}")
    is_chosen = word == "auto"
    assert device.reason == (
        "auto chose gpu: GPU 0 is usable" if is_chosen else f"asked for {word}"
    )
    device.synchronize()
    assert device.handle.n_waits == 1


@pytest.mark.parametrize("word", ["gpu", "gpu:1", "cuda", "cupy", "cupy:1"])
@pytest.mark.usefixtures("no_gpu")
def test_no_gpu_is_an_error_with_its_cause_and_fix(word):
    with pytest.raises(xpnet.DeviceError, match="cupy is not installed; pip install") as caught:
        xpnet.Device(word)
    assert caught.value.code == "not-installed"
    device = xpnet.Device("auto")
    assert (device.name, "cupy is not installed" in device.reason) == ("cpu", True)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("tpu", "'tpu'"),
        ("jax.numpy", "'jax.numpy'"),
        ("numpy:0", "no devices to choose from"),
        ("dask:x", "no devices to choose from"),
        ("torch:tpu", "Expected one of cpu, cuda,"),
        ("torch:cpu:1", "there is one cpu"),
        ("jax:tpv", "Unknown backend tpv"),
        ("jax:cpu:77", "out of range"),
        ("dpnp:tpu", ""),
        ("array-api-strict:device9", "device9"),
    ],
)
def test_there_is_no_fallback_but_one_line_with_cause_and_remedy(word, text):
    is_known = word.partition(":")[0] in KNOWN
    if is_known:
        opened(word.partition(":")[0])
    with pytest.raises(xpnet.DeviceError, match=re.escape(text)) as caught:
        xpnet.Device(word)
    message = str(caught.value)
    assert ("; " in message, "\n" in message) == (True, False)
    assert caught.value.code == ("unusable" if is_known else "unknown-library")


@pytest.mark.usefixtures("fake_gpu")
@pytest.mark.parametrize("word", ["cupy:x", "cupy:0:1"])
def test_a_gpu_has_a_number(word):
    with pytest.raises(xpnet.DeviceError, match=rf"^{word} is not usable \(.*\); "):
        xpnet.Device(word)


@pytest.mark.parametrize("word", ["torch", "jax:cpu", "dpnp:0", "mlx", "dask"])
def test_a_missing_or_broken_library_is_an_error_with_its_cause(monkeypatch, word):
    name = word.partition(":")[0]
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(xpnet.DeviceError, match=f"pip install {name}$") as caught:
        xpnet.Device(word)
    assert caught.value.code == "not-installed"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    if name == "torch":  # its import fails
        with pytest.raises(xpnet.DeviceError, match="not usable"):
            xpnet.Device(word)


@pytest.mark.parametrize(
    "word",
    [
        *("", "GPU", "gpu:", "gpu:-1", "gpu:+1", "gpu:x", "gpu:\uff11", "cpu:0", "auto:1"),
        *("Torch", "torch:", "torch::", "torch: cuda", "torch:cuda\n", ":cuda", "1d", "-torch"),
        *("cpu\n", " cpu", "cpu,gpu", "torch:*", None, 3, b"cpu"),
    ],
)
def test_malformed_words_are_rejected(word):
    with pytest.raises(ValueError, match=re.escape(repr(word))):
        xpnet.Device(word)


# A device is a value


def test_a_device_is_a_value(device):
    for same in (
        xpnet.Device(device),
        xpnet.Device(device.name),
        copy.copy(device),
        copy.deepcopy(device),
        pickle.loads(pickle.dumps(device)),
    ):
        assert same == device
        assert hash(same) == hash(device)
        assert str(same) == str(device)
        assert same.xp == device.xp
    assert device != device.name


def test_words_for_one_device_are_equal_and_others_differ():
    for words, n_devices in (
        (("array-api-strict", "array-api-strict:CPU_DEVICE"), 1),
        (("torch", "torch:cpu", "torch:cpu:0"), 1),
        (("jax:cpu", "jax:cpu:0"), 1),
        (("cpu", "dask", "array-api-strict:device1", "array-api-strict:device2"), 4),
    ):
        assert len({opened(word) for word in words}) == n_devices


# Creation and transfers


def test_the_namespace_creates_on_the_device(device):
    xp = device.xp
    for x in (
        xp.zeros(2),
        xp.ones((2, 2), dtype=xp.float32),
        xp.full((2,), 3.0),
        xp.arange(3),
        xp.linspace(0.0, 1.0, 3),
        xp.asarray([1.0, 2.0]),
        xp.asarray(np.ones(2, "float32")),
    ):
        assert array_namespace(x) == xp
        assert device_of(x) == device.handle


@pytest.mark.parametrize(
    "x", [1.0, np.float32(1), [1.0], np.ones((2, 2), "f4"), np.arange(6.0).reshape(2, 3)[::-1]]
)
def test_numbers_lists_and_arrays_move(device, x):
    moved = device.asarray(x)
    assert device_of(moved) == device.handle
    assert device.asarray(moved) is device.asarray(moved, moved.dtype) is moved
    np.testing.assert_array_equal(device.to_numpy(moved), np.asarray(x))
    assert tuple(moved.shape) == np.shape(x)


def test_arrays_to_the_device_and_back(xp_backend):
    device, x = xpnet.Device("cpu"), xp_backend.asarray([1.0, 2.0])
    for here in (device.asarray(x), device.to_numpy(x)):
        assert isinstance(here, np.ndarray)
        np.testing.assert_array_equal(here, [1.0, 2.0])


@pytest.mark.parametrize("x", [None, "text", {"x": 1.0}, np.ma.masked_array([1.0], [True])])
def test_what_is_no_array_is_refused(device, x):
    with pytest.raises(TypeError, match="must be an array"):
        device.asarray(x)


@pytest.mark.parametrize(
    "dtype", ["float32", np.float32, np.dtype("float32")], ids=["name", "type", "dtype"]
)
@pytest.mark.parametrize("x", [2, [1.5, 2.5], np.asarray([1, 2]), np.float16(3)])
def test_an_array_is_made_in_a_dtype(device, dtype, x):
    moved = device.asarray(x, dtype)
    assert dtype_name(moved.dtype) == "float32"
    assert device_of(moved) == device.handle
    again = device.asarray(moved, "int32")  # of an array that is there
    assert dtype_name(again.dtype) == "int32"
    assert device_of(again) == device.handle
    np.testing.assert_array_equal(device.to_numpy(again), np.asarray(x).astype("int32"))
    with pytest.raises(TypeError):
        device.asarray(moved, "nonsense")


def test_64_bits_that_a_device_lacks_are_refused():
    device = opened("array-api-strict:no_float64")
    for x in (1.0, [1.0], np.ones(2), device.asarray([1.0])):
        with pytest.raises(TypeError, match="has no float64; use float32"):
            device.asarray(x, "float64")
    for dtype, word in (("complex128", "use complex64"), ("bfloat16", "bfloat16")):
        with pytest.raises(TypeError, match=word):
            device.asarray([1.0], dtype)
    with pytest.raises(ValueError, match="float64"):
        device.asarray([1e300])
    assert device.to_numpy(device.asarray([np.inf, 1.5])).tolist() == [np.inf, 1.5]
    assert dtype_name(device.asarray([1], "int64").dtype) == "int64"


@pytest.mark.parametrize("dtype", ["float64", "complex128", "int64"])
def test_jax_refuses_64_bits_unless_it_has_them(dtype):
    pytest.importorskip("jax")
    device = xpnet.Device("jax")
    with jax_settings(has_64_bits=False):
        with pytest.raises(TypeError, match=rf"{dtype} \(set JAX_ENABLE_X64=1\)"):
            device.asarray([1], dtype)
        for make in (  # integers are not wrapped
            lambda: device.asarray([2**40]),
            lambda: device.asarray(np.asarray([2**40])),
        ):
            with pytest.raises(ValueError, match="int64"):
                make()
    with jax_settings(has_64_bits=True):
        assert dtype_name(device.asarray([1], dtype).dtype) == dtype


def has(device, dtype):
    info = getattr(device.xp, "__array_namespace_info__", None)
    return info is None or dtype in info().dtypes(kind=None)


def test_numbers_of_python_need_no_64_bits(device):
    for x, wide, narrow in (
        (1.5, "float64", "float32"),
        ([1.5], "float64", "float32"),
        (2, "int64", "int32"),
        (2.0j, "complex128", "complex64"),
    ):
        moved = device.asarray(x)
        assert dtype_name(moved.dtype) == (wide if has(device, wide) else narrow)
        np.testing.assert_array_equal(device.to_numpy(moved), x)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_bfloat16(library):
    pytest.importorskip(library)
    device, cpu = xpnet.Device(library), xpnet.Device("cpu")
    x = device.asarray([1.5, -2.0], "bfloat16")
    assert dtype_name(x.dtype) == "bfloat16"
    assert device.asarray(x) is device.asarray(x, "bfloat16") is x
    assert dtype_name(device.asarray(x, "float32").dtype) == "float32"
    np.testing.assert_array_equal(cpu.asarray(x), np.float32([1.5, -2.0]), strict=True)
    with pytest.raises(TypeError, match="bfloat16"):
        cpu.asarray(x, "bfloat16")


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        *((300, "int8"), ([300], "int8"), ([-1], "uint64"), ([-129.0], "int8"), ([1e20], "int64")),
        *(([np.nan], "int32"), ([-np.inf], "int32"), ([2.0**63], "int64"), ([2**70], "int64")),
    ],
    ids=str,
)
def test_integers_that_do_not_fit_are_no_others(device, x, dtype):
    dtype = dtype if has(device, dtype) else dtype.replace("64", "32")
    for given in (x, np.asarray(x)):
        with pytest.raises(ValueError, match=dtype):
            device.asarray(given, dtype)


def test_the_ends_of_a_dtype_fit(device):
    ends = device.asarray([127.9, -128.9], "int8")
    assert device.to_numpy(ends).tolist() == [127, -128]
    other = opened("dask" if device.library == "torch" else "torch")
    with pytest.raises(ValueError, match="int8"):
        device.asarray(other.asarray([300]), "int8")


PLACES = ["cpu", "torch:cpu", "array-api-strict:device1"]


@pytest.mark.parametrize("word", PLACES)
@pytest.mark.parametrize(
    ("dtype", "name"), [(float, "float64"), (int, "int64"), ("double", "float64"), (bool, "bool")]
)
def test_dtypes_of_python_and_c_are_those_of_numpy(word, dtype, name):
    device = opened(word)
    assert dtype_name(device.asarray([0.0, 1.0], dtype).dtype).strip("_") == name
