"""Threads that copy or read at once, each a part of it."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from card.machine import n_cores

__all__ = ["Crew", "copier", "crews", "fill", "reader"]

# From so many bytes to so many on, at a place of the target.
Carry = Callable[[int, int, int], None]

_CHUNKS = (2**20, 2**22, 2**24)
# A target this small stays in the caches, if it is written to over and over.
_RING = 2**26


@dataclass(frozen=True)
class Crew:
    """So many threads, which carry so many bytes at a time into a target used over and over.

    Attributes
    ----------
    threads, chunk, ring : int
        `ring` is how many bytes of the target are used; a multiple of `chunk`.
    """

    threads: int
    chunk: int
    ring: int

    @property
    def facts(self) -> dict[str, int]:
        """What is told of it in a result."""
        return asdict(self)

    def seconds(self, carry: Carry, n_bytes: int) -> float:
        """Return how long the threads take for all bytes; they are there already."""
        starts = range(0, n_bytes, self.chunk)

        def take(first: int) -> None:
            for start in starts[first :: self.threads]:
                carry(start, min(start + self.chunk, n_bytes), start % self.ring)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(time.sleep, [1e-3] * self.threads))
            begun = time.perf_counter()
            list(pool.map(take, range(self.threads)))
            return time.perf_counter() - begun


def crews(n_bytes: int) -> list[Crew]:
    """Return the crews that are tried for so many bytes."""
    cores = n_cores()
    sizes = sorted({*(2**i for i in range(cores.bit_length())), cores})
    rings = sorted({min(_RING, n_bytes), n_bytes})
    chunks = [chunk for chunk in _CHUNKS if chunk <= rings[0]]
    return [Crew(n, chunk, ring) for n in sizes for chunk in chunks for ring in rings]


def copier(target: NDArray[np.uint8], source: NDArray[np.uint8]) -> Carry:
    """Return what copies from one array to another."""

    def carry(start: int, end: int, place: int) -> None:
        np.copyto(target[place : place + end - start], source[start:end])

    return carry


def reader(target: NDArray[np.uint8], descriptor: int) -> Carry:
    """Return what reads from an open file into an array.

    Raises
    ------
    LookupError
        If this system cannot read at a place of a file.
    """
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


def fill(target: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
    """Fill an array with the rows of a block, over and over, by many threads; return it."""

    def put(start: int) -> None:
        part = target[start : start + len(block)]
        np.copyto(part, block[: len(part)])

    with ThreadPoolExecutor(n_cores()) as pool:
        list(pool.map(put, range(0, len(target), len(block))))
    return target
