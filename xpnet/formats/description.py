"""What parameters mean, as JSON that xpnet writes beside them.

It is an object with ``version``, ``activations`` (for each layer a name, or an object such as
``{"name": "elu", "alpha": 1.0}``), ``preprocessing`` (a list of objects such as
``{"step": "scale", "factor": 0.5}``), ``output`` and ``classes`` (a list or null). The arrays are
``layers.0.weight`` of shape (n_in, n_out), ``layers.0.bias``, ``layers.1.weight`` ... and, of a
step that has one mean for each input, ``preprocessing.0.mean``; of one that whitens, also
``preprocessing.0.matrix`` of shape (n_in, n_in).
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.checked_parameters import check_finite, check_floating
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import STEPS, Step, arrays_of

__all__ = ["arrays_by_name", "build", "describe", "without_doubles"]

_VERSION = 1
_ENTRIES = frozenset({"version", "activations", "preprocessing", "output", "classes"})
# The names of a million classes, and more layers than anybody stacks.
_MOST_CHARACTERS, _MOST_STEPS = 1 << 22, 1000


def describe(network: Network) -> str:
    """Return what the arrays of a network mean."""
    meaning = {
        "version": _VERSION,
        "activations": [
            {"name": layer.activation, **layer.options} if layer.options else layer.activation
            for layer in network.layers
        ],
        "preprocessing": [_described(step) for step in network.preprocessing],
        "output": network.output,
        "classes": network.classes,
    }
    text = json.dumps(meaning)
    _check_length(text)
    return text


def _check_length(description: str) -> None:
    if len(description) > _MOST_CHARACTERS:
        msg = (
            f"the description must have at most {_MOST_CHARACTERS:,} characters; got"
            f" {len(description):,}"
        )
        raise ValueError(msg)


def _described(step: Step) -> dict[str, Any]:
    name = next(name for name, kind in STEPS.items() if type(step) is kind)
    names = [field.name for field in fields(step) if field.name not in arrays_of(step)]
    return {"step": name, **{name: getattr(step, name) for name in names}}


def arrays_by_name(network: Network) -> dict[str, NDArray[Any]]:
    """Return the arrays of a network by the names that the description gives them.

    Raises
    ------
    TypeError
        If they are of a dtype that files do not have.
    ValueError
        If a number is NaN or infinite.
    """
    arrays = {}
    for i, layer in enumerate(network.layers):
        arrays[f"layers.{i}.weight"] = np.ascontiguousarray(to_numpy(layer.weight))
        arrays[f"layers.{i}.bias"] = np.ascontiguousarray(to_numpy(layer.bias))
    for i, step in enumerate(network.preprocessing):
        for name, x in arrays_of(step).items():
            arrays[f"preprocessing.{i}.{name}"] = np.ascontiguousarray(to_numpy(x))
    check_floating(arrays)
    check_finite(arrays)
    return arrays


def build(description: str, arrays: Mapping[str, NDArray[Any]]) -> Network:
    """Return the network of a description and its arrays.

    Raises
    ------
    LookupError, TypeError, ValueError, ArithmeticError, RecursionError
        If it is none: whatever is wrong, the network refuses it in its own words.
    """
    _check_length(description)
    meaning = json.loads(description, object_pairs_hook=without_doubles)
    if type(meaning["version"]) is not int or meaning["version"] != _VERSION:
        msg = f"version of the format must be {_VERSION}; got {meaning['version']}"
        raise ValueError(msg)
    unknown = sorted(set(meaning) - _ENTRIES)
    if unknown:
        msg = f"entries must be {', '.join(sorted(_ENTRIES))}; got {unknown[0]!r}"
        raise ValueError(msg)
    activations, steps = _list(meaning, "activations"), _list(meaning, "preprocessing")
    if len(steps) > _MOST_STEPS:
        msg = f"preprocessing must have at most {_MOST_STEPS} steps; got {len(steps)}"
        raise ValueError(msg)
    names = {f"layers.{i}.{kind}" for i in range(len(activations)) for kind in ("weight", "bias")}
    others = {name for name in arrays if name.startswith("preprocessing.")}
    if names != set(arrays) - others:
        msg = f"tensors must be {', '.join(sorted(names))}; got {', '.join(sorted(arrays))}"
        raise ValueError(msg)
    check_floating(arrays)
    arrays = {name: x.astype(x.dtype.newbyteorder("="), copy=False) for name, x in arrays.items()}
    layers = [
        Dense(arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"], *_named(activation))
        for i, activation in enumerate(activations)
    ]
    preprocessing = [_step(i, step, arrays) for i, step in enumerate(steps)]
    n_used = sum(len(arrays_of(step)) for step in preprocessing)
    if n_used != len(others):
        msg = f"tensors of the preprocessing must be {n_used}; got {', '.join(sorted(others))}"
        raise ValueError(msg)
    classes = None if meaning["classes"] is None else _list(meaning, "classes")
    return Network(layers, preprocessing=preprocessing, output=meaning["output"], classes=classes)


def _step(i: int, step: Any, arrays: Mapping[str, NDArray[Any]]) -> Step:
    if not isinstance(step, dict):
        msg = f"steps of preprocessing must be JSON objects; got {step!r}"
        raise TypeError(msg)
    kind = STEPS[step["step"]]
    options = {name: value for name, value in step.items() if name != "step"}
    for field in fields(kind):
        array = arrays.get(f"preprocessing.{i}.{field.name}")
        if array is not None:
            options.setdefault(field.name, array)
            if field.name == "scale" and not np.all(array):
                msg = f"scales of step {i} of preprocessing must not be zero"
                raise ValueError(msg)
        elif isinstance(options.get(field.name), str | bool):  # which float() would read
            msg = f"{field.name} of step {i} of preprocessing must be a number"
            raise TypeError(msg)
        elif field.name not in options:  # a default would hide that a tensor was lost
            msg = f"step {i} of preprocessing must have the entry or tensor {field.name}"
            raise ValueError(msg)
    return kind(**options)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of a JSON object, whose names must differ.

    Raises
    ------
    ValueError
        If a name is there twice; JSON's own reader would take the last one.
    """
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            msg = f"{name!r} is there twice"
            raise ValueError(msg)
        entries[name] = value
    return entries


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
