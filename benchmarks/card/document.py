"""What was found, on disk after each section; and what was left out, with the reason."""

import json
from pathlib import Path
from typing import Any

from xpnet.files.writing import atomic_write

__all__ = ["Document"]


class Document:
    """The result, which grows section by section.

    Parameters
    ----------
    path : Path or None
        The file; None where nothing is to be written.
    content : dict
        What is known at the start.

    Attributes
    ----------
    content : dict
    """

    def __init__(self, path: Path | None, content: dict[str, Any]) -> None:
        self._path = path
        found: dict[str, Any] = {"checks": {"passed": None, "each": []}, "ceilings": {}}
        found |= {"cold_start": {}, "end_to_end": [], "resident": [], "bar": [], "skipped": []}
        self.content = {**content, **found}

    def skip(self, what: str, why: str) -> None:
        """Note, once, that something was left out or made smaller."""
        entry = {"what": what, "why": why}
        if entry not in self.content["skipped"]:
            self.content["skipped"].append(entry)
            print(f"  left out: {what}: {why}", flush=True)

    def write(self) -> None:
        """Write all that is known, whole or not at all."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path, force=True) as stream:
            stream.write(json.dumps(self.content, indent=1).encode() + b"\n")
