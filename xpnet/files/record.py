"""Records: facts and arrays in an npz file, written whole and checked when read.

A record is a plain npz file, which ``numpy.load`` reads too. Its members are:

``record``
    JSON as bytes: ``format``, ``version``, ``facts``, and ``arrays``, the SHA-256 of each array.
``sha256``
    The SHA-256 of that JSON, as hexadecimal digits. It thus covers all members.
any other
    An array.

The digests protect against damage and mistakes. They are no signature: a deliberate change can
include new digests.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike, fspath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError, FileError, quoted
from xpnet.files.hashes import sha256, sha256_of_array
from xpnet.files.npy import read_npy_header
from xpnet.files.npz import NpzMember, npz_bytes, open_npz_members

__all__ = ["FIRST_BYTES", "Record", "RecordFormat"]

_RECORD, _DIGEST = "record", "sha256"
_MAX_JSON_BYTES = 1 << 23
_NPY_HEADER_BYTES = 1 << 10
FIRST_BYTES = b"PK\x03\x04"  # of a record


@dataclass(frozen=True)
class RecordFormat:
    """A kind of record, such as "certificate", with its version and its words in messages."""

    name: str
    version: int
    kind: str
    writer: str  # such as "xpnet parity --record"
    remedy: str
    error: type[FileError] = DataError

    def to_bytes(
        self, facts: Any, arrays: Mapping[str, NDArray[Any]], *, is_packed: bool = True
    ) -> memoryview:
        """Return the bytes of a file, compressed if `is_packed`; equal records give equal bytes.

        `facts` are what JSON can hold. Raise ValueError if they are too long to be read.
        """
        digests = {name: sha256_of_array(x) for name, x in arrays.items()}
        head = {"format": self.name, "version": self.version, "facts": facts, "arrays": digests}
        text = json.dumps(head, indent=1).encode()
        if len(text) > _MAX_JSON_BYTES:
            rule = f"must take at most {_MAX_JSON_BYTES:,} bytes as JSON"
            msg = f"the facts of a {self.kind} {rule}; got {len(text):,}"
            raise ValueError(msg)
        texts = {_RECORD: text, _DIGEST: sha256([text]).encode()}
        members = {name: np.frombuffer(x, np.uint8) for name, x in texts.items()}
        return npz_bytes({**members, **arrays}, is_packed=is_packed)

    def open(self, stream: IO[bytes], file: str | PathLike[str], closing: ExitStack) -> "Record":
        """Return a record whose facts are checked, from a seekable stream; `closing` closes it.

        Raise `error`, with the name of the `file`, if it is not a record of this format and
        version, or is damaged.
        """
        first, name = stream.read(len(FIRST_BYTES)), fspath(file)
        if first != FIRST_BYTES:
            found = f"first bytes {first.hex(' ')}" if first else "0 bytes"
            raise self._foreign(name, found)
        stream.seek(0)
        members = open_npz_members(stream, name, closing, error=self.error)
        if not {_RECORD, _DIGEST} <= members.keys():
            raise self._foreign(name, f"members {', '.join(members)}")
        texts = [members.pop(x) for x in (_RECORD, _DIGEST)]
        text, digest = (_array_of(x, _MAX_JSON_BYTES, self.error).tobytes() for x in texts)
        try:
            head = json.loads(text)
            form, version = head["format"], head["version"]
            facts, digests = head["facts"], dict(head["arrays"])
        except (ValueError, LookupError, TypeError, RecursionError) as fault:
            raise self._foreign(name, str(fault) or type(fault).__name__) from None
        if form != self.name:
            raise self._foreign(name, repr(form))
        if type(version) is not int or version != self.version:
            is_newer = type(version) is int and version > self.version
            hint = "use a newer xpnet" if is_newer else self.remedy
            what, expected = f"{self.kind} of another version", str(self.version)
            raise self.error(what, file=name, found=repr(version), expected=expected, hint=hint)
        record = Record(facts, digests, members, name, self)
        record.check_digest("the record", digest.decode(errors="replace"), sha256([text]))
        return record

    def _foreign(self, file: str, found: str) -> FileError:
        what = f"not a {self.kind} of version {self.version}"
        expected = f"a file that {self.writer} wrote"
        return self.error(what, file=file, found=found, expected=expected, hint=self.remedy)


@dataclass(frozen=True)
class Record:
    """Facts of an open record, and its arrays, which are not yet read."""

    facts: Any
    digests: Mapping[str, Any]
    members: Mapping[str, NpzMember]
    file: str
    format: RecordFormat

    def arrays(self, limit: int) -> dict[str, NDArray[Any]]:
        """Return all arrays, of at most `limit` bytes together, as new arrays by name.

        Raise the format's error if one is damaged, missing, additional or too large.
        """
        self.check_names("arrays", self.digests, self.members)
        arrays = {}
        for name, member in self.members.items():
            x = arrays[name] = _array_of(member, limit, self.format.error)
            limit -= x.nbytes
            self.check_digest(f"array {quoted(name)}", self.digests[name], sha256_of_array(x))
        return arrays

    def check_digest(self, what: str, recorded: Any, present: str) -> None:
        """Raise the format's error if something has another SHA-256 than was recorded."""
        if recorded != present:
            found, expected = (f"SHA-256 {str(x)[:12]}" for x in (present, recorded))
            what, hint = f"damaged: {what} was changed after it was written", self.format.remedy
            raise self.format.error(what, file=self.file, found=found, expected=expected, hint=hint)

    def check_names(self, what: str, expected: Iterable[str], names: Iterable[str]) -> None:
        """Raise the format's error if names are missing or additional."""
        missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
        parts = [f"without {', '.join(missing)}"] * bool(missing)
        parts += [f"with additional {', '.join(extra)}"] * bool(extra)
        if parts:
            what = f"{what} of the {self.format.kind}"
            raise self.format.error(what, file=self.file, found=" and ".join(parts))


def _array_of(member: NpzMember, limit: int, error: type[FileError]) -> NDArray[Any]:
    """Return an array of at most `limit` bytes, in native byte order."""
    if member.size > limit + _NPY_HEADER_BYTES:
        what = f"array {quoted(member.info.orig_filename)} is too large"
        found, expected = f"{member.size:,} bytes", f"at most {limit:,}"
        raise error(what, file=member.file, found=found, expected=expected)
    header = read_npy_header(member, member.file, error=error)
    content = member.rest(header.total)
    array = np.frombuffer(content, header.dtype)
    array = array.reshape(header.shape, order="F" if header.is_fortran else "C")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
