"""What is computed of rows that lie on the device, and of rows on the host."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from peers.cases import FACTOR, Case, Shape

import xpnet

__all__ = ["N_CHECKED", "Cell", "Stream", "folded_parameters", "network_of"]

# Of so many rows of a cell, labels are compared.
N_CHECKED = 1024


@dataclass(frozen=True)
class Cell:
    """Rows on the device, in a type, for a network, at a precision of its products.

    Attributes
    ----------
    shape : Shape
    n_rows : int
    dtype : {"float32", "uint8"}
        Of the rows; they are raw bytes, as numbers between 0 and 255.
    precision : {"float32", "tf32"}
    """

    shape: Shape
    n_rows: int
    dtype: Literal["float32", "uint8"]
    precision: Literal["float32", "tf32"]

    def __str__(self) -> str:
        return f"{self.shape}, {self.n_rows:,} rows of {self.dtype}, {self.precision}"

    @property
    def rows(self) -> NDArray[Any]:
        """The rows on the host."""
        return Case(self.shape, self.n_rows).images.astype(self.dtype)


@dataclass(frozen=True)
class Stream:
    """Rows on the host: those of a block, over and over.

    Attributes
    ----------
    shape : Shape
    n_rows, block_rows : int
    path : str or None
        The file that has the rows, too.
    n_in_file : int
        How many of them.
    """

    shape: Shape
    n_rows: int
    block_rows: int
    path: str | None = None
    n_in_file: int = 0

    @property
    def case(self) -> Case:
        """The network and the block."""
        return Case(self.shape, self.block_rows)


@cache
def network_of(shape: Shape) -> xpnet.Network:
    """Return the network of a shape on the host; large ones take long to draw."""
    return Case(shape, 1).network


@cache
def folded_parameters(shape: Shape) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weights and biases with the scaling in the first ones: nobody needs to scale."""
    layers = network_of(shape).layers
    factors = [FACTOR, *[1.0] * (len(layers) - 1)]
    return [
        ((factor * layer.weight.astype(np.float64)).astype(np.float32), layer.bias)
        for factor, layer in zip(factors, layers, strict=True)
    ]
