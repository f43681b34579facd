"""A training on disk, from which it goes on as if it had never been interrupted."""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import WeightsError
from xpnet.files.writing import atomic_write
from xpnet.formats.description import describe
from xpnet.formats.safetensors import read_arrays
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import arrays_of
from xpnet.training.examples import Examples
from xpnet.training.run import Epoch

__all__ = ["Checkpoint", "CheckpointFile", "fingerprint"]

_KEY = "xpnet-checkpoint"
_VERSION = 1
# So often at most: to write a file takes longer than an epoch of a small network.
_SECONDS_BETWEEN = 1.0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a training is at the end of an epoch.

    Attributes
    ----------
    arrays : mapping of str to array
        ``parameters``, ``best`` (those of the best epoch), and the optimizer's vectors.
    n_steps : int
        That the optimizer took.
    history : list of Epoch
    best : int
        The number of the best epoch.
    """

    arrays: Mapping[str, Any]
    n_steps: int
    history: list[Epoch]
    best: int


class CheckpointFile:
    """The file of a training's checkpoints, each of which takes the place of the one before.

    Parameters
    ----------
    path : str or os.PathLike
    training : str
        The `fingerprint` of the training.
    """

    def __init__(self, path: str | os.PathLike[str], training: str) -> None:
        self._path, self._training = Path(path), training
        self._written = -_SECONDS_BETWEEN

    def write(self, checkpoint: Checkpoint, *, always: bool = False) -> None:
        """Write a checkpoint, unless the last one is younger than a second.

        It is whole or not there at all: whenever the process is killed, the file holds a
        checkpoint.

        Raises
        ------
        OSError
            If it cannot be written. The one before stays.
        """
        if not always and perf_counter() - self._written < _SECONDS_BETWEEN:
            return
        from safetensors.numpy import save

        facts = {
            "version": _VERSION,
            "training": self._training,
            "n_steps": checkpoint.n_steps,
            "best": checkpoint.best,
            "history": [asdict(epoch) for epoch in checkpoint.history],
        }
        arrays = {name: np.asarray(to_numpy(x)) for name, x in checkpoint.arrays.items()}
        facts["crc32"] = _checksum(arrays)
        with atomic_write(self._path, force=True) as stream:
            stream.write(save(arrays, {_KEY: json.dumps(facts)}))
        self._written = perf_counter()

    def read(self) -> Checkpoint | None:
        """Return the checkpoint that was written last, or None if there is no file.

        Raises
        ------
        WeightsError
            If the file is no checkpoint, or one of another training.
        """
        if not self._path.exists():
            return None
        arrays, metadata = read_arrays(self._path)
        try:
            facts = json.loads(metadata[_KEY])
            history = [Epoch(**epoch) for epoch in facts["history"]]
            n_steps, best = int(facts["n_steps"]), int(facts["best"])
            is_known = facts["version"] == _VERSION and {"parameters", "best"} <= set(arrays)
            is_known = is_known and 1 <= best <= len(history)
            is_whole = facts["crc32"] == _checksum(arrays)
        except (LookupError, TypeError, ValueError) as error:
            what = "not a checkpoint of a training"
            raise WeightsError(what, file=self._path) from error
        if not is_whole:
            what, hint = "a damaged checkpoint", "remove it to begin anew"
            raise WeightsError(what, file=self._path, hint=hint)
        if not is_known or facts["training"] != self._training:
            what = "a checkpoint of another training: the data, an option or the start differs"
            raise WeightsError(what, file=self._path, hint="remove it to begin anew")
        return Checkpoint(arrays, n_steps, history, best)


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> int:
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).data, checksum)
    return checksum


def fingerprint(network: Network, examples: Iterable[Examples], options: Mapping[str, Any]) -> str:
    """Return what tells one training from another: a SHA-256 of all that it depends on."""
    digest = hashlib.sha256()
    digest.update(f"{describe(network)} {network.dtype} {network.library}".encode())
    steps = [x for step in network.preprocessing for x in arrays_of(step).values()]
    parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
    for x in (*parameters, *steps, *chain.from_iterable(examples)):
        host = np.ascontiguousarray(to_numpy(x))
        digest.update(f"{host.dtype.str} {host.shape}".encode())
        digest.update(host.data)
    digest.update(repr(sorted((name, _text(x)) for name, x in options.items())).encode())
    return digest.hexdigest()


def _text(option: Any) -> str:
    """Return an option as text that is the same in another process."""
    text = repr(option)
    if f"at {id(option):#x}" in text:  # Python's own: it tells where the object lies in memory
        text = f"{type(option).__qualname__} {sorted(vars(option).items())}"
    return text
