"""Devices, streams and memory. All is done at once, on all streams."""

import os
import sys
import threading
import time
import weakref
from collections import Counter
from types import SimpleNamespace

from cupy._recording import note, recorded, recorded_class
from cupy.cuda import runtime

_BLOCK = 512  # bytes, of which CuPy's pool takes multiples
_local = threading.local()
sys.modules[f"{__name__}.device"] = device = sys.modules[__name__]
driver = SimpleNamespace(CUDADriverError=type("CUDADriverError", (RuntimeError,), {}))
cublas = None  # nothing of it is used, but that it can be loaded
nvrtc = SimpleNamespace(
    getVersion=recorded(lambda: (0, 0), "cupy.cuda.nvrtc.getVersion"),
    getSupportedArchs=recorded(lambda: (75,), "cupy.cuda.nvrtc.getSupportedArchs"),
)


class _Current:
    """An object that ``with`` makes the thread's current one of its class."""

    def __enter__(self):
        type(self)._entered().append(self)
        return self

    def __exit__(self, *args):
        type(self)._entered().pop()

    @classmethod
    def _entered(cls):
        return _local.__dict__.setdefault(cls.__name__, [cls._first()])


@recorded_class
class Device(_Current):
    __hash__ = None  # as in CuPy

    def __init__(self, device=None):
        self.id = Device._entered()[-1].id if device is None else int(device)

    @classmethod
    def _first(cls):
        return cls(0)

    @property
    def compute_capability(self):
        note("cupy.cuda.Device.compute_capability")
        return str(runtime.CAPABILITY)

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __int__(self):
        return self.id

    def __enter__(self):
        if not 0 <= self.id < runtime.N_DEVICES:
            raise runtime.CUDARuntimeError(101)
        return super().__enter__()

    def use(self):
        Device._entered()[-1] = self

    def synchronize(self):
        pass

    def __repr__(self):
        return f"<CUDA Device {self.id}>"


@recorded_class
class Event:
    def __init__(self, disable_timing=False):
        pass

    def record(self, stream=None):
        self._time = time.perf_counter()

    def synchronize(self):
        pass


@recorded
def get_elapsed_time(start_event, end_event):
    return 1e3 * (end_event._time - start_event._time)


@recorded_class
class Stream(_Current):
    def __init__(self, null=False, non_blocking=False):
        pass

    @classmethod
    def _first(cls):
        return cls.null

    def record(self, event=None):
        return event or Event()

    def wait_event(self, event):
        pass

    def synchronize(self):
        pass


Stream.null = Stream(null=True)


@recorded
def get_current_stream():
    return Stream._entered()[-1]


class OutOfMemoryError(MemoryError):
    __module__ = "cupy.cuda.memory"

    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes ({total:,} of {limit:,} in use)")


memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)


@recorded_class
class MemoryPool:
    """A pool that counts the bytes of arrays, and raises above its limit."""

    def __init__(self):
        self._used, self._limit = 0, int(os.environ.get("CUPY_GPU_MEMORY_LIMIT", "0"))
        self._free = Counter()  # by the stream where it was taken, which takes it again
        self._lock = threading.RLock()

    def _take(self, owner):
        """Count the memory of a new array, until it is freed."""
        size, place = -(-owner.nbytes // _BLOCK) * _BLOCK, id(Stream._entered()[-1])
        with self._lock:
            reused = min(size, self._free[place])
            if self._limit and self.total_bytes() + size - reused > self._limit:
                self._free.clear()
                reused = 0
                if self._used + size > self._limit:
                    raise OutOfMemoryError(size, self._used, self._limit)
            self._free[place] -= reused
            self._used += size
        weakref.finalize(owner, self._give, size, place).atexit = False

    def _give(self, size, place):
        with self._lock:
            self._used -= size
            self._free[place] += size

    def used_bytes(self):
        return self._used

    def total_bytes(self):
        return self._used + self._free.total()

    def free_all_blocks(self):
        with self._lock:
            self._free.clear()

    def get_limit(self):
        return self._limit

    def set_limit(self, size=None):
        self._limit = size or 0


@recorded_class
class PinnedMemoryPool:
    """A pool that knows the addresses of its arrays."""

    def __init__(self):
        self._ends = {}  # by the first address

    def _pin(self, x):
        start = x.ctypes.data
        self._ends[start] = start + x.nbytes
        weakref.finalize(x, self._ends.pop, start, None).atexit = False
        return x

    def _holds(self, address):
        return any(start <= address < end for start, end in list(self._ends.items()))

    def free_all_blocks(self):
        pass


POOL, PINNED_POOL = MemoryPool(), PinnedMemoryPool()
