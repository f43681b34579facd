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
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import quoted
from xpnet.formats.checked_parameters import check_parameters
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import STEPS, Step, arrays_of

__all__ = ["arrays_by_name", "describe", "network_from_description"]

_VERSION = 1
_ENTRIES = {"version", "activations", "preprocessing", "output", "classes"}  # and metadata
_LARGEST = 2**53  # of integers as options: floating-point numbers have them


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


def network_from_description(description: str, arrays: Mapping[str, NDArray[Any]]) -> Network:
    """Return the network of a description and its arrays.

    Raise TypeError or ValueError if one of them is invalid or they do not belong together; the
    classes of networks validate their arguments.
    """
    entries = _checked_entries(description)
    check_parameters(arrays)
    left = dict(arrays)
    layers = [_layer(i, entry, left) for i, entry in enumerate(entries["activations"])]
    steps = [_step(i, entry, left) for i, entry in enumerate(entries["preprocessing"])]
    if left:
        msg = f"each array must belong to the description; got {quoted(', '.join(left))}"
        raise ValueError(msg)
    return Network(layers, steps, entries["output"], entries["classes"], entries.get("metadata"))


def _checked_entries(description: str) -> dict[str, Any]:
    """Return the entries of a description, with lists where they must be, and nothing deeper."""
    try:
        entries = json.loads(description, object_pairs_hook=_unique)
    except RecursionError:
        entries = None
    version = entries.get("version") if isinstance(entries, dict) else None
    if type(version) is not int or version != _VERSION:
        msg = f"the description must be an object of version {_VERSION}; got {_short(version)}"
        raise ValueError(msg)
    inner = [entries]
    for _ in range(4):  # entries, their items, the options of an item: these have no parts
        inner = [part for value in inner for part in _parts(value)]
    if inner or {*entries} - {"metadata"} != _ENTRIES:
        rule = f"must have the entries {', '.join(sorted(_ENTRIES))}, and no deeper ones"
        msg = f"the description {rule}; got {_short(entries)}"
        raise ValueError(msg)
    lists = [entries["activations"], entries["preprocessing"], entries["classes"] or []]
    if not all(isinstance(entry, list) for entry in lists):
        msg = f"activations, preprocessing and classes must be lists; got {_short(entries)}"
        raise TypeError(msg)
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise ValueError for a name that occurs twice, or a huge integer."""
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries or (type(value) is int and abs(value) > _LARGEST):
            msg = f"{quoted(name)} must occur once, and not be an integer above {_LARGEST}"
            raise ValueError(msg)
        entries[name] = value
    return entries


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _short(value: Any) -> str:
    return reprlib.repr(value)[:80]


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
    numbers = dict(entry) if isinstance(entry, dict) else {}
    kind = STEPS.get(str(numbers.pop("step", None)))
    if kind is None or any(type(x) not in {int, float} for x in numbers.values()):
        rule = f"must be an object of a step, {', '.join(STEPS)}, and numbers"
        msg = f"step {i} of preprocessing {rule}; got {_short(entry)}"
        raise ValueError(msg)
    names = [field.name for field in fields(kind)]
    keys = {name: f"preprocessing.{i}.{name}" for name in names}
    arrays: dict[str, Any] = {name: left.pop(key) for name, key in keys.items() if key in left}
    if sorted([*numbers, *arrays]) != sorted(names):  # a default would hide the loss of an array
        rule = f"must have {', '.join(names)} once, as a number or an array"
        msg = f"step {i} of preprocessing {rule}; got {_short([*numbers, *arrays])}"
        raise ValueError(msg)
    return kind(**numbers, **arrays)
