"""Tell a file's format by its first bytes, never by its name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from xpnet.files.errors import WeightsError

__all__ = ["format_of", "recognised"]

_HEAD_BYTES = 16
_KNOWN = "safetensors, npz, ONNX, or a pickle of a dictionary of arrays"
# Of other kinds, and what to do.
_FOREIGN = {
    b"\x1f\x8b": "gzip: unpack it first",
    b"\x89HDF": "HDF5, as Keras has it: export the network to ONNX",
    b"\x93NUMPY": "one array: save all of them as npz",
    b"<!": "a web page: download the file itself",
    b"<h": "a web page: download the file itself",
    b"<?xml": "XML",
}
# A pickle of protocol 2 and up begins with 80; older ones with a dictionary, in several ways.
_PICKLES = (b"\x80", b"(dp", b"(d", b"}q", b"}(", b"}.", b"ccollections")
_MOST_VERSION = 64

_RULES: Mapping[str, Callable[[bytes], bool]] = {
    "safetensors": lambda head: head[8:9] == b"{",  # a length, then JSON
    "npz": lambda head: head[:2] == b"PK",
    "pickle": lambda head: head.startswith(_PICKLES),
    # The version of its format comes first.
    "ONNX": lambda head: len(head) > 1 and head[0] == 0x08 and head[1] < _MOST_VERSION,
}


def recognised(head: bytes) -> str | None:
    """Return what a file may be by its first bytes; None for no known format."""
    return next((name for name, rule in _RULES.items() if rule(head)), None)


def format_of(path: Path) -> str:
    """Return what a file is by its first bytes: "safetensors", "npz", "pickle" or "ONNX".

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If it is none of these.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        msg = "weights must be in a regular file, which can be read again"
        raise WeightsError(msg, file=path, hint="copy a pipe's contents to a file")
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    name = recognised(head)
    if name is not None:
        return name
    what = "not a file of weights that xpnet reads"
    hint = next((hint for magic, hint in _FOREIGN.items() if head.startswith(magic)), None)
    found = head or "an empty file"
    raise WeightsError(what, file=path, found=found, expected=_KNOWN, hint=hint)
