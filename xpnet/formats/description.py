"""Description of a network as JSON, which xpnet's own files store beside the arrays.

It is an object with ``version``, ``activations`` (per layer a name, or an object such as
``{"name": "elu", "alpha": 1.0}``), ``preprocessing`` (a list of objects such as
``{"step": "scale", "factor": 0.5}``), ``output``, ``classes`` (a list or null) and, unless empty,
``metadata`` (an object of strings). The arrays are ``layers.0.weight`` of shape (n_in, n_out),
``layers.0.bias``, ``layers.1.weight`` ...; for a step with one mean per input
``preprocessing.0.mean``, and for whitening also ``preprocessing.0.matrix`` of shape (n_in, n_in).
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.checked_parameters import check_parameters
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import STEPS, Step, arrays_of

__all__ = ["arrays_by_name", "describe", "metadata_entry", "network_from_description"]
__all__ += ["unique_entries"]

_VERSION = 1
_ENTRIES = frozenset({"version", "activations", "preprocessing", "output", "classes", "metadata"})
# Room for the names of a million classes, and for more steps than any network has.
_MAX_CHARACTERS, _MAX_STEPS = 1 << 22, 1000


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
        **metadata_entry(network),
    }
    description = json.dumps(entries)
    _check_length(description)
    return description


def metadata_entry(network: Network) -> dict[str, dict[str, str]]:
    """Return the entry for the metadata of a network, if it has any."""
    return {"metadata": dict(network.metadata)} if network.metadata else {}


def _check_length(description: str) -> None:
    if len(description) > _MAX_CHARACTERS:
        limit, found = f"{_MAX_CHARACTERS:,}", f"{len(description):,}"
        msg = f"the description must have at most {limit} characters; got {found}"
        raise ValueError(msg)


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

    Raise LookupError, TypeError, ValueError, ArithmeticError or RecursionError if the description
    or the arrays are invalid; `Network` and its parts validate the rest.
    """
    _check_length(description)
    entries = json.loads(description, object_pairs_hook=unique_entries)
    if type(entries["version"]) is not int or entries["version"] != _VERSION:
        msg = f"version of the format must be {_VERSION}; got {entries['version']}"
        raise ValueError(msg)
    unknown = sorted(set(entries) - _ENTRIES)
    if unknown:
        msg = f"entries must be {', '.join(sorted(_ENTRIES))}; got {unknown[0]!r}"
        raise ValueError(msg)
    activations, steps = _list_entry(entries, "activations"), _list_entry(entries, "preprocessing")
    if len(steps) > _MAX_STEPS:
        msg = f"preprocessing must have at most {_MAX_STEPS} steps; got {len(steps)}"
        raise ValueError(msg)
    names = {f"layers.{i}.{kind}" for i in range(len(activations)) for kind in ("weight", "bias")}
    others = {name for name in arrays if name.startswith("preprocessing.")}
    if names != set(arrays) - others:
        msg = f"tensors must be {', '.join(sorted(names))}; got {', '.join(sorted(arrays))}"
        raise ValueError(msg)
    check_parameters(arrays)
    natives = ((name, x.dtype.newbyteorder("="), x) for name, x in arrays.items())
    arrays = {name: x.astype(dtype, copy=False) for name, dtype, x in natives}
    layers = []
    for i, activation in enumerate(activations):
        options = dict(activation) if isinstance(activation, dict) else {"name": activation}
        if options == {"name": "softplus", "beta": 1.0}:  # as xpnet 0.2 wrote it
            del options["beta"]
        weight, bias = arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"]
        layers.append(Dense(weight, bias, options.pop("name"), options))
    preprocessing = [_build_step(i, step, arrays) for i, step in enumerate(steps)]
    n_used = sum(len(arrays_of(step)) for step in preprocessing)
    if n_used != len(others):
        msg = f"preprocessing must have {n_used} tensors; got {', '.join(sorted(others))}"
        raise ValueError(msg)
    classes = None if entries["classes"] is None else _list_entry(entries, "classes")
    metadata = entries.get("metadata")
    return Network(layers, preprocessing, entries["output"], classes, metadata)


def _build_step(i: int, step: Any, arrays: Mapping[str, NDArray[Any]]) -> Step:
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
        elif isinstance(options.get(field.name), str | bool):  # float() would accept it
            msg = f"{field.name} of step {i} of preprocessing must be a number"
            raise TypeError(msg)
        elif field.name not in options:  # a default would hide the loss of a tensor
            msg = f"step {i} of preprocessing must have the entry or tensor {field.name}"
            raise ValueError(msg)
    return kind(**options)


def unique_entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of a JSON object; raise ValueError if a name occurs twice."""
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:  # `json` would keep the last of the two values
            msg = f"{name!r} occurs twice"
            raise ValueError(msg)
        entries[name] = value
    return entries


def _list_entry(entries: Mapping[str, Any], name: str) -> list[Any]:
    """Return an entry that must be a list; a string would be iterated letter by letter."""
    entry = entries[name]
    if not isinstance(entry, list):
        msg = f"{name} must be a list; got {entry!r}"
        raise TypeError(msg)
    return entry
