"""Files of Keras 3: ``.keras`` archives, and HDF5 files of weights alone, read by h5py."""

import io
import json
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import WeightsError, quoted
from xpnet.files.npz import open_npz_members
from xpnet.files.optional import import_optional
from xpnet.files.taking import take
from xpnet.formats.chain import network_of_chain
from xpnet.formats.description import unique_entries
from xpnet.formats.keras.layers import Layer, chain_of_layers, layers_of
from xpnet.formats.model_file import LoadOptions, ModelFile, NamedArrays, check_size

__all__ = ["read", "read_headers"]

_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
# Room for a mean and a scale of each input, which Keras writes into the configuration.
_MAX_JSON_BYTES = 1 << 22
# Keras does not compress weights, and other programs hardly can: more is a bomb.
_MAX_RATIO = 10
# Of groups in HDF5: Keras nests models; hard links may form cycles.
_MAX_DEPTH, _MAX_OBJECTS = 24, 10_000
_FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)


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
            return None, _read_arrays(take(stream, options.byte_limit), path)
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
    return layers, _read_arrays(content, path)


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


def _read_arrays(content: bytes | bytearray, path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of an HDF5 file by their paths in it; raise WeightsError if it is damaged.

    Only hard links to datasets of the file itself are followed, and the bytes that they declare
    must be in the file: no filter, no chunks, no virtual or external storage. Attributes are not
    read: HDF5 2.0 may loop forever over their strings.
    """
    h5py = import_optional("h5py", "files of Keras need the package h5py")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = dict(_datasets(h5py, file))
            n_bytes = sum(math.prod(x.shape) * x.dtype.itemsize for x in found.values())
            _check("the size of the arrays", is_valid=n_bytes <= len(content))
            return {name: np.asarray(dataset[()]) for name, dataset in sorted(found.items())}
    except (ValueError, *_FAULTS) as error:
        msg = "damaged, or no HDF5 file of Keras"
        raise WeightsError(msg, file=path, found=error, hint="save or copy it again") from error


def _datasets(h5py: Any, file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of a file with their paths."""
    layouts = (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    entries = [("", file)]
    for path, entry in entries:  # grows
        is_small = len(entries) <= _MAX_OBJECTS and path.count("/") <= _MAX_DEPTH
        _check("too many groups, or nested too deeply", is_valid=is_small)
        if isinstance(entry, h5py.Dataset):
            creation = entry.id.get_create_plist()
            is_plain = creation.get_layout() in layouts and creation.get_external_count() == 0
            is_plain = is_plain and entry.dtype.kind in "fiu"
            _check(f"storage of {quoted(path[1:])}", is_valid=is_plain)
            yield path[1:], entry
            continue
        for name in entry:
            is_hard = isinstance(entry.get(name, getlink=True), h5py.HardLink)
            _check("a link", is_valid=is_hard)
            entries.append((f"{path}/{name}", entry[name]))


def _check(what: str, *, is_valid: bool) -> None:
    if not is_valid:
        msg = f"not as Keras writes it: {what}"
        raise ValueError(msg)
