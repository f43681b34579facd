"""Calls of CuPy by the bus, compared with the real CuPy's signatures, without a GPU.

A namespace that records calls replaces CuPy; each recorded call must fit the signature of the real
function, which can be imported without a GPU.
"""

import operator
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.gpu.cuda_streams import Bus, DeviceMemoryError, bus_to


class Recorder:
    """An object of CuPy that records its calls and ``with`` blocks."""

    def __init__(self, log, name):
        self._log, self._name = log, name

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return Recorder(self._log, f"{self._name}.{name}")

    def __call__(self, *args, **options):
        self._log.append((self._name, args, options))
        return Recorder(self._log, RESULTS.get(self._name, f"{self._name}()"))

    def __enter__(self):
        self._log.append((f"{self._name}.__enter__", (), {}))
        return self

    def __exit__(self, *args):
        self._log.append((f"{self._name}.__exit__", args, {}))


# The types of the results of calls.
RESULTS = {
    "cupy.cuda.Stream": "cupy.cuda.Stream",
    "cupy.cuda.get_current_stream": "cupy.cuda.Stream",
    "cupy.cuda.Stream.record": "cupy.cuda.Event",
    "cupy.cuda.Event": "cupy.cuda.Event",
    "cupy.get_default_memory_pool": "cupy.cuda.MemoryPool",
    "cupy.get_default_pinned_memory_pool": "cupy.cuda.PinnedMemoryPool",
    "cupy.empty": "cupy.ndarray",
    "cupyx.empty_pinned": "numpy.ndarray",
}


class ForeignError(Exception):
    """A stand-in for CUDA's errors."""

    status = 1


@pytest.fixture
def real():
    """Return the real modules; request this fixture before `log` replaces them."""
    names = ("cupy", "cupyx")
    return {name: pytest.importorskip(name, reason="needs the real CuPy") for name in names}


@pytest.fixture
def log(monkeypatch):
    """Replace CuPy by a recorder; return its log."""
    log = []
    cupy = Recorder(log, "cupy")
    runtime = SimpleNamespace(
        CUDARuntimeError=ForeignError,
        pointerGetAttributes=lambda place: (
            log.append(("cupy.cuda.runtime.pointerGetAttributes", (place,), {}))
            or SimpleNamespace(type=1)
        ),
    )
    cuda = Recorder(log, "cupy.cuda")
    cuda.runtime, cupy.cuda = runtime, cuda
    cuda.driver = SimpleNamespace(CUDADriverError=ForeignError)
    cuda.Device = lambda: SimpleNamespace(id=0)
    monkeypatch.setattr("xpnet.arrays.gpu.cuda_streams._idle", {})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", Recorder(log, "cupyx"))
    return log


def use_everything(log):
    """Call each operation of a bus."""
    bus, stream = Bus(), Recorder(log, "cupy.cuda.Stream")
    place, host = Recorder(log, "cupy.ndarray"), np.zeros((3, 4), np.float32)
    with bus.streams():
        pass
    bus.upload(host)
    bus.pinned((3, 4), np.dtype("f4"))
    bus.is_pinned(host)
    bus.allocate((3, 4), np.dtype("f4"), stream)
    bus.copy_in(place, host, stream)
    bus.compute(lambda x: x, place, stream)
    bus.copy_out(host, place, stream)
    event = bus.record(stream)
    bus.wait(event)
    bus.wait(event, stream)
    bus.free()
    bus.is_out_of_memory(ForeignError())


def names(log):
    return [name for name, _, _ in log]


def test_every_call_fits_cupy(cupy_takes, log):
    use_everything(log)
    assert [call for call in log if not cupy_takes(*call)] == []


# Order of calls


def test_a_new_stream_waits_for_the_current_one(log):
    with Bus().streams() as (copying, computing):
        assert copying is not computing
    assert log[:2] == [("cupy.cuda.Stream", (), {"non_blocking": True})] * 2
    assert [name.rpartition(".")[2] for name, _, _ in log[2:]] == [
        "get_current_stream",
        "record",
        "wait_event",
        "wait_event",
    ]
    assert isinstance(log[-1][1][0], Recorder)  # the event that was recorded


def lend(bus, error=None):
    pairs = []
    with suppress(ArithmeticError), bus.streams() as pair:
        pairs.append(pair)
        if error is not None:
            raise error
    return pairs[0]


def test_streams_are_lent_to_one_call_at_a_time(log):
    bus = Bus()
    with bus.streams() as first, bus.streams() as second:
        assert not set(first) & set(second)
    assert lend(bus) == first  # returned last
    assert lend(bus, ZeroDivisionError()) == lend(bus) == first
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lend, bus).result() == first
    with bus.streams(), bus.streams():
        pass
    assert names(log).count("cupy.cuda.Stream") == 4
    assert names(log).count("cupy.cuda.get_current_stream") == 8  # all wait, each time


@pytest.mark.parametrize(
    ("array", "dtype", "order"),
    [
        (np.zeros((3, 4), ">f4"), "f4", "C"),
        (np.zeros((3, 4), "f8", order="F"), "f8", "F"),
        (np.zeros((3, 4), "u1")[:, ::2], "u1", "C"),
    ],
)
def test_an_upload_pins_no_memory(log, array, dtype, order):
    Bus().upload(array)
    (name, options, _), (second, (copied,), _) = log[:2]
    assert (name, options) == ("cupy.empty", (array.shape, np.dtype(dtype), order))
    assert (second, copied.dtype) == ("cupy.ndarray.set", np.dtype(dtype))
    np.testing.assert_array_equal(copied, array)
    # Otherwise `set` would copy it, and free the copy, which may still be read.
    assert copied.flags[f"{order}_CONTIGUOUS"]


@pytest.mark.parametrize("kind", [0, 1], ids=["pageable", "pinned"])
def test_an_upload_is_waited_for(log, monkeypatch, kind):
    # The caller may overwrite the array at once, which some machines read later, pinned or not.
    monkeypatch.setattr(Bus, "is_pinned", lambda *_: bool(kind))
    Bus().upload(np.zeros(3))
    assert names(log)[-2:] == ["cupy.cuda.get_current_stream", "cupy.cuda.Stream.synchronize"]


def test_memory_is_allocated_on_its_stream(log):
    stream = Recorder(log, "cupy.cuda.Stream")
    Bus().allocate((3, 4), np.dtype("u1"), stream)
    assert names(log) == ["cupy.cuda.Stream.__enter__", "cupy.empty", "cupy.cuda.Stream.__exit__"]
    assert log[1][1:] == (((3, 4), np.dtype("u1")), {})


def test_a_function_is_called_on_its_stream(log):
    stream = Recorder(log, "cupy.cuda.Stream")
    assert Bus().compute(lambda x: log.append(("function", (x,), {})) or 7, 5, stream) == 7
    assert names(log) == ["cupy.cuda.Stream.__enter__", "function", "cupy.cuda.Stream.__exit__"]
    log.clear()
    with pytest.raises(ZeroDivisionError):
        Bus().compute(lambda x: x / 0, 5, stream)
    assert names(log) == ["cupy.cuda.Stream.__enter__", "cupy.cuda.Stream.__exit__"]


def test_copies_are_asynchronous(log):
    stream, place = Recorder(log, "cupy.cuda.Stream"), Recorder(log, "cupy.ndarray")
    host = np.zeros((3, 4))
    Bus().copy_in(place, host, stream)
    Bus().copy_out(host, place, stream)
    assert names(log) == ["cupy.ndarray.set", "cupy.ndarray.get"]
    (_, (source,), in_options), (_, _, out_options) = log
    assert source is host
    assert in_options["stream"] is stream
    assert out_options["stream"] is stream
    assert out_options["out"] is host
    assert out_options["blocking"] is False


def test_waiting_for_an_event(log):
    stream = Recorder(log, "cupy.cuda.Stream")
    event = Bus().record(stream)
    assert log[-1][0] == "cupy.cuda.Event.record"
    assert log[-1][1][0] is stream
    log.clear()
    Bus().wait(event)
    assert names(log) == ["cupy.cuda.Event.synchronize"]
    log.clear()
    Bus().wait(event, stream)
    assert names(log) == ["cupy.cuda.Stream.wait_event"]
    assert log[0][1][0] is event


def test_both_pools_are_freed(log):
    Bus().free()
    freed = [name for name in names(log) if name.endswith("free_all_blocks")]
    assert freed == ["cupy.cuda.MemoryPool.free_all_blocks", freed[1]]
    assert freed[1] == "cupy.cuda.PinnedMemoryPool.free_all_blocks"


# Pinned memory


@pytest.mark.parametrize(
    ("kinds", "is_pinned"), [((1, 1), True), ((0, 0), False), ((1, 0), False), ((0, 1), False)]
)
def test_memory_is_pinned_at_both_ends(log, monkeypatch, kinds, is_pinned):
    x, asked = np.zeros((5, 7), np.uint8)[1:], []
    ends = dict(zip((x.ctypes.data, x.ctypes.data + x.nbytes - 1), kinds, strict=True))

    def attributes(place):
        asked.append(place)
        return SimpleNamespace(type=ends[place])

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "pointerGetAttributes", attributes)
    assert Bus().is_pinned(x) is is_pinned
    assert set(asked) == set(ends)
    assert log == []


def test_an_old_driver_rejects_unpinned_memory(log, monkeypatch):
    def attributes(_):
        raise ForeignError

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "pointerGetAttributes", attributes)
    assert Bus().is_pinned(np.zeros(3)) is False
    assert log == []


def test_without_a_driver_nothing_is_pinned(real):
    try:
        n_devices = real["cupy"].cuda.runtime.getDeviceCount()
    except real["cupy"].cuda.runtime.CUDARuntimeError:
        n_devices = 0
    if n_devices:
        pytest.skip("here is a GPU")
    assert Bus().is_pinned(np.zeros(3)) is False


# Exhausted memory


class CUBLASError(RuntimeError):
    """CuPy's error of this name: only beside cuBLAS can the real one be imported."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


@pytest.mark.parametrize(
    ("fault", "is_full"),
    [
        (("runtime.CUDARuntimeError", (2,)), True),
        (("runtime.CUDARuntimeError", (1,)), False),
        (("runtime.CUDARuntimeError", (700,)), False),
        (("memory.OutOfMemoryError", (1000, 2000, 3000)), True),
        ((CUBLASError, (3,)), True),
        ((CUBLASError, (13,)), False),
        ((MemoryError, ()), True),
        ((RuntimeError, ("out of memory",)), False),
        ((KeyboardInterrupt, ()), False),
    ],
)
def test_errors_of_full_memory(real, fault, is_full):
    kind, arguments = fault
    if isinstance(kind, str):
        kind = operator.attrgetter(kind)(real["cupy"].cuda)
    assert Bus().is_out_of_memory(kind(*arguments)) is is_full


def test_the_message(real):
    reason = real["cupy"].cuda.memory.OutOfMemoryError(10**12, 10**12, 10**13)
    error = DeviceMemoryError.of_rows(65_536, f"{reason}\n")
    assert str(error) == (
        "the GPU has no memory for 65,536 rows at a time (Out of memory allocating"
        " 1,000,000,000,000 bytes (allocated so far: 1,000,000,000,000 bytes, limit set to:"
        " 10,000,000,000,000 bytes).); free some of it (nvidia-smi shows its use), or use"
        " --device cpu"
    )
    assert error.code == "out-of-memory"
    assert isinstance(error, DeviceError)
    assert isinstance(error, MemoryError)
    assert len(str(DeviceMemoryError.of_rows(1024, "word " * 200))) <= 400


# Arrays with a bus


@pytest.mark.parametrize("dtype", ["u1", "f4", "?"])
def test_arrays_of_cupy(on_cupy, dtype):
    host = np.ones((10, 4), dtype)
    x = on_cupy(host)
    assert type(bus_to(x)) is Bus
    assert type(bus_to(x[2:5])) is Bus
    # Attributes that the pipeline uses:
    assert x.dtype == host.dtype
    part = x[:7]
    assert part.shape == (7, 4)
    assert part.flags.c_contiguous
    assert part.data.ptr == host.ctypes.data
    rows = x[3:200, :]
    assert (rows.shape, rows.data.ptr) == ((7, 4), host[3:].ctypes.data)


@pytest.mark.parametrize("name", ["array_api_strict", "torch", "jax.numpy", "dask.array", "numpy"])
def test_other_libraries_have_no_bus(name):
    xp = pytest.importorskip(name)
    assert bus_to(xp.ones((3, 4))) is None
    assert bus_to([1]) is None
