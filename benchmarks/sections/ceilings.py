"""Ceilings of a machine: rates of copies to the device, and of matrix products.

Copies from pageable memory and a file to pinned memory, and from there to the device; and products
of large matrices of random numbers in float32 and TF32. Rates on the device are timed by CUDA
events. Copies on the host are tried with several numbers of threads and chunk sizes.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from harness.measuring import rates, wall_seconds
from harness.provenance import n_cores
from harness.session import Session
from numpy.typing import NDArray

import xpnet

N_PRODUCTS = 4  # in one time: one takes some 20 ms on a large card
CHUNKS = (2**20, 2**22, 2**24)
RING = 2**26  # bytes of a target that stay in caches when they are overwritten
# Copies the bytes from `start` to `end` to a place in the target.
Carry = Callable[[int, int, int], None]


@dataclass(frozen=True)
class CopyThreads:
    """Threads that copy chunks into a target and reuse its first `ring` bytes."""

    threads: int
    chunk: int
    ring: int

    def seconds(self, carry: Carry, n_bytes: int) -> float:
        """Return the seconds for all bytes; the threads exist before."""
        starts = range(0, n_bytes, self.chunk)

        def take(first: int) -> None:
            for start in starts[first :: self.threads]:
                carry(start, min(start + self.chunk, n_bytes), start % self.ring)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(time.sleep, [1e-3] * self.threads))
            return wall_seconds(lambda: list(pool.map(take, range(self.threads))))


def measure_ceilings(session: Session) -> None:
    """Measure one ceiling after the other; record what cannot be measured."""
    for name, ceiling in CEILINGS.items():
        if session.budget.left <= 0:
            session.skip(f"ceiling {name}", "out of time")
            continue
        try:
            found = ceiling(session, name)
        except (LookupError, MemoryError, OSError, RuntimeError) as error:
            session.skip(f"ceiling {name}", f"{type(error).__name__}: {error}")
        else:
            session.content["ceilings"][name] = found
            best, median = found["best"], found["median"]
            session.log(f"{name}: {best:.3e} {found['unit']}, median {median:.3e}")
            session.write()
        session.device.release()


def _times(session: Session, what: str, measure: Callable[[], float]) -> list[float]:
    measure()  # a warm-up
    return [measure() for _ in session.rounds(what)]


def _noise(n_bytes: int, seed: int = 0) -> NDArray[np.uint8]:
    # Some links and memories are faster with zeros.
    return np.frombuffer(np.random.default_rng(seed).bytes(n_bytes), np.uint8)


def _device_copies(session: Session, name: str) -> dict[str, Any]:
    device, n_bytes, n = session.device, session.plan.buffer_bytes, session.plan.n_buffers
    hosts = [device.pinned(n_bytes) for _ in range(n)]
    for i, host in enumerate(hosts):
        np.copyto(host, _noise(n_bytes, i))
    arrays = [device.to_device(host) for host in hosts]

    def copy_all() -> None:
        for array, host in zip(arrays, hosts, strict=True):
            device.copy(array, host)

    seconds = _times(session, name, lambda: device.seconds(copy_all))
    return rates(seconds, n * n_bytes, unit="bytes/s", buffer_bytes=n_bytes)


def _host_copies(session: Session, name: str) -> dict[str, Any]:
    n_bytes = session.plan.buffer_bytes * session.plan.n_buffers
    source, target = _noise(n_bytes), session.device.pinned(n_bytes)
    target[:] = 1  # its pages exist before the clock runs
    if name == "pageable_to_pinned":
        return _with_threads(session, name, copier(target, source), n_bytes)
    path = session.folder / "noise"
    source.tofile(path)  # it stays in the page cache
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _with_threads(session, name, reader(target, descriptor), n_bytes)
    finally:
        os.close(descriptor)
        path.unlink()


def _with_threads(session: Session, what: str, carry: Carry, n_bytes: int) -> dict[str, Any]:
    """Return the rate of the number of threads and sizes that were fastest in two tries of each."""
    sizes = sorted({*(2**i for i in range(n_cores().bit_length())), n_cores()})
    rings = sorted({min(RING, n_bytes), n_bytes})
    tried: dict[CopyThreads, float] = {}
    for threads in [CopyThreads(n, c, r) for n in sizes for c in CHUNKS for r in rings if c <= r]:
        if tried and session.budget.left <= 0:
            session.skip(f"ways of {what}", f"out of time after {len(tried)}")
            break
        tried[threads] = min(threads.seconds(carry, n_bytes) for _ in range(2))
    best = min(tried, key=lambda threads: tried[threads])
    seconds = [tried[best], *_times(session, what, lambda: best.seconds(carry, n_bytes))]
    return rates(seconds, n_bytes, unit="bytes/s", **asdict(best))


def copier(target: NDArray[np.uint8], source: NDArray[np.uint8]) -> Carry:
    """Return the function that copies between arrays."""

    def carry(start: int, end: int, place: int) -> None:
        np.copyto(target[place : place + end - start], source[start:end])

    return carry


def reader(target: NDArray[np.uint8], descriptor: int) -> Carry:
    """Return the function that reads from an open file; raise LookupError without `preadv`."""
    if not hasattr(os, "preadv"):
        msg = "this system has no preadv"
        raise LookupError(msg)
    memory = target.data

    def carry(start: int, end: int, place: int) -> None:
        while start < end:
            n_read = os.preadv(descriptor, [memory[place : place + end - start]], start)
            if n_read == 0:
                msg = f"the file ends before byte {end}"
                raise EOFError(msg)
            start, place = start + n_read, place + n_read

    return carry


def _products(session: Session, name: str) -> dict[str, Any]:
    precision: Any = name.removeprefix("product_")
    if session.is_rehearsal and precision == "tf32":
        msg = "the host has no TF32"
        raise LookupError(msg)
    size, device = session.plan.product, session.device
    draw = np.random.default_rng(0).random
    half = np.float32(0.5)
    a, b, c, d = (device.to_device(draw((size, size), np.float32) - half) for _ in range(4))
    out = device.to_device(np.empty((size, size), np.float32))

    def products() -> None:
        for i in range(N_PRODUCTS):
            device.xp.matmul(*((a, b) if i % 2 else (c, d)), out=out)

    with xpnet.matmul_precision(precision):
        seconds = _times(session, name, lambda: device.seconds(products))
    return rates(seconds, N_PRODUCTS * 2.0 * size**3, unit="operations/s", size=size)


CEILINGS = {
    "pinned_to_device": _device_copies,
    "pageable_to_pinned": _host_copies,
    "file_to_pinned": _host_copies,
    "product_float32": _products,
    "product_tf32": _products,
}
