"""Workloads: a network of random numbers, rows for it, and the true labels."""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import xpnet
from harness.rivals.base import FACTOR

_TILE = 2048  # rows at a time in float64
# Labels need not agree where the two largest logits differ by less, relative to the largest.
_TIE = 1e-4


@dataclass(frozen=True)
class Shape:
    """The widths of a network and the activation of its hidden layers: ``784-50-10:relu``."""

    widths: tuple[int, ...]
    activation: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shape that a string such as ``784-50-100-10:sigmoid`` describes."""
        widths, _, activation = text.partition(":")
        return cls(tuple(map(int, widths.split("-"))), activation or "sigmoid")

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))}:{self.activation}"

    @property
    def operations(self) -> int:
        """Multiplications and additions in the matrix products for one row."""
        return 2 * sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))


@dataclass(frozen=True)
class Workload:
    """Rows of pixels for a network; the numbers are the same in every process."""

    shape: Shape
    n_rows: int

    @property
    def network(self) -> xpnet.Network:
        """The network, with scaling of pixels, on the host."""
        return _network(self.shape)

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """Random pixels, of shape (n_rows, n_in)."""
        shape = (self.n_rows, self.shape.widths[0])
        return np.random.default_rng(2).integers(0, 256, shape, np.uint8)

    @property
    def rows(self) -> NDArray[np.float32]:
        """The same in float32."""
        return self.images.astype(np.float32)

    @property
    def parameters(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Weights and biases, layer by layer."""
        return [(layer.weight, layer.bias) for layer in self.network.layers]

    @property
    def folded_parameters(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Weights and biases with the scaling in the first weights."""
        (weight, bias), *others = self.parameters
        return [((FACTOR * weight.astype(np.float64)).astype(np.float32), bias), *others]

    def n_wrong(self, labels: NDArray[Any]) -> int:
        """Return the number of wrong labels of the first rows, where the truth is clear."""
        true, is_clear = _truth(self, len(labels))
        return int(np.count_nonzero((labels != true) & is_clear))


@lru_cache(4)
def _truth(workload: Workload, n: int) -> tuple[NDArray[np.int64], NDArray[np.bool]]:
    exact = workload.network.map_arrays(lambda x: x.astype(np.float64))
    rows = workload.images[:n]
    logits = np.concatenate([exact(rows[i : i + _TILE]) for i in range(0, n, _TILE)])
    top = np.sort(logits, axis=1)
    tie = _TIE * np.max(np.abs(logits), axis=1)
    return np.argmax(logits, axis=1), top[:, -1] - top[:, -2] > tie


@cache
def _network(shape: Shape) -> xpnet.Network:
    scheme: Any = "he" if shape.activation == "relu" else "xavier"
    draw = np.random.default_rng(1).normal
    start = xpnet.init_network(
        shape.widths,
        activation=shape.activation,
        scheme=scheme,
        preprocessing=xpnet.Scale(FACTOR),
    )
    layers = [
        xpnet.Dense(layer.weight, draw(0, 0.1, layer.n_out).astype(np.float32), layer.activation)
        for layer in start.layers
    ]
    return xpnet.Network(layers, preprocessing=start.preprocessing)


def digits(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `n` images of the embedded digits as rows, repeated, and their labels."""
    images, labels = xpnet.sample()
    order = np.arange(n) % len(images)
    return images.reshape(len(images), -1)[order], labels[order].astype(np.int64)


def untrained(dtype: Any = "float32") -> xpnet.Network:
    """Return the network 784-50-100-10 before training; the same in every process."""
    return xpnet.init_network(
        (784, 50, 100, 10), activation="sigmoid", preprocessing=xpnet.Scale(FACTOR), dtype=dtype
    )
