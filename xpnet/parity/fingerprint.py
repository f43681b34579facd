"""Facts that identify networks and inputs on every machine, with the SHA-256 of arrays."""

import json
from typing import Any

from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import sha256, sha256_of_array
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import Scale

__all__ = ["input_fingerprint", "network_fingerprint", "preprocessing_facts"]


def network_fingerprint(network: Network) -> dict[str, str]:
    """Return the facts that identify a network, with the SHA-256 of each array.

    They do not depend on the library, the device, the memory order and the byte order: number of
    layers and dtype; for each layer, counted from 1, its shape, its activation with all options,
    and the SHA-256 of its weight and bias; preprocessing; type of the output; SHA-256 of the names
    of the classes; under "sha256", the SHA-256 of all these facts.
    """
    layers = list(enumerate(network.layers, start=1))
    bias = network.layers[0].bias
    facts = {"number of layers": str(len(layers)), "dtype": _dtype_name(bias, to_numpy(bias))}
    # Before the SHA-256 of arrays, which all differ if a shape does.
    facts.update((f"shape of layer {i}", _sizes(layer.weight.shape)) for i, layer in layers)
    facts.update((f"activation of layer {i}", layer.activation_text) for i, layer in layers)
    facts |= _array_facts(network, "layers")
    facts |= preprocessing_facts(network)
    facts["output"] = network.output
    names = json.dumps(network.classes).encode()
    facts["classes"] = "none" if network.classes is None else sha256([names])
    facts["sha256"] = sha256([json.dumps(facts).encode()])
    return facts


def preprocessing_facts(network: Network) -> dict[str, str]:
    """Return the facts that identify the preprocessing: its steps, and the SHA-256 of arrays."""
    steps = (  # certificates hold these texts, which must never change
        f"Scale(factor={step.factor!r})" if isinstance(step, Scale) else repr(step)
        for step in network.preprocessing
    )
    facts = {"preprocessing": ", ".join(steps) or "none"}
    return facts | _array_facts(network, "preprocessing")


def _array_facts(network: Network, part: str) -> dict[str, str]:
    """Return the SHA-256 of the arrays of a part, by names such as "weight of layer 1"."""
    facts = {}
    for name, x in named_arrays(network).items():
        found, i, field = name.split(".")
        if found == part:
            kind = f"{field}s" if field in {"mean", "scale"} else field
            owner = "layer" if part == "layers" else "step"
            facts[f"{kind} of {owner} {int(i) + 1}"] = sha256_of_array(to_numpy(x))
    return facts


def input_fingerprint(x: Any, /) -> dict[str, str]:
    """Return the facts that identify an input on any library and device, in any memory order."""
    host = to_numpy(x)
    return {
        "number of rows": str(host.shape[0]),
        "shape": _sizes(host.shape),
        "dtype": _dtype_name(x, host),
        "sha256": sha256_of_array(host),
    }


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _dtype_name(x: Any, host: Any) -> str:
    # NumPy lacks bfloat16: on the host, such arrays are float32.
    return "bfloat16" if "bfloat16" in str(x.dtype) else str(host.dtype.name)
