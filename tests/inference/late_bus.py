"""A fake bus that executes the operations on its streams late, in any legal order.

A real device may run far ahead of, or behind, the calls that it must be waited for, so a missing
wait shows once in a thousand runs. Here a schedule decides how far each stream runs at each call.
All memory holds poison when it is allocated and after it is freed, and operations hold addresses,
not arrays, like on a device. So a copy that is too early or too late gives impossible results.
"""

import gc
import random
import weakref
from collections import Counter
from contextlib import contextmanager

import numpy as np

POISON = 173  # each byte: a large number as uint8, and a tiny one as float32


class Memory(bytearray):
    """Bytes that outlive their array, as on a device."""


class Stream:
    def __init__(self):
        self.queue = []  # of ("do", callable), ("wait", event) and ("poison", callable)
        self.is_of_copies = False

    @property
    def can_go(self):
        return bool(self.queue) and (self.queue[0][0] != "wait" or self.queue[0][1].has_come)

    def step(self):
        kind, what = self.queue.pop(0)
        if kind != "wait":
            what()


class Event:
    def __init__(self, stream):
        self.stream, self.has_come = stream, False

    def come(self):
        self.has_come = True


class PinError(RuntimeError):
    """The error of CUDA if no more memory can be pinned; not a MemoryError."""


class LateBus:
    """A fake `xpnet.arrays.gpu.cuda_streams.Bus`.

    Parameters
    ----------
    schedule : {"lazy", "eager", "copies first", "results first"} or int
        Which streams run ahead; an integer is the seed of a random order.
    most_bytes, most_pinned : int, optional
        Size of the memory on the device, and of the memory that can be pinned.
    faults : mapping of str to (int, exception), optional
        Which call of an operation, counted from 1, raises which error.
    workspace : int, default 0
        Bytes that a computation needs per row.
    drops : set of {"stream", "copied", "returned"}, optional
        Which waits are ignored: those of streams, and those of the caller for the stream of copies
        and for that of computations. For the tests of this bus itself.
    collects : bool, default True
        If true, garbage is collected before memory counts as full, as in CuPy.
    """

    def __init__(
        self,
        schedule="lazy",
        *,
        most_bytes=None,
        most_pinned=None,
        faults=None,
        workspace=0,
        drops=(),
        collects=True,
    ):
        self.schedule, self.workspace = schedule, workspace
        self.most = {"device": most_bytes, "pinned": most_pinned}
        self.faults, self.drops, self.collects = dict(faults or {}), set(drops), collects
        self.random = random.Random(schedule if isinstance(schedule, int) else 0)
        self.all_streams, self.idle = [], []
        self.calls = []
        self.sizes = []  # rows of each computation
        self.sources = []  # addresses of the copies to the device
        self.pinned_shapes = []
        self.memories = {"device": {}, "pinned": {}}  # allocated memory by address
        self.at_free = []  # allocated bytes of the device at each call of `free`

    def _called(self, name):
        self.calls.append(name)
        n, error = self.faults.get(name, (0, None))
        if self.calls.count(name) == n:
            raise error

    # memory

    def pinned(self, shape, dtype, /):
        self._called("pinned")
        x = self._take("pinned", shape, dtype)
        self.pinned_shapes.append(tuple(shape))
        return x

    def pin(self, x):
        """Return a pinned copy of a host array."""
        pinned = self._take("pinned", x.shape, x.dtype)
        pinned[...] = x
        return pinned

    def is_pinned(self, x, /):
        return self._find("pinned", x) is not None

    def allocate(self, shape, dtype, stream, /):
        self._called("allocate")
        assert stream in self.all_streams
        assert np.dtype(dtype).isnative, "a device has one byte order"
        return self._take("device", shape, dtype, stream)

    def _take(self, side, shape, dtype, stream=None):
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._check_room(side, n_bytes)
        memory = Memory(bytes([POISON]) * max(n_bytes, 1))
        x = np.ndarray(shape, dtype, buffer=memory)
        self.memories[side][address(x)] = memory
        weakref.finalize(x, self._give_back, side, address(x), stream).atexit = False
        self._poison(memory, stream)
        return x

    def _check_room(self, side, n_bytes):
        most = self.most[side]
        generations = [None, 0, 1, 2] if self.collects else [None]
        for generation in generations:
            if generation is not None:
                gc.collect(generation)
            if most is None or self.n_bytes(side) + n_bytes <= most:
                return
        msg = f"out of {side} memory"
        raise MemoryError(msg) if side == "device" else PinError(msg)

    def _give_back(self, side, start, stream):
        self._poison(self.memories[side].pop(start), stream)

    def _poison(self, memory, stream):
        """Overwrite memory before its use, or after it was freed.

        CuPy reuses device memory for the next allocation on the same stream, in the order of that
        stream, but pinned memory for the next allocation at all.
        """

        def poison():
            memory[:] = bytes([POISON]) * len(memory)

        if stream is None:
            poison()
        else:
            self._put(stream, "poison", poison)

    def _find(self, side, x):
        """Return the memory of an array, and the array's offset in it; None if it is not known."""
        for start, memory in list(self.memories[side].items()):
            place = address(x) - start
            if place >= 0 and place + x.nbytes <= len(memory):
                return memory, place
        return None

    def _raw(self, side, x):
        """Return an array at the same address that holds no reference to the memory."""
        found = self._find(side, x)
        assert found is not None, f"no {side} memory"
        return np.ndarray(x.shape, x.dtype, found[0], found[1], x.strides)

    def n_bytes(self, side="device"):
        """Return the number of allocated bytes."""
        return sum(map(len, list(self.memories[side].values())))

    def free(self):
        self._called("free")
        self.at_free.append(self.n_bytes())

    def is_out_of_memory(self, error, /):
        return isinstance(error, MemoryError | PinError)

    # streams

    @contextmanager
    def streams(self):
        self._called("streams")
        if not self.idle:
            self.idle.append((Stream(), Stream()))
            self.all_streams.extend(self.idle[0])
        pair = self.idle.pop()
        try:
            yield pair
        finally:
            self.idle.append(pair)

    def copy_in(self, target, source, stream, /):
        self._called("copy_in")
        assert (target.shape, target.dtype) == (source.shape, source.dtype)
        assert target.flags.c_contiguous
        assert source.flags.c_contiguous
        target, raw = self._raw("device", target), self._raw("pinned", source)
        self.sources.append(address(source))
        stream.is_of_copies = True
        self._put(stream, "do", lambda: np.copyto(target, raw))

    def compute(self, function, x, stream, /):
        self._called("compute")
        self._check_room("device", self.workspace * len(x))
        with np.errstate(all="ignore"):
            sample = function(np.zeros_like(x))
        results = self._take("device", sample.shape, sample.dtype, stream)
        raw, rows = self._raw("device", results), self._raw("device", x)

        def do():
            with np.errstate(all="ignore"):
                np.copyto(raw, function(rows))

        self._put(stream, "do", do)
        self.sizes.append(len(x))
        return results

    def copy_out(self, target, source, stream, /):
        self._called("copy_out")
        assert (target.shape, target.dtype) == (source.shape, source.dtype)
        assert target.flags.c_contiguous
        raw, source = self._raw("pinned", target), self._raw("device", source)
        self._put(stream, "do", lambda: np.copyto(raw, source))

    def record(self, stream, /):
        self._called("record")
        event = Event(stream)
        self._put(stream, "do", event.come)
        return event

    def wait(self, event, stream=None, /):
        self._called("wait")
        if stream is not None:
            if "stream" not in self.drops:
                self._put(stream, "wait", event)
            return
        self._run_ahead()
        kind = "copied" if event.stream.is_of_copies else "returned"
        while not event.has_come and kind not in self.drops:
            self._step_towards(event)

    # schedule

    def _put(self, stream, kind, what):
        stream.queue.append((kind, what))
        self._run_ahead()

    def _run_ahead(self):
        """Run streams ahead according to the schedule."""
        if isinstance(self.schedule, int):
            for _ in range(self.random.choice([0, 0, 1, 2, 12])):
                able = [stream for stream in self.all_streams if stream.can_go]
                if able:
                    self.random.choice(able).step()
        elif self.schedule == "eager":
            while able := [stream for stream in self.all_streams if stream.can_go]:
                able[0].step()
        elif self.schedule != "lazy":
            for stream in self.all_streams:
                while stream.can_go and stream.is_of_copies == (self.schedule == "copies first"):
                    stream.step()

    def _step_towards(self, event):
        """Run the fewest operations that bring an event nearer."""
        stream = event.stream
        while not stream.can_go:
            assert stream.queue, "this event never comes"
            stream = stream.queue[0][1].stream
        stream.step()

    @property
    def is_idle(self):
        """True if the streams hold no operations except the overwriting of freed memory."""
        kinds = Counter(kind for stream in self.all_streams for kind, _ in stream.queue)
        return set(kinds) <= {"poison"}


def address(x):
    return x.__array_interface__["data"][0]
