"""Random networks and rows for them, from the well-behaved to the extreme."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale

__all__ = ["Case", "random_case"]

_Rng = np.random.Generator
_Floats = NDArray[np.float64]

# Numbers in a network, and multiplications for all rows, at most: for the sake of time. Without
# BLAS (float16) and in the widest precision (the truth for float64) they take far longer.
_LARGEST = {"float32": (6_000_000, 100_000_000)}
_LARGEST_ELSE = (300_000, 10_000_000)
_MOST_ROWS = 500


@dataclass(frozen=True)
class Case:
    """A network, and rows for it.

    Attributes
    ----------
    network : Network
    rows : array of shape (n, n_in)
    kind : str
        How the weights and the rows are distributed.
    is_claimed : bool
        Whether the probabilistic bound is meant for such weights. Units of equal weights make equal
        rounding errors, and equal terms that are added one by one errors of one sign.
    """

    network: Network
    rows: NDArray[Any]
    kind: str
    is_claimed: bool


def _chosen(rng: _Rng, share: float, shape: tuple[int, ...] = ()) -> Any:
    return rng.random(shape) < share


def _normal(rng: _Rng, shape: tuple[int, int]) -> _Floats:
    return rng.normal(0.0, shape[0] ** -0.5, shape)


def _cancelling(rng: _Rng, shape: tuple[int, int]) -> _Floats:
    # Rows in pairs of opposite sign: sums are small beside their terms.
    weight = 10.0 * _normal(rng, shape)
    half = shape[0] // 2
    weight[half : 2 * half] = -weight[:half] * (1.0 + 1e-3 * rng.normal(size=(half, shape[1])))
    return weight


_WEIGHTS: dict[str, Callable[[_Rng, tuple[int, int]], _Floats]] = {
    "normal": _normal,
    "uniform": lambda rng, shape: rng.uniform(-1.0, 1.0, shape) * (6.0 / sum(shape)) ** 0.5,
    "saturating": lambda rng, shape: 30.0 * _normal(rng, shape),
    "small": lambda rng, shape: 1e-3 * _normal(rng, shape),
    "positive": lambda rng, shape: np.abs(_normal(rng, shape)),
    "cancelling": _cancelling,
    "sparse": lambda rng, shape: 4.0 * _normal(rng, shape) * _chosen(rng, 0.05, shape),
    "sorted": lambda rng, shape: np.sort(_normal(rng, shape), axis=0),
    "heavy-tailed": lambda rng, shape: _normal(rng, shape) * np.exp(2.0 * rng.normal(size=shape)),
    "whole": lambda rng, shape: rng.integers(-3, 4, shape).astype(np.float64),
    "underflowing": lambda rng, shape: _normal(rng, shape) * 10.0 ** rng.uniform(-30, -10),
    "overflowing": lambda rng, shape: _normal(rng, shape) * 10.0 ** rng.uniform(8, 16),
    "repeated": lambda rng, shape: np.repeat(_normal(rng, (shape[0], 1)), shape[1], axis=1),
    "constant": lambda rng, shape: np.full(shape, rng.normal() / shape[0] ** 0.5),
}
_NOT_CLAIMED = ("repeated", "constant")


def _pixels(rng: _Rng, shape: tuple[int, int]) -> NDArray[Any]:
    return (rng.integers(0, 256, shape) * _chosen(rng, 0.3, shape)).astype(np.uint8)


def _with_nonfinite(rng: _Rng, shape: tuple[int, int]) -> NDArray[Any]:
    rows = rng.normal(size=shape).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        rows[_chosen(rng, 0.3 / shape[1], shape)] = value
    return rows


_ROWS: dict[str, Callable[[_Rng, tuple[int, int]], NDArray[Any]]] = {
    "pixels": _pixels,
    "float32": lambda rng, shape: rng.normal(size=shape).astype(np.float32),
    "float64": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.random(shape).astype(np.float32),
    "equal": lambda rng, shape: np.full(shape, rng.random(), np.float32),
    "one-hot": lambda rng, shape: np.eye(shape[1])[rng.integers(0, shape[1], shape[0])],
    "zero": lambda _, shape: np.zeros(shape, np.float32),
    "huge": lambda rng, shape: (rng.normal(size=shape) * 1e30).astype(np.float32),
    "tiny": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.uniform(-42, -20),
    "not finite": _with_nonfinite,
}
_USUAL_ROWS = ("pixels", "float32", "float64", "positive")
_OPTIONS: dict[str, Callable[[_Rng], Any]] = {
    "alpha": lambda rng: rng.uniform(0.1, 3.0),
    "approximate": lambda rng: str(rng.choice(["none", "tanh"])),
    "b": lambda rng: rng.uniform(0.1, 8.0),
    "beta": lambda rng: float(rng.choice([1.0, 0.3, 7.0])),
    "negative_slope": lambda rng: rng.uniform(0.0, 1.0),
    "threshold": lambda rng: rng.uniform(0.0, 1.5),
    "value": lambda rng: rng.normal(),
}


def random_case(seed: tuple[int, ...], dtype: str) -> Case:
    """Return a case; the same for the same seed.

    It has 1 to 8 layers and widths of 1 to 2,000, of which small ones are as likely as large ones;
    any activations; one kind of weights and of rows; and 1 to 500 rows.
    """
    rng = np.random.default_rng(seed)
    weights, inputs = str(rng.choice(list(_WEIGHTS))), str(rng.choice(list(_ROWS)))
    if _chosen(rng, 0.4):  # the usual is worth more cases than the extreme
        weights, inputs = "normal", str(rng.choice(_USUAL_ROWS))
    largest, most_work = _LARGEST.get(dtype, _LARGEST_ELSE)
    widths = _random_widths(rng, largest)
    layers = [_random_layer(rng, weights, shape, dtype) for shape in pairwise(widths)]
    scale = [None, Scale(1 / 255), Scale(rng.normal())][rng.choice(3, p=[0.4, 0.4, 0.2])]
    most_rows = max(1, min(_MOST_ROWS, most_work // _size(widths)))
    n_rows = int(np.exp(rng.uniform(0.0, np.log(most_rows + 0.999))))
    with np.errstate(over="ignore"):
        rows = _ROWS[inputs](rng, (n_rows, widths[0]))
    kind = f"{weights} weights, {inputs} rows"
    return Case(Network(layers, preprocessing=scale), rows, kind, weights not in _NOT_CLAIMED)


def _random_layer(rng: _Rng, weights: str, shape: tuple[int, int], dtype: str) -> Dense:
    name = str(rng.choice(list(ACTIVATIONS)))
    options = {key: _OPTIONS[key](rng) for key in ACTIVATIONS[name].options}
    limit = float(np.finfo(dtype).max)
    weight = np.clip(_WEIGHTS[weights](rng, shape), -limit, limit)
    bias = rng.normal(0.0, rng.choice([0.0, 0.1, 1.0]), shape[1])
    return Dense(weight.astype(dtype), bias.astype(dtype), name, options)


def _random_widths(rng: _Rng, largest: int) -> list[int]:
    n_layers = int(rng.integers(1, 9))
    while True:
        widths = np.exp(rng.uniform(0.0, np.log(2000.999), n_layers + 1)).astype(int).tolist()
        if _chosen(rng, 0.3):  # a square weight, which can be transposed
            place = int(rng.integers(0, n_layers))
            widths[place + 1] = widths[place]
        if _size(widths) <= largest:
            return widths


def _size(widths: list[int]) -> int:
    return sum(a * b for a, b in pairwise(widths))
