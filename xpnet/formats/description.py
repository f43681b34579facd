"""Description of a network as JSON, which xpnet's own files store beside the arrays.

It is an object with ``version``, ``activations`` (per layer a name, or an object such as
``{"name": "elu", "alpha": 1.0}``), ``preprocessing`` (a list of objects such as
``{"step": "scale", "factor": 0.5}``), ``output``, ``classes`` (a list or null) and, unless empty,
``metadata`` (an object of strings). The arrays are ``layers.0.weight`` of shape (n_in, n_out),
``layers.0.bias``, ``layers.1.weight`` ...; for a step with one mean per input
``preprocessing.0.mean``, and for whitening also ``preprocessing.0.matrix`` of shape (n_in, n_in).
"""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import quoted
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import STEPS, Step, arrays_of

__all__ = ["arrays_by_name", "check_parameters", "describe", "network_from_description"]

_VERSION = 1


def describe(network: Network) -> str:
    """Return the description of a network."""
    entries = {
        "version": _VERSION,
        "activations": [
            {"name": layer.activation, **layer.options} if layer.options else layer.activation
            for layer in network.layers
        ],
        "preprocessing": [_describe_step(step) for step in network.preprocessing],
        "output": network.output,
        "classes": network.classes,
        **({"metadata": dict(network.metadata)} if network.metadata else {}),
    }
    return json.dumps(entries)


def _describe_step(step: Step) -> dict[str, Any]:
    name = next(name for name, kind in STEPS.items() if type(step) is kind)
    names = [field.name for field in fields(step) if field.name not in arrays_of(step)]
    return {"step": name, **{name: getattr(step, name) for name in names}}


def arrays_by_name(network: Network) -> dict[str, NDArray[Any]]:
    """Return the arrays of a network by the names of its description; raise unless valid.

    Arrays must be float16, float32 or float64 (TypeError) and finite (ValueError).
    """
    arrays = {name: np.ascontiguousarray(to_numpy(x)) for name, x in named_arrays(network).items()}
    check_parameters(arrays)
    return arrays


def check_parameters(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that arrays are finite numbers of a floating-point dtype of NumPy.

    Raise TypeError or ValueError, with the name of the array.
    """
    for name, x in arrays.items():
        if x.dtype.name not in {"float16", "float32", "float64"}:
            msg = f"{name} must be float16, float32 or float64; got {x.dtype}"
            raise TypeError(msg)
        if not np.isfinite(x).all():
            msg = f"{name} must be finite; got NaN or infinity"
            raise ValueError(msg)


def network_from_description(description: str, arrays: Mapping[str, NDArray[Any]]) -> Network:
    """Return the network of a description and its arrays.

    Raise TypeError or ValueError if one of them is invalid or they do not belong together; the
    classes of networks validate their arguments.
    """
    check_parameters(arrays)
    entries, left = json.loads(description), dict(arrays)
    match entries:
        case {
            "version": 1,
            "activations": list(activations),
            "preprocessing": list(preprocessing),
            "output": output,
            "classes": list() | None as classes,
            **others,
        } if {*others} <= {"metadata"}:
            layers = [_layer(i, entry, left) for i, entry in enumerate(activations)]
            steps = [_step(i, entry, left) for i, entry in enumerate(preprocessing)]
        case _:
            rule = "must have version 1, activations, preprocessing, output and classes"
            msg = f"the description {rule}, and no more than metadata; got {_short(entries)}"
            raise ValueError(msg)
    if left:
        msg = f"each array must belong to the description; got {quoted(', '.join(left))}"
        raise ValueError(msg)
    metadata: Any = others.get("metadata")
    return Network(layers, steps, output, classes, metadata)


def _layer(i: int, entry: Any, left: dict[str, NDArray[Any]]) -> Dense:
    """Return a layer, and take its arrays out of those that are left."""
    options = dict(entry) if isinstance(entry, dict) else {"name": entry}
    if options == {"name": "softplus", "beta": 1.0}:  # as xpnet 0.2 wrote it
        del options["beta"]
    names = [f"layers.{i}.weight", f"layers.{i}.bias"]
    if not left.keys() >= {*names}:
        msg = f"the arrays must include {' and '.join(names)}"
        raise ValueError(msg)
    weight, bias = map(left.pop, names)
    return Dense(weight, bias, options.pop("name", None), options)


def _step(i: int, entry: Any, left: dict[str, NDArray[Any]]) -> Step:
    """Return a step of preprocessing, and take its arrays out of those that are left."""
    numbers: dict[str, Any] = dict(entry) if isinstance(entry, dict) else {}
    kind = STEPS.get(str(numbers.pop("step", None)))
    names = sorted(field.name for field in fields(kind)) if kind else []
    keys = {name: f"preprocessing.{i}.{name}" for name in names}
    arrays: dict[str, Any] = {name: left.pop(key) for name, key in keys.items() if key in left}
    are_numbers = all(type(x) in {int, float} for x in numbers.values())
    # A default would hide the loss of an array.
    if kind is None or not are_numbers or sorted([*numbers, *arrays]) != names:
        rule = f"must be a step, {', '.join(STEPS)}, with its numbers or arrays"
        msg = f"entry {i} of preprocessing {rule}; got {_short(entry)}"
        raise ValueError(msg)
    return kind(**numbers, **arrays)


def _short(value: Any) -> str:
    return reprlib.repr(value)[:80]
