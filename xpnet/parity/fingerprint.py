"""SHA-256 of a network: the same on every machine, library and device."""

import json
from dataclasses import replace

from xpnet.arrays.namespace import dtype_name
from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import sha256, sha256_of_array
from xpnet.formats.description import describe
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays

__all__ = ["network_digest", "preprocessing_facts"]


def network_digest(network: Network, /) -> str:
    """Return the SHA-256 of everything but the metadata that makes a network.

    These are names and arrays, the dtype, activations with options, preprocessing, output and
    classes. The library, the device, the memory order and the byte order do not matter.
    """
    facts = [dtype_name(network.dtype), describe(replace(network, metadata={}))]
    return sha256(["\n".join([*facts, *_array_facts(network)]).encode()])


def preprocessing_facts(network: Network, /) -> list[str]:
    """Return the steps before the first layer, equal for two networks if these are."""
    steps = json.dumps(json.loads(describe(network))["preprocessing"])
    return [steps, *(fact for fact in _array_facts(network) if fact.startswith("preprocessing"))]


def _array_facts(network: Network) -> list[str]:
    arrays = named_arrays(network)
    return [f"{name} {sha256_of_array(to_numpy(x))}" for name, x in arrays.items()]
