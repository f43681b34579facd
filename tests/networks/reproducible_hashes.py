"""Hashes of reproducible results: networks made of integers, and a program that hashes them.

``python reproducible_hashes.py [LIBRARY]`` prints JSON: the kernels of the BLAS, and the SHA-256 of
each network's outputs. ``--write`` writes reproducible_hashes.json instead, with which tests on all
processors, libraries and GPUs compare theirs. It keeps the hashes of published networks that are
not on this machine.
"""

import hashlib
import json
import math
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
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
    rows: np.ndarray


def integers(shape, seed):
    """Return integers from -2^23 to 2^23 - 1, by splitmix64: exact on every machine."""
    x = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(seed << 32)
    x *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x >> np.uint64(40)).astype(np.int64).reshape(shape) - 2**23


def numbers(shape, seed, size=1.0):
    """Return numbers from -size to size, a power of two: exact in float32."""
    return integers(shape, seed) * (size / 2**23)


def pixels(n, n_in):
    """Return raw pixels."""
    return (integers((n, n_in), 99) & 255).astype(np.uint8)


# Rows of both dtypes meet the corners of the activations, and numbers of every size.
SPECIAL = np.asarray(
    [
        *(0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, 3.0, -3.0, 88.75, -103.5),
        *(1e-30, -1e30, 1e-45, -1e-39, 3e38, 2.0**-126, -(2.0**-149), 17.0, 6.0, -6.0, 1e4, -1e4),
    ],
    np.float32,
)


def special_rows(n, n_in):
    """Return rows of numbers around 0, every third with one special number."""
    rows = numbers((n, n_in), 98, 4.0).astype(np.float32)
    for i in range(0, n, 3):
        rows[i, i % n_in] = SPECIAL[i // 3 % len(SPECIAL)]
    return rows


def network_of(widths, activations, dtype="float32", *, spread=(1.0,), steps=None):
    """Return a network of random weights; `spread` are factors of every nth row of the weights."""
    names = (activations,) if isinstance(activations, str) else activations
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        size = 2.0 ** -(math.frexp(n_in)[1] // 2)  # about 1 / sqrt(n_in)
        weight = numbers((n_in, n_out), 2 * i, size) * np.resize(spread, n_in)[:, None]
        bias = numbers((n_out,), 2 * i + 1, 0.25).astype(dtype)
        layers.append(xpnet.Dense(weight.astype(dtype), bias, names[i % len(names)]))
    return xpnet.Network(layers, steps)


SHAPES = (
    ((1, 1), "identity"),
    ((1, 2000), "sigmoid"),
    ((2000, 1), "identity"),
    ((2000, 1999, 3), ("relu", "identity")),
    ((784, 50, 100, 10), ("sigmoid", "sigmoid", "identity")),
)
EXTREMES = (
    ("weights: subnormal", "float32", (1e-40,)),
    ("weights and rows: all sizes", "float32", tuple(10.0**k for k in range(-44, 38, 3))),
    ("weights: 1e300 and 1e-300, float64", "float64", (1e300, 1.0, 1e-300)),
    ("weights: not finite", "float32", (math.inf, 1.0, math.nan, 1.0)),
)
COLUMNS, SCALES = numbers((48,), 7, 64.0) + 128.0, np.abs(numbers((48,), 8, 64.0)) + 1.0
WHITEN = xpnet.Whiten(COLUMNS, numbers((48, 48), 9, 2.0**-4))
EVERY = (xpnet.Scale(1 / 3), xpnet.Standardize(COLUMNS, 3.0), WHITEN)
EVERY += (xpnet.Standardize(0.1, SCALES), xpnet.Scale(7.7))
PREPROCESSING = {
    "Scale, float32": xpnet.Scale(0.1),
    "Standardize, columns, float32": xpnet.Standardize(COLUMNS, SCALES),
    "Whiten, float32": WHITEN,
    "all steps, float32": EVERY,
    "all steps, float64": EVERY,
}
FUNCTIONS = [(name, "float64") for name, row in ACTIVATIONS.items() if name == row.name]
FUNCTIONS += [("softmax", "float32"), ("tanh", "float32")]


def cases():
    """Return the networks that need no other files, by name."""
    found = {"sample": Case(xpnet.load("sample"), xpnet.sample()[0].reshape(1000, 784)[::31])}
    for widths, names in SHAPES:
        network = network_of(widths, names, steps=xpnet.Scale(1 / 255))
        found["-".join(map(str, widths))] = Case(network, pixels(33, widths[0]))
    # So many numbers that the rounding of each operation matters to some.
    for name in ("gelu", "softplus", "tanh"):
        network = xpnet.Network([xpnet.Dense(np.ones((1, 1)), np.zeros(1), name)])
        found[f"{name} of many numbers"] = Case(network, numbers((100_000, 1), 11, 8.0))
    for label, dtype, spread in EXTREMES:
        network = network_of((48, 24, 6), ("leaky_relu", "identity"), dtype, spread=spread)
        is_small = label == "weights: subnormal"
        found[label] = Case(network, pixels(33, 48) if is_small else special_rows(96, 48))
    for label, steps in PREPROCESSING.items():
        dtype = label.rpartition(" ")[2]
        network = network_of((48, 24, 6), ("tanh", "identity"), dtype, steps=steps)
        found[label] = Case(network, pixels(33, 48))
    # A weight of 1 for each input: the activation has the special numbers as inputs.
    for name, dtype in FUNCTIONS:
        layer = xpnet.Dense(np.eye(16).astype(dtype), np.zeros(16, dtype), name)
        found[f"{name}, {dtype}"] = Case(xpnet.Network([layer]), special_rows(96, 16))
    return found


def published(folder):
    """Return the networks of other people in the folder of larger data, by name."""
    paths = [folder / "weights" / name for name in PUBLISHED]
    networks = {path.name: xpnet.load(path) for path in paths if path.exists()}
    return {name: Case(network, pixels(100, network.n_in)) for name, network in networks.items()}


def hash_of(outputs):
    """Return the SHA-256 of outputs in little-endian byte order."""
    y = np.ascontiguousarray(to_numpy(outputs))
    return hashlib.sha256(y.astype(y.dtype.newbyteorder("<")).tobytes()).hexdigest()


def hashes(found, convert=lambda x: x):
    """Return the hash of each case, with all arrays converted to a library."""
    result = {}
    for name, case in found.items():
        network = xpnet.reproducible(case.network.map_arrays(convert))
        result[name] = hash_of(xpnet.forward(network, convert(case.rows)))
    return result


def main(library="numpy"):
    """Print or write the hashes."""
    if library == "--write":
        found = cases()
        known = json.loads(COMMITTED.read_text("utf-8")) | hashes(found)
        if "XPNET_TEST_DATA" in os.environ:
            known |= hashes(published(Path(os.environ["XPNET_TEST_DATA"])))
        kept = {name: known[name] for name in (*found, *PUBLISHED)}
        COMMITTED.write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")
        return
    backend = open_backend(library)
    with backend.flags:
        result = hashes(cases(), lambda x: backend.asarray(x, x.dtype))
    kernels = sorted({info["architecture"] for info in threadpool_info() if "architecture" in info})
    json.dump({"kernels": kernels, "hashes": result}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
