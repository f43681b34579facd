"""Good model files: the network that `convert` writes must be that of the file."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from good import Command, Good, comparable
from readings import named_arrays, onnx_outputs

import xpnet

__all__ = ["foreign_onnx", "named_weights", "onnx_weights"]

_MAX_BYTES, _MAX_OUTPUT = 1 << 16, 1e30


def named_weights(content: bytes, *flags: str) -> Good:
    def agrees(damaged: bytes, command: Command, found: Any) -> bool:
        arrays, meaning = named_arrays(damaged)
        meaning = meaning or _of_the_book(arrays)
        return command[0] != "convert" or bool(found == (_comparable(arrays), meaning))

    return Good(content, _commands(*flags), _written, agrees)


def _of_the_book(arrays: Any) -> Any:
    """Return xpnet's description of the book's network, which the file lacks."""
    return {
        "version": 1,
        "activations": ["sigmoid"] * (len(arrays) // 2 - 1) + ["identity"],
        "preprocessing": [],  # so few inputs are measurements
        "output": "logits",
        "classes": None,
    }


def _commands(*flags: str) -> tuple[Command, ...]:
    convert = ("convert", "damaged", "out.safetensors", *flags)
    predict = ("predict", "plain.npy", "--model=damaged", "-o", "out.csv", *flags)
    return (convert, convert, predict, ("inspect", "damaged"))


def _written(command: Command, _: str) -> Any:
    if command[0] != "convert":  # labels do not tell every network from another
        return None
    arrays, meaning = named_arrays(Path("out.safetensors").read_bytes())
    return _comparable(arrays), meaning


def _comparable(arrays: Any) -> Any:
    return {name: comparable(x) for name, x in arrays.items()}


def onnx_weights(content: bytes, *flags: str) -> Good:
    def agrees(damaged: bytes, command: Command, _: Any) -> bool:
        if command[0] != "convert":
            return True
        network = xpnet.load("out.safetensors", allow_nonfinite=True)
        rows = np.random.default_rng(0).integers(0, 9, (3, network.n_in)).astype(network.dtype)
        expected = np.stack([onnx_outputs(damaged, row) for row in rows])
        if not np.abs(expected).max() < _MAX_OUTPUT:  # parts of it may overflow elsewhere
            return True
        fits = np.isfinite(expected)  # what overflows may do so in another place
        size = 1 + np.max(np.abs(expected), where=fits, initial=0)
        # A scale may be added to a foreign network.
        return any(
            np.allclose(x(rows)[fits] / size, expected[fits] / size, atol=1e-3)
            for x in (network, replace(network, preprocessing=network.preprocessing[1:]))
        )

    commands = _commands(*flags)
    if flags:  # from elsewhere, for images of other sizes
        commands = tuple(command for command in commands if command[0] != "predict")
    return Good(content, commands, _written, agrees)


def foreign_onnx() -> list[bytes]:
    folder = Path(os.environ.get("XPNET_TEST_DATA", "/nonexistent")) / "weights"
    paths = (x for x in sorted(folder.glob("*.onnx")) if x.stat().st_size <= _MAX_BYTES)
    return [x.read_bytes() for x in paths]
