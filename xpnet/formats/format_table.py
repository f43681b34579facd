"""Table of the formats of model files, and detection of a format by content.

To add a format, write its module and add an entry to `WEIGHT_FORMATS`. The module has the functions

- ``read(path, options)``, which returns `NamedArrays`, or a `ModelFile` if the format stores more
  than arrays by name (`xpnet.formats.model_file`);
- ``read_headers(path, options)``, which returns a dictionary with at least "arrays", a list of
  [name, dtype, shape], and "metadata", strings by name;
- ``serialize(network)``, which returns the bytes of a file, if `save` is to write the format.

All of them raise `WeightsError` for a damaged file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from xpnet.files.errors import WeightsError

__all__ = ["WEIGHT_FORMATS", "WeightFormat", "detect_weight_format", "match_format"]


@dataclass(frozen=True)
class WeightFormat:
    """A format of model files; `suffix` is None if xpnet only reads it."""

    name: str  # in reports and error messages, and in lower case of the module
    matches: Callable[[bytes], bool]  # given the first 128 bytes of a file
    suffix: str | None = None  # for which `save` writes the format

    @property
    def module(self) -> Any:
        """Module that reads and writes the format, imported on first use."""
        return import_module(f"xpnet.formats.{self.name.lower()}")


# Protocol 2 and later begin with the byte 80; earlier ones with one of several dictionaries.
_PICKLE_STARTS = (b"\x80", b"(dp", b"(d", b"}q", b"}(", b"}.", b"ccollections")
# The first field is the version of the format.
_ONNX_STARTS = tuple(bytes([8, version]) for version in range(64))

# The number with which torch's older files begin, as a pickle.
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def _first_member(head: bytes) -> bytes:
    """Return the name of the first member of a zip archive, b"" for other files."""
    n_name = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + n_name] if head[:2] == b"PK" else b""


def _is_torch(head: bytes) -> bool:
    # TorchScript begins with a tensor.
    is_archive = _first_member(head).endswith((b"/data.pkl", b"/data/0"))
    return is_archive or _TORCH_MAGIC in head[:20]


def _is_keras(head: bytes) -> bool:
    is_archive = _first_member(head) in {b"metadata.json", b"config.json", b"model.weights.h5"}
    return is_archive or head[:8] == b"\x89HDF\r\n\x1a\n"


WEIGHT_FORMATS = (
    WeightFormat("safetensors", lambda head: head[8:9] == b"{", ".safetensors"),  # JSON after size
    WeightFormat("torch", _is_torch),
    WeightFormat("Keras", _is_keras),
    WeightFormat("npz", lambda head: head[:2] == b"PK", ".npz"),
    WeightFormat("ONNX", lambda head: head.startswith(_ONNX_STARTS), ".onnx"),
    WeightFormat("pickle", lambda head: head.startswith(_PICKLE_STARTS)),
)
_HEAD_BYTES = 128
_GIVE = "give images as DATA, as in xpnet show DATA"
# Common files of other kinds, and their remedies.
_OTHERS = {
    b"\x1f\x8b": "gzip; unpack it first",
    b"\x93NUMPY": f"a single array; save weights as npz; {_GIVE}",
    b"<!": "a web page; download the file itself",
    b"<h": "a web page; download the file itself",
    b"\x89PNG": f"a PNG picture; {_GIVE}",
    b"\xff\xd8\xff": f"a JPEG picture; {_GIVE}",
    b"\0\0\x08": f"IDX; {_GIVE}",
}
_TEXT = bytes(range(32, 127)) + b"\t\r\n"


def match_format(head: bytes) -> WeightFormat | None:
    """Return the format that matches the first bytes of a file; None for an unknown format."""
    return next((known for known in WEIGHT_FORMATS if known.matches(head)), None)


def detect_weight_format(path: Path) -> WeightFormat:
    """Return the format of a file; raise WeightsError if it is unknown, or no regular file."""
    if path.exists() and not path.is_file() and not path.is_dir():
        msg = "weights must be in a regular file, which can be read more than once"
        raise WeightsError(msg, file=path, hint="copy a pipe's contents to a file")
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    found = match_format(head)
    if found is not None:
        return found
    msg = "not a file of weights that xpnet reads"
    other = next((kind for start, kind in _OTHERS.items() if head.startswith(start)), None)
    if other is None and len(head) >= 16 and not head.strip(_TEXT):
        other = f"text; {_GIVE}"
    if other is not None:
        msg = f"{msg}: it is {other}"
        raise WeightsError(msg, file=path)
    expected = f"{', '.join(known.name for known in WEIGHT_FORMATS)} of arrays by name"
    raise WeightsError(msg, file=path, found=head[:16] or "an empty file", expected=expected)
