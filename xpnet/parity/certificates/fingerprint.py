"""What identifies a network and its input, whatever library, device and machine hold them."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.networks.preprocessing import arrays_of

if TYPE_CHECKING:
    from xpnet.networks.network import Network

__all__ = [
    "first_difference",
    "input_fingerprint",
    "network_fingerprint",
    "preprocessing_facts",
    "sha256_of",
]

_HEX_DIGITS = 64
_SHOWN_DIGITS = 12
_NOTHING = "nothing"


def network_fingerprint(network: "Network") -> dict[str, str]:
    """Return what identifies a network: its facts in words, its parameters as SHA-256.

    Parameters
    ----------
    network : Network
        Of any library, on any device: the same parameters give the same fingerprint, on a GPU
        as on a CPU, in row-major as in column-major order, on a machine of either byte order.

    Returns
    -------
    dict of str to str
        Number of layers and dtype; for each layer, counted from 1, its shape and activation
        (with all options) and the SHA-256 of its weight and bias; preprocessing, meaning of the
        output, the SHA-256 of the classes' names; under "sha256" one SHA-256 of all this.

    Examples
    --------
    >>> from xpnet import Network
    >>> network = Network.from_arrays({"W1": [[0.5, 0.25]], "b1": [0.0, 1.0]})
    >>> fingerprint = network_fingerprint(network)
    >>> fingerprint["shape of layer 1"], fingerprint["activation of layer 1"]
    ('1 x 2', 'identity')
    >>> fingerprint["sha256"][:12]
    'a3233672273e'
    """
    layers = list(enumerate(network.layers, start=1))
    facts = {"number of layers": str(len(layers))}
    facts["dtype"] = _dtype_name(network.dtype, to_numpy(network.layers[0].bias))
    # Facts in words come first: in a network of another shape every SHA-256 differs too.
    facts.update((f"shape of layer {i}", _by(layer.weight.shape)) for i, layer in layers)
    facts.update((f"activation of layer {i}", layer.activation_text) for i, layer in layers)
    for i, layer in layers:
        facts[f"weight of layer {i}"] = sha256_of(to_numpy(layer.weight))
        facts[f"bias of layer {i}"] = sha256_of(to_numpy(layer.bias))
    facts.update(preprocessing_facts(network))
    facts["output"] = network.output
    names = json.dumps(network.classes)
    facts["classes"] = "none" if network.classes is None else _sha256(names.encode())
    facts["sha256"] = _sha256(json.dumps(facts).encode())
    return facts


def preprocessing_facts(network: "Network") -> dict[str, str]:
    """Return what identifies the preprocessing: the steps, and the SHA-256 of their arrays."""
    facts = {"preprocessing": ", ".join(map(repr, network.preprocessing)) or "none"}
    for i, step in enumerate(network.preprocessing, start=1):
        for name, x in arrays_of(step).items():
            kind = name if name == "matrix" else f"{name}s"
            facts[f"{kind} of step {i}"] = sha256_of(to_numpy(x))
    return facts


def input_fingerprint(x: Any, /) -> dict[str, str]:
    """Return what identifies an input: number of rows, shape, dtype, SHA-256 of the values.

    Parameters
    ----------
    x : array
        Of any library, on any device, in any memory order.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> import numpy as np
    >>> for name, fact in input_fingerprint(np.zeros((2, 3), dtype=np.uint8)).items():
    ...     print(name, fact[:12])
    number of rows 2
    shape 2 x 3
    dtype uint8
    sha256 ac584bb99f05
    """
    host = to_numpy(x)
    return {
        "number of rows": str(host.shape[0]),
        "shape": _by(host.shape),
        "dtype": _dtype_name(x.dtype, host),
        "sha256": sha256_of(host),
    }


def sha256_of(array: NDArray[Any], /) -> str:
    """Return the SHA-256 of dtype, shape and values, as little-endian rows one after another."""
    rows = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    form = f"{array.dtype.name} {_by(array.shape)}\n"
    return _sha256(form.encode(), rows.reshape(-1).view(np.uint8).data)


def first_difference(
    recorded: Mapping[str, str], present: Mapping[str, str]
) -> tuple[str, str, str] | None:
    """Return the first fact in which two fingerprints differ, and the two values; or None.

    A SHA-256 is shortened to its first 12 digits.
    """
    for name in (*present, *recorded):
        found, expected = recorded.get(name, _NOTHING), present.get(name, _NOTHING)
        if found != expected:
            return name.replace("sha256", "values"), _shown(found), _shown(expected)
    return None


def _sha256(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _shown(fact: str) -> str:
    is_hash = len(fact) == _HEX_DIGITS and not set(fact) - set("0123456789abcdef")
    return f"SHA-256 {fact[:_SHOWN_DIGITS]}" if is_hash else fact


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _dtype_name(dtype: Any, host: NDArray[Any]) -> str:
    # bfloat16 comes to the host as float32.
    return "bfloat16" if "bfloat16" in str(dtype) else host.dtype.name
