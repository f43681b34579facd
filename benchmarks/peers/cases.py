"""What is computed: a network of random numbers, rows of raw bytes, and the true labels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import xpnet

__all__ = ["FACTOR", "Case", "Shape"]

# Pixels come as bytes, networks take 0..1.
FACTOR = 1 / 255
# Logits that are this close, in units of the largest, can be told apart by no float32 computation
# for sure.
_TIE = 1e-4


@dataclass(frozen=True)
class Shape:
    """The widths of a network, and the activation of its hidden layers.

    Examples
    --------
    >>> Shape.parse("784-50-100-10:sigmoid")
    Shape(widths=(784, 50, 100, 10), activation='sigmoid')
    """

    widths: tuple[int, ...]
    activation: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shape that a text such as ``784-50-100-10:sigmoid`` names."""
        widths, _, activation = text.partition(":")
        return cls(tuple(map(int, widths.split("-"))), activation or "sigmoid")

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))}:{self.activation}"

    @property
    def operations(self) -> int:
        """Multiplications and additions of one row's matrix products."""
        return 2 * sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))


@dataclass(frozen=True)
class Case:
    """Some rows for one network; the same numbers in every process.

    Attributes
    ----------
    shape : Shape
    n_rows : int
    """

    shape: Shape
    n_rows: int

    @cached_property
    def network(self) -> xpnet.Network:
        """The network; its weights lie in memory as most libraries hand them out."""
        scheme: Any = "he" if self.shape.activation in {"relu", "gelu"} else "xavier"
        draw = np.random.default_rng(1).normal
        start = xpnet.init_network(
            self.shape.widths,
            activation=self.shape.activation,
            scheme=scheme,
            preprocessing=xpnet.Scale(FACTOR),
        )
        layers = [
            xpnet.Dense(
                layer.weight, draw(0, 0.1, layer.n_out).astype(np.float32), layer.activation
            )
            for layer in start.layers
        ]
        return xpnet.Network(layers, preprocessing=start.preprocessing)

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """Raw bytes, of shape (n_rows, n_in)."""
        return np.random.default_rng(2).integers(
            0, 256, (self.n_rows, self.shape.widths[0]), np.uint8
        )

    def wrong(self, labels: NDArray[Any]) -> int:
        """Return how many labels are wrong, of those rows whose largest logits are no tie."""
        exact = self.network.map_arrays(lambda x: x.astype(np.float64))
        n_wrong = 0
        for start in range(0, self.n_rows, 1000):
            part = slice(start, start + 1000)
            logits = exact(self.images[part])
            top = np.sort(logits, axis=1)
            is_clear = top[:, -1] - top[:, -2] > _TIE * np.max(np.abs(logits), axis=1)
            n_wrong += int(np.count_nonzero((logits.argmax(axis=1) != labels[part]) & is_clear))
        return n_wrong
