"""What is measured, and on which inputs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECES = 1024
PIECE = 2**32 // PIECES
# Neighbouring pieces cost alike; an odd step goes through all of them in a scattered order.
PIECE_STEP = 389
# A block and the arrays made of it should fit into a cache; smaller ones cost more calls.
BLOCK = 2**16
# A sample takes every so many patterns, a prime number, and what is special.
SAMPLE_PIECES = 4
SAMPLE_STRIDE = 16_381
SPECIAL = np.asarray(
    [0, 1, 2**23 - 1, 2**23, 2**24, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000],
    dtype=np.uint32,
)


@dataclass(frozen=True)
class Selection:
    """What is measured: rows of the table, libraries, and pieces, or a sample of all pieces."""

    functions: list[str]
    libraries: list[str]
    first: int
    last: int
    sample: bool

    @property
    def pieces(self) -> list[int]:
        """The numbers of the pieces, in the order of work."""
        if self.sample:
            return list(range(SAMPLE_PIECES))
        scattered = (piece * PIECE_STEP % PIECES for piece in range(PIECES))
        return [piece for piece in scattered if self.first <= piece < self.last]

    def blocks(self, piece: int) -> Iterator[NDArray[np.uint32]]:
        """Yield the bit patterns of a piece, block by block."""
        if self.sample:
            n = 2**32 // SAMPLE_STRIDE // SAMPLE_PIECES
            numbers = np.arange(piece * n, (piece + 1) * n, dtype=np.uint32)
            signed = SPECIAL | np.uint32(piece % 2 << 31)
            yield np.concatenate([signed, numbers * np.uint32(SAMPLE_STRIDE)])
            return
        for start in range(piece * PIECE, (piece + 1) * PIECE, BLOCK):
            yield np.arange(start, start + BLOCK, dtype=np.int64).astype(np.uint32)
