"""The native form: parameters as safetensors, what they mean as JSON in its metadata.

The tensors are ``layers.0.weight`` of shape (n_in, n_out), ``layers.0.bias``,
``layers.1.weight`` ... The metadata has one entry, so that the same network always gives the
same bytes: ``xpnet``, a JSON object with ``version``, ``activations`` (for each layer a name, or
an object such as ``{"name": "elu", "alpha": 1.0}``),
``preprocessing`` (a list of objects such as ``{"step": "scale", "factor": 0.5}``), ``output``
and ``classes`` (a list or null).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import WeightsError
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import STEPS

__all__ = ["read", "recognise", "serialize"]

_KEY = "xpnet"
_VERSION = 1


def recognise(head: bytes) -> bool:
    """Tell by a file's first 9 bytes whether it is safetensors: a length, then JSON."""
    return head[8:9] == b"{"


def serialize(network: Network) -> bytes:
    """Return the bytes of a safetensors file that holds the network.

    Raises
    ------
    TypeError
        If the parameters are of a dtype that the format has not.
    ValueError
        If a parameter is NaN or infinite.
    """
    from safetensors.numpy import save

    tensors = {}
    for i, layer in enumerate(network.layers):
        tensors[f"layers.{i}.weight"] = np.ascontiguousarray(to_numpy(layer.weight))
        tensors[f"layers.{i}.bias"] = np.ascontiguousarray(to_numpy(layer.bias))
    _check_values(tensors)
    names = {kind: name for name, kind in STEPS.items()}
    meaning = {
        "version": _VERSION,
        "activations": [
            {"name": layer.activation, **layer.options} if layer.options else layer.activation
            for layer in network.layers
        ],
        "preprocessing": [
            {"step": names[type(step)], **asdict(step)} for step in network.preprocessing
        ],
        "output": network.output,
        "classes": network.classes,
    }
    return bytes(save(tensors, {_KEY: json.dumps(meaning)}))


def read(path: Path) -> Network:
    """Read a network that `serialize` made.

    Raises
    ------
    WeightsError
        If the file is damaged, or holds something else.
    """
    metadata, tensors = _read_file(path)
    if _KEY not in metadata:
        what = "safetensors without xpnet's description of the network"
        found = f"tensors {', '.join(sorted(tensors)) or 'none'}"
        raise WeightsError(what, file=path, found=found, expected="a file that xpnet wrote")
    try:
        return _build(json.loads(metadata[_KEY]), tensors)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # Whatever is wrong with the description, the network refuses it in its own words.
        what = f"no valid network: {type(error).__name__}: {error}"
        raise WeightsError(what, file=path) from error


def _read_file(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except SafetensorError as error:
        what = f"not valid safetensors: {error}"
        raise WeightsError(what, file=path) from error
    except (AttributeError, TypeError) as error:
        # What the library says where NumPy lacks a dtype, as it does bfloat16 and float8.
        what = f"safetensors of a dtype that NumPy has not: {error}"
        raise WeightsError(what, file=path, expected="float16, float32 or float64") from error


def _check_values(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse parameters that no network should have, when they are read and when written."""
    for name, tensor in tensors.items():
        if tensor.dtype not in (np.float16, np.float32, np.float64):
            msg = f"{name} must be float16, float32 or float64; got {tensor.dtype}"
            raise TypeError(msg)
        n_wrong = tensor.size - int(np.count_nonzero(np.isfinite(tensor)))
        if n_wrong:
            msg = f"{name} must be finite; got {n_wrong} values that are infinite or NaN"
            raise ValueError(msg)


def _build(meaning: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Network:
    if type(meaning["version"]) is not int or meaning["version"] != _VERSION:
        msg = f"version of the format must be {_VERSION}; got {meaning['version']}"
        raise ValueError(msg)
    activations = _list(meaning, "activations")
    names = {f"layers.{i}.{kind}" for i in range(len(activations)) for kind in ("weight", "bias")}
    if names != set(tensors):
        msg = f"tensors must be {', '.join(sorted(names))}; got {', '.join(sorted(tensors))}"
        raise ValueError(msg)
    _check_values(tensors)
    layers = [
        Dense(tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"], *_named(activation))
        for i, activation in enumerate(activations)
    ]
    steps = []
    for step in _list(meaning, "preprocessing"):
        if not isinstance(step, dict):
            msg = f"steps of preprocessing must be JSON objects; got {step!r}"
            raise TypeError(msg)
        options = {name: value for name, value in step.items() if name != "step"}
        steps.append(STEPS[step["step"]](**options))
    classes = None if meaning["classes"] is None else _list(meaning, "classes")
    return Network(layers, preprocessing=steps, output=meaning["output"], classes=classes)


def _named(activation: Any) -> tuple[Any, dict[str, Any]]:
    """Return an activation's name and options."""
    options = dict(activation) if isinstance(activation, dict) else {"name": activation}
    return options.pop("name"), options


def _list(meaning: Mapping[str, Any], name: str) -> list[Any]:
    """Return an entry that must be a JSON array: Python would take a text for one of letters."""
    entry = meaning[name]
    if not isinstance(entry, list):
        msg = f"{name} must be a list; got {entry!r}"
        raise TypeError(msg)
    return entry
