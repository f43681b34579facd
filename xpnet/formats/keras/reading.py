"""Files of Keras: ``.keras`` archives, and HDF5 of whole models or of weights alone."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from xpnet.files.errors import WeightsError
from xpnet.files.npz import open_npz_members
from xpnet.files.opening import take
from xpnet.formats.chain import network_of_chain
from xpnet.formats.description import unique_entries
from xpnet.formats.keras.hdf5 import open_hdf5
from xpnet.formats.keras.layers import Layer, chain_of_layers, layers_of
from xpnet.formats.model_file import LoadOptions, ModelFile, NamedArrays, check_size

__all__ = ["read", "read_headers"]

# The order of a layer's arrays, which have names in the older format.
_KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "mean", "variance")


def read(path: Path, options: LoadOptions) -> NamedArrays | ModelFile:
    """Read the layers and arrays of a model; or arrays alone, as ``layers/dense_0/kernel``."""
    members = _members(path, options)
    config: Any = members.get("config.json")
    is_older = config is None
    with open_hdf5(members["model.weights.h5"], path) as file:
        if is_older:
            config, version = file.attribute("model_config"), file.attribute("keras_version")
        else:
            version = json.loads(members["metadata.json"])["keras_version"]
        arrays = file.arrays("model_weights/" if is_older and config else "")
    if config is None:
        return _weights_alone(arrays)
    options.check_omitted()
    layers = list(layers_of(json.loads(config, object_pairs_hook=unique_entries)))
    arrays_of = partial(_by_name if is_older else _by_key, arrays)
    network = network_of_chain(
        chain_of_layers(layers, arrays_of, version=str(version)),
        allow_nonfinite=options.allow_nonfinite,
    )
    return ModelFile(network, "Keras", is_own=False)


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all arrays, and the classes of the layers."""
    members = _members(path, options)
    with open_hdf5(members["model.weights.h5"], path) as file:
        config = members.get("config.json") or file.attribute("model_config")
        layers = [] if config is None else [x.kind for x in layers_of(json.loads(config))]
        arrays = [[name, str(x.dtype), list(x.shape)] for name, x in file.datasets.items()]
    return {**({"layers": layers} if layers else {}), "arrays": arrays, "metadata": {}}


def _members(path: Path, options: LoadOptions) -> Mapping[str, bytes | bytearray]:
    """Return the members of an archive by name, or the one member that an HDF5 file is."""
    limit = options.byte_limit
    check_size(path, "files of Keras", path.stat().st_size, limit)
    with ExitStack() as stack:
        stream = stack.enter_context(path.open("rb"))
        content = take(stream, limit)
        if content[:2] != b"PK":
            return {"model.weights.h5": content}
        found = open_npz_members(
            path, str(path), stack, error=WeightsError, kind="Keras", suffix=""
        )
        check_size(path, "members of the file", sum(x.size for x in found.values()), limit)
        members = {name: member.rest(member.size) for name, member in found.items()}
    missing = {"config.json", "metadata.json", "model.weights.h5"} - set(members)
    if missing:
        msg = "an archive without a model of Keras"
        raise WeightsError(msg, file=path, expected=f"the member {min(missing)}")
    return members


def _by_key(arrays: dict[str, NDArray[Any]], layer: Layer) -> list[NDArray[Any]]:
    """Return the arrays of a layer from the paths of Keras 3: layers/dense_1/vars/0."""
    # Before Keras 3.0, layers/ had another name.
    arrays = {x.replace("_layer_checkpoint_dependencies/", "layers/"): arrays[x] for x in arrays}
    prefix = "".join(f"layers/{key}/" for key in layer.keys) + "vars/"
    return [arrays[f"{prefix}{i}"] for i in range(sum(x.startswith(prefix) for x in arrays))]


def _by_name(arrays: dict[str, NDArray[Any]], layer: Layer) -> list[NDArray[Any]]:
    """Return the arrays of a layer from the paths of Keras 2: dense_1/dense_1/kernel:0."""
    found = {}
    for name, array in arrays.items():
        *folders, kind = name.removesuffix(":0").split("/")
        if folders[:1] == [layer.names[0]] and folders[-1] == layer.names[-1] and kind in _KINDS:
            found[kind] = array
    return [found[kind] for kind in _KINDS if kind in found]


def _weights_alone(arrays: dict[str, NDArray[Any]]) -> NamedArrays:
    """Return the arrays by names that tell the order of the layers, such as dense_1/kernel."""
    named = {}
    for name, array in arrays.items():
        found = re.fullmatch(r"(.*?)(_\d+)?/vars/([01])", name)
        kinds = {"0": "kernel", "1": "bias"}
        own = f"{found[1]}{found[2] or '_0'}/{kinds[found[3]]}" if found else name
        if not name.startswith("optimizer/"):
            named[own] = array
    return NamedArrays(named, layout="in_out")
