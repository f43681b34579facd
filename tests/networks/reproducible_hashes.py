"""Hashes of reproducible results: networks made of integers, and a program that hashes them.

``python reproducible_hashes.py [LIBRARY] [DEVICE]`` prints JSON: the kernels of the BLAS, and the
SHA-256 of each network's outputs. ``--write`` writes reproducible_hashes.json instead, with which
tests on all processors, libraries and GPUs compare theirs. It keeps the hashes of published
networks that are not on this machine.
"""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.testing.backends import open_backend

COMMITTED = Path(__file__).with_suffix(".json")
PUBLISHED = ("book_sample_weight.pkl", "ffnnSIGMOID__Point_6x200.onnx", "mnist-net_256x2.onnx")


class Case(NamedTuple):
    """A network of NumPy arrays, and rows for it."""

    network: xpnet.Network
    rows: NDArray[Any]


def integers(shape: tuple[int, ...], seed: int) -> NDArray[np.int64]:
    """Return integers from -2^23 to 2^23 - 1, by splitmix64: exact on every machine."""
    x = (np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x >> np.uint64(40)).astype(np.int64).reshape(shape) - 2**23


def numbers(shape: tuple[int, ...], seed: int, size: float = 1.0) -> NDArray[np.float64]:
    """Return numbers from -size to size, a power of two: exact in float32."""
    return integers(shape, seed) * (size / 2**23)


def pixels(n: int, n_in: int) -> NDArray[np.uint8]:
    """Return raw pixels."""
    return (integers((n, n_in), 99) & 255).astype(np.uint8)


def network_of(
    widths: tuple[int, ...],
    activations: str | tuple[str, ...],
    dtype: str = "float32",
    *,
    spread: tuple[float, ...] = (1.0,),
    steps: Any = None,
) -> xpnet.Network:
    """Return a network of random weights; `spread` are factors of every nth row of the weights."""
    names = (activations,) if isinstance(activations, str) else activations
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        size = 2.0 ** -(math.frexp(n_in)[1] // 2)  # about 1 / sqrt(n_in)
        weight = numbers((n_in, n_out), 2 * i, size)
        weight *= np.resize(spread, n_in)[:, None]
        bias = numbers((n_out,), 2 * i + 1, 0.25).astype(dtype)
        layers.append(xpnet.Dense(weight.astype(dtype), bias, names[i % len(names)]))
    return xpnet.Network(layers, steps)


# Rows of both dtypes meet the corners of the activations, and numbers of every size.
SPECIAL = np.asarray(
    [
        *(0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, 3.0, -3.0, 88.75, -103.5),
        *(1e-30, -1e30, 1e-45, -1e-39, 3e38, 2.0**-126, -(2.0**-149), 17.0, 6.0, -6.0, 1e4, -1e4),
    ],
    np.float32,
)


def special_rows(n: int, n_in: int) -> NDArray[np.float32]:
    """Return rows of numbers around 0, every third with one special number."""
    rows = numbers((n, n_in), 98, 4.0).astype(np.float32)
    for i in range(0, n, 3):
        rows[i, i % n_in] = SPECIAL[i // 3 % len(SPECIAL)]
    return rows


def _activations() -> Iterator[tuple[str, Case]]:
    # A weight of 1 for each input: the activation has the special numbers as inputs.
    names = [(name, "float64") for name, row in ACTIVATIONS.items() if name == row.name]
    for name, dtype in (*names, ("softmax", "float32"), ("tanh", "float32")):
        layer = xpnet.Dense(np.eye(16).astype(dtype), np.zeros(16, dtype), name)
        yield f"{name}, {dtype}", Case(xpnet.Network([layer]), special_rows(96, 16))


def _many_numbers() -> Iterator[tuple[str, Case]]:
    """Yield functions of so many numbers that the rounding of each operation matters to some."""
    for name in ("gelu", "softplus", "tanh"):
        network = xpnet.Network([xpnet.Dense(np.ones((1, 1)), np.zeros(1), name)])
        yield f"{name} of many numbers", Case(network, numbers((100_000, 1), 11, 8.0))


def _shapes() -> Iterator[tuple[str, Case]]:
    for widths, names in (
        ((1, 1), "identity"),
        ((1, 2000), "sigmoid"),
        ((2000, 1), "identity"),
        ((2000, 1999, 3), ("relu", "identity")),
        ((784, 50, 100, 10), ("sigmoid", "sigmoid", "identity")),
    ):
        network = network_of(widths, names, steps=xpnet.Scale(1 / 255))
        yield "-".join(map(str, widths)), Case(network, pixels(33, widths[0]))


def _extremes() -> Iterator[tuple[str, Case]]:
    for label, dtype, spread in (
        ("weights: subnormal", "float32", (1e-40,)),
        ("weights and rows: all sizes", "float32", tuple(10.0**k for k in range(-44, 38, 3))),
        ("weights: 1e300 and 1e-300, float64", "float64", (1e300, 1.0, 1e-300)),
        ("weights: not finite", "float32", (math.inf, 1.0, math.nan, 1.0)),
    ):
        network = network_of((48, 24, 6), ("leaky_relu", "identity"), dtype, spread=spread)
        rows = pixels(33, 48) if label == "weights: subnormal" else special_rows(96, 48)
        yield label, Case(network, rows)


def _preprocessing() -> Iterator[tuple[str, Case]]:
    columns = numbers((48,), 7, 64.0) + 128.0
    scales = np.abs(numbers((48,), 8, 64.0)) + 1.0
    whiten = xpnet.Whiten(columns, numbers((48, 48), 9, 2.0**-4))
    every = (xpnet.Scale(1 / 3), xpnet.Standardize(columns, 3.0), whiten)
    every += (xpnet.Standardize(0.1, scales), xpnet.Scale(7.7))
    for label, steps in (
        ("Scale, float32", xpnet.Scale(0.1)),
        ("Standardize, columns, float32", xpnet.Standardize(columns, scales)),
        ("Whiten, float32", whiten),
        ("all steps, float32", every),
        ("all steps, float64", every),
    ):
        dtype = label.rpartition(" ")[2]
        network = network_of((48, 24, 6), ("tanh", "identity"), dtype, steps=steps)
        yield label, Case(network, pixels(33, 48))


def cases() -> dict[str, Case]:
    """Return the networks that need no other files, by name."""
    sample = Case(xpnet.load("sample"), xpnet.sample()[0].reshape(1000, 784)[::31])
    found = (_shapes(), _many_numbers(), _extremes(), _preprocessing(), _activations())
    return {"sample": sample} | {name: case for part in found for name, case in part}


def published(folder: Path) -> dict[str, Case]:
    """Return the networks of other people in the folder of larger data, by name."""
    found = {}
    for name in PUBLISHED:
        if (folder / "weights" / name).exists():
            network = xpnet.load(folder / "weights" / name)
            found[name] = Case(network, pixels(100, network.n_in))
    return found


def hash_of(outputs: Any) -> str:
    """Return the SHA-256 of outputs in little-endian byte order."""
    y = np.ascontiguousarray(to_numpy(outputs))
    return hashlib.sha256(y.astype(y.dtype.newbyteorder("<")).tobytes()).hexdigest()


def hashes(
    found: dict[str, Case], convert: Callable[[NDArray[Any]], Any] = lambda x: x
) -> dict[str, str]:
    """Return the hash of each case, with all arrays converted to a library."""
    return {
        name: hash_of(
            xpnet.forward(xpnet.reproducible(case.network.map_arrays(convert)), convert(case.rows))
        )
        for name, case in found.items()
    }


def main(library: str = "numpy") -> None:
    """Print or write the hashes."""
    found = cases()
    if "XPNET_TEST_DATA" in os.environ:
        found |= published(Path(os.environ["XPNET_TEST_DATA"]))
    if library == "--write":
        known = json.loads(COMMITTED.read_text("utf-8")) | hashes(found)
        kept = {name: known[name] for name in (*cases(), *PUBLISHED)}  # without a network as well
        COMMITTED.write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")
        return
    backend = open_backend(library)
    with backend.flags:
        result = hashes(found, lambda x: backend.asarray(x, x.dtype))
    kernels = sorted({info["architecture"] for info in threadpool_info() if "architecture" in info})
    json.dump({"kernels": kernels, "hashes": result}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
