"""Files of Keras 3: ``.keras`` archives, and HDF5 files of weights alone."""

import json
import re
from contextlib import ExitStack
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.npz import open_npz_members
from xpnet.files.opening import take
from xpnet.formats.chain import network_of_chain
from xpnet.formats.description import unique_entries
from xpnet.formats.keras.hdf5 import read_arrays
from xpnet.formats.keras.layers import Layer, chain_of_layers, layers_of
from xpnet.formats.model_file import LoadOptions, ModelFile, NamedArrays, check_size

__all__ = ["read", "read_headers"]

_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
# Room for a mean and a scale of each input, which Keras writes into the configuration.
_MAX_JSON_BYTES = 1 << 22
# Keras does not compress weights, and other programs hardly can: more is a bomb.
_MAX_RATIO = 10


def read(path: Path, options: LoadOptions) -> NamedArrays | ModelFile:
    """Read the layers and arrays of a model; or arrays alone, as ``layers/dense_0/kernel``."""
    layers, arrays = _read_parts(path, options)
    if layers is None:
        return NamedArrays(_with_kinds(arrays, path), layout="in_out")
    options.check_omitted()

    def arrays_of(layer: Layer) -> list[NDArray[Any]]:
        prefix = "".join(f"layers/{key}/" for key in layer.keys) + "vars/"
        names = (f"{prefix}{i}" for i in count())
        return [arrays[name] for name in takewhile(arrays.__contains__, names)]

    chain = chain_of_layers(layers, arrays_of)
    network = network_of_chain(chain, allow_nonfinite=options.allow_nonfinite)
    return ModelFile(network, "Keras", is_own=False)


def read_headers(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return name, dtype and shape of all arrays, and the classes of the layers."""
    layers, found = _read_parts(path, options)
    arrays = [[name, str(x.dtype), list(x.shape)] for name, x in found.items()]
    classes = {} if layers is None else {"layers": [x.kind for x in layers]}
    return {**classes, "arrays": arrays, "metadata": {}}


def _read_parts(
    path: Path, options: LoadOptions
) -> tuple[list[Layer] | None, dict[str, NDArray[Any]]]:
    """Return the layers of an archive, None for weights alone, and the arrays by their paths."""
    check_size(path, "files of Keras", path.stat().st_size, options.byte_limit)
    with path.open("rb") as stream, ExitStack() as stack:
        if stream.read(2) != b"PK":
            stream.seek(0)
            return None, read_arrays(take(stream, options.byte_limit), path)
        found = open_npz_members(path, str(path), stack, error=WeightsError, kind="Keras")
        if missing := set(_MEMBERS) - set(found):
            msg = "an archive without a model of Keras"
            raise WeightsError(msg, file=path, expected=f"the member {min(missing)}")
        config, metadata = (found[x].read_all(_MAX_JSON_BYTES) for x in _MEMBERS[:-1])
        weights = found[_MEMBERS[-1]]
        check_size(path, "weights", weights.size, options.unpacked_limit(path, _MAX_RATIO))
        content = weights.read_all(weights.size)
    version = json.loads(metadata)["keras_version"]
    if not str(version).startswith("3."):
        raise _older(path, quoted(str(version)))
    layers = list(layers_of(json.loads(config, object_pairs_hook=unique_entries)))
    return layers, read_arrays(content, path)


def _older(path: Path, found: str) -> WeightsError:
    hint = "load it in Keras 3 and save it as .keras"
    return WeightsError("model of Keras", file=path, found=found, expected="Keras 3", hint=hint)


def _with_kinds(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays by names that tell the order of the layers, such as dense_1/kernel."""
    named = {}
    for name, array in arrays.items():
        if name.startswith("model_weights/"):
            raise _older(path, "a whole model in HDF5, the older format")
        found = re.fullmatch(r"(.*?)(_\d+)?/vars/([01])", name)
        kind = "bias" if name.endswith("1") else "kernel"
        if not name.startswith("optimizer/"):
            named[f"{found[1]}{found[2] or '_0'}/{kind}" if found else name] = array
    return named
