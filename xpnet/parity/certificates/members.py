"""The members of a certificate, whose reader trusts nothing in it.

No member is read that is larger than expected, and nothing is ever evaluated or unpickled.
"""

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import DataError, quoted
from xpnet.files.opening import take

__all__ = ["MOST_BYTES", "Members", "read_members"]

# Below the size at which zip files need another form.
MOST_BYTES = 1 << 30

_FIRST_BYTES, _LAST_RECORD, _LAST_BYTES = b"PK\x03\x04", b"PK\x05\x06", 22
_ENCRYPTED = 1
_NPY = b"\x93NUMPY\x01\x00"
_TEXT = re.compile(r"\{'descr':'<U(\d{1,9})','fortran_order':False,'shape':\(\),\}")
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    RuntimeError,  # NotImplementedError is one, for rare kinds of zip files
    ValueError,
    OverflowError,
)
_AGAIN = "copy it again"
_EXPECTED = "an npz file that xpnet parity --record wrote"


def read_members(path: str | PathLike[str]) -> "Members":
    """Read an npz file's directory; its members are decompressed when they are asked for.

    Raises
    ------
    OSError
        If the file cannot be read.
    DataError
        If it is not a zip file of npy files, is damaged, or is larger than such a file can be.
    """
    file = fspath(path)
    with Path(path).open("rb") as stream:
        content = take(stream, len(_FIRST_BYTES))
        if content != _FIRST_BYTES:
            found = f"first bytes {content.hex(' ')}" if content else "0 bytes"
            msg = "not a certificate"
            raise DataError(msg, file=file, found=found, expected=_EXPECTED)
        content += take(stream, 2 * MOST_BYTES)
    if len(content) > 2 * MOST_BYTES:
        limit = f"at most {2 * MOST_BYTES} bytes"
        msg = "too large for a certificate"
        raise DataError(msg, file=file, expected=limit)
    if not content[-_LAST_BYTES:].startswith(_LAST_RECORD):
        msg = "cut off, or followed by something else"
        raise DataError(msg, file=file, expected=_EXPECTED, hint=_AGAIN)
    with _faults(file):
        archive = zipfile.ZipFile(io.BytesIO(content))
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in infos:
            what = "member twice" if name in infos else "member that is no npy file"
            raise DataError(what, file=file, found=quoted(info.filename))
        infos[name] = info
    return Members(file, archive, infos)


@dataclass(frozen=True)
class Members:
    """The members of an open npz file by name, without the ending ``.npy``."""

    file: str
    archive: zipfile.ZipFile
    infos: Mapping[str, zipfile.ZipInfo]

    def text(self, name: str, limit: int) -> str:
        """Return a text of at most `limit` characters: an array ``<U`` of no dimension.

        Raises
        ------
        DataError
            If there is no such member, it is damaged, or it is something else.
        """
        with self._open(name) as (header, stream):
            match = _TEXT.fullmatch(header)
            if match is None or int(match[1]) > limit:
                raise self._form_error(name, header, f"a text of at most {limit} characters")
            return self._rest(name, stream, 4 * int(match[1])).decode("utf-32-le")

    def array(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array, which must be of this dtype and shape, little-endian, by rows.

        Raises
        ------
        DataError
            If there is no such member, it is damaged, or it is something else.
        """
        little = np.dtype(dtype).newbyteorder("<")
        form = {"descr": little.str, "fortran_order": False, "shape": shape}
        wanted = "".join(f"{form}".split())[:-1] + ",}"
        with self._open(name) as (header, stream):
            if header != wanted:
                by = " x ".join(map(str, shape))
                raise self._form_error(name, header, f"{dtype}, {by}, little-endian, by rows")
            n_bytes = little.itemsize * math.prod(shape)
            content = self._rest(name, stream, n_bytes)
        array = np.frombuffer(content, little).reshape(shape)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the npy header of a member without its spaces, and the stream after it.

        The header is compared as text, so that nothing in a file is ever evaluated.
        """
        if name not in self.infos:
            msg = f"no member {name!r}"
            raise DataError(msg, file=self.file, expected=_EXPECTED)
        info = self.infos[name]
        with _faults(self.file):
            plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if not plain or info.flag_bits & _ENCRYPTED:
                msg = f"member {name!r} is encrypted, or compressed in a way that NumPy is not"
                raise DataError(msg, file=self.file)
            with self.archive.open(info) as stream:
                start = bytes(take(stream, len(_NPY) + 2))
                if not start.startswith(_NPY):
                    raise self._form_error(name, start.hex(" "), "an npy array, version 1.0")
                header = take(stream, int.from_bytes(start[-2:], "little"))
                yield "".join(header.decode("latin-1").split()), stream

    def _rest(self, name: str, stream: Any, n_bytes: int) -> bytearray:
        # One byte more tells that there is more, and makes zipfile compare the checksum.
        content = take(stream, n_bytes + 1)
        if len(content) != n_bytes:
            more = "more" if len(content) > n_bytes else "less"
            what = f"member {name!r} has {more} than its header says"
            raise DataError(what, file=self.file, expected=f"{n_bytes} bytes")
        return content

    def _form_error(self, name: str, found: str, expected: str) -> DataError:
        what = f"member {name!r} has another form"
        return DataError(what, file=self.file, found=quoted(found), expected=expected)


@contextmanager
def _faults(file: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _ZIP_FAULTS as fault:
        reason = str(fault) or type(fault).__name__
        msg = "damaged"
        raise DataError(msg, file=file, found=reason, hint=_AGAIN) from None
