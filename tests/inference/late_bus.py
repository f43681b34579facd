"""A bus without a device: what is put on its streams really happens later, in any legal order.

A real device may run ahead of what it was told to wait for, or lag behind; which it does is chance,
so that a missing wait shows once in a thousand runs. Here a schedule decides how far it is, each
time that something is put on a stream or waited for. All memory begins as poison, and becomes
poison when it is given back: what is on a stream knows, like a device, an address and nothing more.
So a copy that reads too early, or too late, gives results that no network would.
"""

import gc
import random
import weakref
from collections import Counter

import numpy as np

POISON = 173  # of each byte: a large number as uint8, and a tiny one as float32


class Memory(bytearray):
    """Bytes that stay when the array is gone that was given out with them, as on a device."""


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
    """What CUDA says when it can pin no more: no MemoryError."""


class LateBus:
    """As `xpnet.arrays.gpu.cuda_streams.Bus`.

    Parameters
    ----------
    schedule : {"lazy", "eager", "copies first", "results first"} or int
        Who goes ahead; a number is the seed of a random order.
    most_bytes, most_pinned : int, optional
        Of memory on the device, and of pinned memory. Beyond, it is full.
    faults : mapping of str to (int, exception), optional
        Which call of an operation raises what, counted from 1.
    workspace : int, default 0
        How many bytes a computation takes for each row.
    drops : set of {"stream", "copied", "returned"}, optional
        Which waits are left out: of a stream; of the caller for what is on the streams of copies,
        and for what is on those of computations. For the tests of this bus itself.
    collects : bool, default True
        Whether the garbage collector is asked before memory is said to be full, as CuPy does.
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
        self.streams, self.named = [], {}
        self.calls = []
        self.sizes = []  # of the computations, in rows
        self.sources = []  # of the copies to the device, as addresses
        self.pinned_shapes = []
        self.memories = {"device": {}, "pinned": {}}  # by address: what is not given back
        self.at_free = []  # how many bytes of the device were still taken, each time

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
        """Return a copy of a host array that is pinned, as a user may have one."""
        pinned = self._take("pinned", x.shape, x.dtype)
        pinned[...] = x
        return pinned

    def is_pinned(self, x, /):
        return self._find("pinned", x) is not None

    def allocate(self, shape, dtype, stream, /):
        self._called("allocate")
        assert stream in self.streams
        assert np.dtype(dtype).isnative, "a device has only its own order of bytes"
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
        """Let others write to memory, before it is taken, or after it is given back.

        CuPy gives what was used on a stream to whoever asks next for the same stream, where others
        may not be done with it; but pinned memory to whoever asks next.
        """

        def poison():
            memory[:] = bytes([POISON]) * len(memory)

        if stream is None:
            poison()
        else:
            self._put(stream, "poison", poison)

    def _find(self, side, x):
        """Return the memory of an array, and the array's place in it; None if it has none here."""
        for start, memory in list(self.memories[side].items()):
            place = address(x) - start
            if place >= 0 and place + x.nbytes <= len(memory):
                return memory, place
        return None

    def _raw(self, side, x):
        """Return an array at the same address, which does not keep the memory from being lost."""
        found = self._find(side, x)
        assert found is not None, f"no {side} memory"
        return np.ndarray(x.shape, x.dtype, found[0], found[1], x.strides)

    def n_bytes(self, side="device"):
        """Return how much is taken."""
        return sum(map(len, list(self.memories[side].values())))

    def free(self):
        self._called("free")
        self.at_free.append(self.n_bytes())

    def is_out_of_memory(self, error, /):
        return isinstance(error, MemoryError | PinError)

    # streams

    def stream(self, name, /):
        self._called("stream")
        if name not in self.named:
            self.named[name] = Stream()
            self.streams.append(self.named[name])
        return self.named[name]

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

    # what happens when

    def _put(self, stream, kind, what):
        stream.queue.append((kind, what))
        self._run_ahead()

    def _run_ahead(self):
        """Let happen what nobody waits for, as the schedule will have it."""
        if isinstance(self.schedule, int):
            for _ in range(self.random.choice([0, 0, 1, 2, 12])):
                able = [stream for stream in self.streams if stream.can_go]
                if able:
                    self.random.choice(able).step()
        elif self.schedule == "eager":
            while able := [stream for stream in self.streams if stream.can_go]:
                able[0].step()
        elif self.schedule != "lazy":
            for stream in self.streams:
                while stream.can_go and stream.is_of_copies == (self.schedule == "copies first"):
                    stream.step()

    def _step_towards(self, event):
        """Do as little as possible."""
        stream = event.stream
        while not stream.can_go:
            assert stream.queue, "nobody will ever bring this event"
            stream = stream.queue[0][1].stream
        stream.step()

    @property
    def is_idle(self):
        """Whether all has happened that was put on streams, but for what nobody uses any more."""
        kinds = Counter(kind for stream in self.streams for kind, _ in stream.queue)
        return set(kinds) <= {"poison"}


def address(x):
    return x.__array_interface__["data"][0]
