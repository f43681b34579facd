"""Valid files of all kinds, as originals for damaged copies."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
from data_files import (
    N_PIXELS,
    bytes_of,
    csv_files,
    idx_bytes,
    idx_files,
    npy_files,
    npz_files,
)
from good import Kind
from safetensors.numpy import save
from weight_files import foreign_onnx, named_weights, onnx_weights

import xpnet
from xpnet.formats import npz, onnx, safetensors

__all__ = ["make_kinds"]

_N_CLASSES = 3
_DATA, _WEIGHTS = 3, 4  # exit codes


def make_kinds() -> tuple[Kind, ...]:
    """Write the files beside the damaged one into the current folder; return all kinds."""
    images, labels = xpnet.sample()
    images, labels = (x[labels < _N_CLASSES][:6] for x in (images, labels))
    images = np.ascontiguousarray(images[:, 4:24:5, 4:24:5])
    first, second = _networks()
    xpnet.save(first, "model.safetensors")
    np.save("plain.npy", images)
    np.savez("data.npz", images=images, labels=labels)
    Path("labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    arrays = {f"{kind}{i + 1}": x for i, layer in enumerate(first.layers)
              for kind, x in (("W", layer.weight), ("b", layer.bias))}  # fmt: skip
    torch = {f"{2 * int(name[1:]) - 2}.{'weight' if name[0] == 'W' else 'bias'}":
             np.ascontiguousarray(x.T) for name, x in arrays.items()}  # fmt: skip
    book, sigmoid = bytes_of(np.savez, **arrays), ("--activation", "sigmoid")
    pickles = [pickle.dumps(arrays, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    return (
        Kind("csv", _DATA, csv_files(images, labels)),
        Kind("idx", _DATA, idx_files(images, labels)),
        Kind("npy", _DATA, npy_files(images, labels)),
        Kind("images-npz", _DATA, npz_files(images, labels)),
        Kind("safetensors", _WEIGHTS, (
            *(named_weights(safetensors.serialize(x)) for x in (first, second)),
            named_weights(save(torch), *sigmoid),
        )),
        Kind("npz", _WEIGHTS, (
            *(named_weights(bytes(npz.serialize(x))) for x in (first, second)),
            named_weights(book, *sigmoid),
        )),
        Kind("pickle", _WEIGHTS, tuple(named_weights(x, *sigmoid) for x in pickles)),
        Kind("onnx", _WEIGHTS, (
            *(onnx_weights(onnx.serialize(x)) for x in (first, second)),
            *(onnx_weights(x, "--input-range", "0..255") for x in foreign_onnx()),
        )),
    )  # fmt: skip


def _networks() -> tuple[xpnet.Network, xpnet.Network]:
    draw = np.random.default_rng(0).standard_normal
    layers = [xpnet.Dense(draw((N_PIXELS, 2)), draw(2), "elu", {"alpha": 0.5}),
              xpnet.Dense(draw((2, _N_CLASSES)), draw(_N_CLASSES))]  # fmt: skip
    steps = [xpnet.Scale(0.5), xpnet.Standardize(draw(N_PIXELS), 2.0)]
    second = xpnet.Network(layers, preprocessing=steps, classes=["no", "yes", "maybe"])
    small = [replace(layer, weight=layer.weight.astype(np.float32),
                     bias=layer.bias.astype(np.float32)) for layer in layers]  # fmt: skip
    return xpnet.Network(small, preprocessing=xpnet.Scale(1 / 255)), second
