"""Parts: npz files of predictions, one for each file of images, with a manifest of its origin."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data
from xpnet.cli.streams import print_note
from xpnet.files.errors import DataError
from xpnet.files.record import sha256
from xpnet.files.writing import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.predicted import Piece

_HASHED_BYTES = 1 << 20


@dataclass(eq=False)
class PartFile:
    """The part `path` of the file `source`, which `data` names, and the predictions so far.

    `work` are facts about the model and the options: parts with other facts are refused.
    """

    path: Path
    data: Data
    source: Path
    work: Mapping[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)  # when the computation began
    pieces: "list[Piece]" = field(default_factory=list)
    found: "dict[int, dict[str, NDArray[Any]]]" = field(default_factory=dict)  # by piece
    fault: str = ""  # of the file of images
    manifest: Mapping[str, Any] | None = None  # of the written part
    is_new: bool = False

    def facts_now(self) -> dict[str, Any]:
        """Return the facts that identify the part: its work, and the input as it is now.

        An input is identified by its size, the time of its last change, and the SHA-256 of its
        first and last megabyte: reading it all would take as long as the predictions.
        """
        with self.source.open("rb") as file:
            status = os.fstat(file.fileno())
            ends = [file.read(_HASHED_BYTES)]
            file.seek(max(status.st_size - _HASHED_BYTES, 0))
            ends.append(file.read(_HASHED_BYTES))
        return {
            "size of the input": status.st_size,
            "last change of the input": status.st_mtime_ns,
            "SHA-256 of the input's ends": sha256(ends),
            **self.work,
        }

    def read_manifest(self) -> None:
        """Read the manifest if the part exists; raise UsageError if it is another part."""
        import numpy as np

        if not os.path.lexists(self.path):
            return
        manifest: dict[str, Any] = {}
        # Damage may raise any error. A part is not compressed; a pipe would wait for its writer.
        with suppress(Exception), np.load(self.path if self.path.is_file() else "") as stored:
            is_plain = not any(member.compress_type for member in stored.zip.infolist())
            arrays = dict(stored.items()) if is_plain else {}
            found = json.loads(str(arrays.pop("manifest")))
            if found.pop("sha256") == _sha256(found, arrays):
                manifest = found
        differing = [name for name, x in self.facts_now().items() if manifest.get(name) != x]
        if differing:
            what = ", ".join(differing) if manifest else "it is damaged, or not a part"
            msg = f"{self.path} is not of this run: {what}. Delete it, or give --force, which"
            msg += " replaces all parts"
            raise UsageError(msg)
        self.manifest = manifest

    def write(self, *, force: bool) -> None:
        """Write the predictions for all pieces, whole or not at all.

        If another run was faster, its part stays. A change of the input is noted as its fault.
        """
        import numpy as np

        with self.noting_faults():
            if self.facts_now() != self.facts:
                what = "the file was changed while it was read"
                raise DataError(what, file=self.data.path)
        if self.fault:
            return
        pieces = [self.found[i] for i in range(len(self.pieces))]
        arrays: Any = {name: np.concatenate([x[name] for x in pieces]) for name in pieces[0]}
        if "labels" in arrays and arrays["labels"].dtype.kind in "iu":
            arrays["labels"] = arrays["labels"].astype(np.int64)  # sent in a smaller dtype
        manifest = {**self.facts, "rows": n_rows(arrays), "nonfinite": len(arrays["nonfinite"])}
        record = {**manifest, "sha256": _sha256(manifest, arrays)}
        self.found.clear()
        try:
            with atomic_write(self.path, force=force) as file:
                np.savez(file, manifest=np.asarray(json.dumps(record)), **arrays)
            self.manifest, self.is_new = manifest, True
        except FileExistsError:
            self.read_manifest()

    @contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Print and keep an error of reading the input, which must not stop the others."""
        try:
            yield
        except DataError as error:
            self.fault = str(error)
        except OSError as error:
            self.fault = f"{self.data.path}: {error.strerror or error}"
        if self.fault:
            print_note(self.fault)


def n_rows(arrays: "Mapping[str, NDArray[Any]]") -> int:
    """Return the number of rows whose predictions the arrays hold."""
    return len(arrays["labels"] if "labels" in arrays else arrays["values"])


def _sha256(manifest: Mapping[str, Any], arrays: "Mapping[str, NDArray[Any]]") -> str:
    """Return the SHA-256 of a manifest and of arrays with their names, dtypes and shapes."""
    named = sorted(arrays.items())
    kinds = [(name, x.dtype.str, x.shape) for name, x in named]
    head = json.dumps([manifest, kinds], sort_keys=True).encode()
    return sha256(chain([head], (x.tobytes() for _, x in named)))
