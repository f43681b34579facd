"""Valid model files of all formats, as originals for damaged copies."""

import pickle
from dataclasses import replace
from io import BytesIO

import numpy as np
from good import Kind
from safetensors.numpy import save
from weight_files import foreign_onnx, named_weights, onnx_weights

import xpnet
from xpnet.formats import npz, onnx, safetensors

__all__ = ["make_kinds"]

_N_PIXELS, _N_CLASSES = 16, 3


def make_kinds() -> tuple[Kind, ...]:
    """Write the images for `predict` into the current folder; return all kinds."""
    np.save("plain.npy", xpnet.sample()[0][:6, 4:24:5, 4:24:5])
    first, second = _networks()
    arrays = {f"{kind}{i + 1}": x for i, layer in enumerate(first.layers)
              for kind, x in (("W", layer.weight), ("b", layer.bias))}  # fmt: skip
    torch = {f"{2 * int(name[1:]) - 2}.{'weight' if name[0] == 'W' else 'bias'}":
             np.ascontiguousarray(x.T) for name, x in arrays.items()}  # fmt: skip
    book, sigmoid = BytesIO(), ("--activation", "sigmoid")
    np.savez(book, **arrays)
    pickles = [pickle.dumps(arrays, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    return (
        Kind("safetensors", (
            *(named_weights(safetensors.serialize(x)) for x in (first, second)),
            named_weights(save(torch), *sigmoid),
        )),
        Kind("npz", (
            *(named_weights(bytes(npz.serialize(x))) for x in (first, second)),
            named_weights(book.getvalue(), *sigmoid),
        )),
        Kind("pickle", tuple(named_weights(x, *sigmoid) for x in pickles)),
        Kind("onnx", (
            *(onnx_weights(onnx.serialize(x)) for x in (first, second)),
            *(onnx_weights(x, "--input-range", "0..255") for x in foreign_onnx()),
        )),
    )  # fmt: skip


def _networks() -> tuple[xpnet.Network, xpnet.Network]:
    draw = np.random.default_rng(0).standard_normal
    layers = [xpnet.Dense(draw((_N_PIXELS, 2)), draw(2), "elu", {"alpha": 0.5}),
              xpnet.Dense(draw((2, _N_CLASSES)), draw(_N_CLASSES))]  # fmt: skip
    steps = [xpnet.Scale(0.5), xpnet.Standardize(draw(_N_PIXELS), 2.0)]
    second = xpnet.Network(layers, preprocessing=steps, classes=["no", "yes", "maybe"])
    small = [replace(layer, weight=layer.weight.astype(np.float32),
                     bias=layer.bias.astype(np.float32)) for layer in layers]  # fmt: skip
    return xpnet.Network(small, preprocessing=xpnet.Scale(1 / 255)), second
