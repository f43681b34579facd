"""Checkpoints of training runs: a resumed run reaches the same bits."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from sys import maxsize
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import WeightsError
from xpnet.files.hashes import sha256, sha256_of_array
from xpnet.files.record import RecordFormat
from xpnet.files.reserving import exclusive
from xpnet.files.writing import check_target
from xpnet.formats.description import describe
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.training.run import Epoch

__all__ = ["CHECKPOINT_FORMAT", "Checkpoint", "CheckpointFile", "Resume", "fingerprint", "locked"]

CHECKPOINT_FORMAT = RecordFormat(
    "training checkpoint", "remove it to start over", error=WeightsError
)
_FOREIGN = "not a training checkpoint"
_OTHER = "a checkpoint of another training run: data, options or initial network differ"
# Minimum interval between writes: writing a file takes longer than an epoch of a small network.
_SECONDS_BETWEEN = 1.0

Resume: TypeAlias = Literal[False, True, "finished"]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a training run at the end of an epoch.

    The arrays are ``parameters``, ``best`` (the parameters of the best epoch), and the optimizer's
    vectors, ``state.0`` and so on. ``n_steps`` counts its steps; ``best`` is the number of the
    best epoch.
    """

    arrays: Mapping[str, Any]
    n_steps: int
    history: tuple[Epoch, ...]
    best: int

    def is_final(self, epochs: int, patience: int | None) -> bool:
        """Return whether all epochs are done or patience is exhausted."""
        n_done = len(self.history)
        return n_done >= epochs or (patience is not None and n_done - self.best >= patience)


@contextmanager
def locked(path: str | os.PathLike[str] | None, *, resume: Resume) -> Iterator[None]:
    """Lock the checkpoint file, unless `path` is None, against other training runs.

    Raise FileExistsError if the file exists and `resume` is false, and other OSErrors as
    `check_target` and `exclusive` do.
    """
    if path is None:
        yield
        return
    check_target(path, force=True)
    with exclusive(path):
        check_target(path, force=bool(resume))
        yield


class CheckpointFile:
    """File that holds the latest checkpoint of the training run with a `fingerprint`."""

    def __init__(self, path: str | os.PathLike[str], training: str) -> None:
        self._path, self._training = Path(path), training
        self._written = -_SECONDS_BETWEEN
        self._n_epochs = 0  # in the file

    def write(self, checkpoint: Checkpoint, *, always: bool = False) -> None:
        """Replace the file, unless it holds this epoch or, without `always`, is too recent.

        The file is replaced atomically: it holds a complete checkpoint even if the process is
        killed. Raise OSError if it cannot be written; the previous checkpoint is kept.
        """
        is_early = not always and perf_counter() - self._written < _SECONDS_BETWEEN
        if is_early or len(checkpoint.history) == self._n_epochs:
            return
        facts = {
            "training": self._training,
            "n_steps": checkpoint.n_steps,
            "best": checkpoint.best,
            "history": [asdict(epoch) for epoch in checkpoint.history],
        }
        arrays = {name: np.asarray(to_numpy(x)) for name, x in checkpoint.arrays.items()}
        # Not packed: parameters hardly shrink, and packing takes longer than an epoch.
        CHECKPOINT_FORMAT.write(self._path, facts, arrays, force=True, is_packed=False)
        self._written, self._n_epochs = perf_counter(), len(checkpoint.history)

    def read(self) -> Checkpoint | None:
        """Return the checkpoint, or None if the file does not exist.

        Raise WeightsError if the file is damaged, not a checkpoint, or one of another training run
        or version.
        """
        if not os.path.lexists(self._path):
            return None
        if not self._path.is_file():  # a broken link, or a pipe, which would wait for its writer
            raise self._error(_FOREIGN)
        facts, arrays = CHECKPOINT_FORMAT.read(self._path)
        try:
            history = tuple(Epoch(**epoch) for epoch in facts["history"])
            training, n_steps, best = facts["training"], facts["n_steps"], facts["best"]
            is_valid = 1 <= best <= len(history)
        except (LookupError, TypeError) as error:
            raise self._error(_FOREIGN) from error
        if not is_valid:
            raise self._error(_FOREIGN)
        if training != self._training:
            raise self._error(_OTHER)
        self._n_epochs = len(history)
        return Checkpoint(arrays, n_steps, history, best)

    def read_final(self, epochs: int, patience: int | None) -> Checkpoint | None:
        """Return the checkpoint if it is the end of this training run; else remove the file."""
        with suppress(WeightsError):
            found = self.read()
            if found is None or found.is_final(epochs, patience):
                return found
        self._path.unlink()
        self._n_epochs = 0
        return None

    def _error(self, what: str) -> WeightsError:
        return WeightsError(what, file=self._path, hint=CHECKPOINT_FORMAT.remedy)


def fingerprint(
    network: Network, examples: Iterable[Iterable[Any]], options: Mapping[str, Any]
) -> str:
    """Return the SHA-256 of everything that a training run depends on."""
    arrays = chain(named_arrays(network).values(), *examples)
    parts = [
        f"{describe(network)} {network.dtype} {network.library}",
        *(sha256_of_array(np.asarray(to_numpy(x))) for x in arrays),
        repr(sorted((name, _as_string(x)) for name, x in options.items())),
    ]
    return sha256(part.encode() for part in parts)


def _as_string(option: Any) -> str:
    """Return an option as a string, with all numbers of NumPy arrays.

    If the repr of a nested object holds a memory address, the string differs in each process.
    """
    with np.printoptions(threshold=maxsize, floatmode="unique"):
        if f"at {id(option):#x}" in repr(option):  # Python's default, with the memory address
            return f"{type(option).__qualname__} {sorted(vars(option).items())}"
        return repr(option)
