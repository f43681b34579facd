"""Parts: npz files of predictions, one for each input, each with a manifest of its origin."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """The file `path` with the predictions for the file `source`.

    `work` are facts about the model and the options; parts with other facts are refused.
    """

    path: Path
    source: Path
    work: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """Return the facts that identify the part: its work, and the input as it is now.

        An input is identified by its size, the time of its last change, and the SHA-256 of its
        first and last megabyte: reading it all would take as long as the predictions.
        """
        with self.source.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_HASHED_BYTES))
            file.seek(max(status.st_size - _HASHED_BYTES, 0))
            digest.update(file.read(_HASHED_BYTES))
        return {
            "size of the input": status.st_size,
            "last change of the input": status.st_mtime_ns,
            "SHA-256 of the input's ends": digest.hexdigest(),
            **self.work,
        }

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of the file, or None if it does not exist.

        Raise UsageError if it is not this part.
        """
        if not self.path.exists():
            return None
        found = _read_manifest(self.path)
        differing = [name for name, fact in self.facts().items() if found.get(name) != fact]
        if differing:
            what = ", ".join(differing) if found else "it is not a part"
            msg = f"{self.path} is not of this run: {what}; --force replaces it"
            raise UsageError(msg)
        return found

    def write(
        self, arrays: "Mapping[str, NDArray[Any]]", manifest: Mapping[str, Any], *, force: bool
    ) -> None:
        """Write the file, whole or not at all. If another run was faster, its file stays."""
        import numpy as np

        from xpnet.files.writing import atomic_write

        stored: Any = {**arrays, "manifest": np.asarray(json.dumps(manifest))}
        try:
            with atomic_write(self.path, force=force) as file:
                np.savez(file, **stored)
        except FileExistsError:
            self.manifest()


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a file, {} if it has none."""
    from contextlib import ExitStack

    from xpnet.files.errors import DataError
    from xpnet.files.npy import read_npy_header
    from xpnet.files.npz import open_npz_members

    with ExitStack() as closing:
        try:
            member = open_npz_members(path, str(path), closing)["manifest"]
            header = read_npy_header(member, str(path))
            text = member.rest(header.total).decode("utf-32-le")
            return dict(json.loads(text))
        except (DataError, LookupError, ValueError, TypeError):
            return {}
