"""Files of certificates: results of a device, for comparison on another machine.

The file is a plain npz file, which ``numpy.load`` reads too. Its members are:

``certificate``
    A string, JSON: ``format``, ``version``; ``facts`` (device, versions, date); ``network`` and
    ``input``, their fingerprints; ``stages``, the SHA-256 of each of the following arrays; if they
    are reproducible, ``result_hash``, as `xpnet.result_hash` returns it.
``sha256``
    A string, the SHA-256 of that JSON. It thus covers the other members, whose SHA-256 it contains.
``stage_0``, ``stage_1`` ...
    The preprocessed inputs and the outputs of each layer, one row for each row of the input.

The digest protects against damage and mistakes. It is not a signature: a deliberate change can
include a new digest.

The input is not in the file; its SHA-256 identifies it. The preprocessed inputs are, because the
device computed them: for 10,000 digits and 784-50-100-10 units they are 31 of 38 MB in float32,
but 3 of 9 MB after compression, since most pixels are zero. Noise instead of digits does not
compress; with fewer rows, the file is smaller.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.files.errors import DataError, quoted
from xpnet.files.npy import NpyHeader, read_npy_header
from xpnet.files.npz import NpzMember, npz_bytes, open_npz_members
from xpnet.files.opening import take
from xpnet.files.writing import atomic_write
from xpnet.networks.fingerprint import (
    input_fingerprint,
    network_fingerprint,
    sha256,
    sha256_of_array,
)
from xpnet.networks.network import Network
from xpnet.parity.certificate import (
    FACTS,
    MAX_BYTES,
    Certificate,
    hash_of,
    is_printable,
    stage_forms,
)

__all__ = ["read_certificate", "write_certificate"]

_FORMAT, _VERSION = "xpnet parity certificate", 1
_PARTS = ("facts", "network", "input", "stages")
_MAX_CHARACTERS = 1 << 20
_HEX_DIGITS = 64
_FIRST_BYTES = b"PK\x03\x04"
_EXPECTED = "an npz file that xpnet parity --record wrote"


def write_certificate(
    path: str | PathLike[str], certificate: Certificate, *, force: bool = False
) -> None:
    """Write a certificate to a file, completely or not at all; equal ones give the same bytes.

    Parameters
    ----------
    path : str or os.PathLike
        The file; the format is npz for any name.
    certificate : Certificate
        As returned by `certify`.
    force : bool, default False
        If true, an existing file is replaced.

    Raises
    ------
    OSError
        If the file exists and `force` is false, or it cannot be written.
    ValueError
        If the network has too many layers for a description that can be read.
    """
    stages = {f"stage_{i}": stage for i, stage in enumerate(certificate.stages)}
    description: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "facts": dict(certificate.facts),
        "network": dict(certificate.network),
        "input": dict(certificate.input),
        "stages": {name: sha256_of_array(stage) for name, stage in stages.items()},
    }
    if certificate.result_hash is not None:
        description["result_hash"] = certificate.result_hash
    text = json.dumps(description, indent=1)
    if len(text) > _MAX_CHARACTERS:
        msg = f"the description must have at most {_MAX_CHARACTERS} characters; got {len(text)}"
        raise ValueError(msg)
    texts = {"certificate": np.asarray(text), "sha256": np.asarray(sha256([text.encode()]))}
    content = npz_bytes({**texts, **stages})
    # In one piece: zipfile would seek, which a pipe cannot.
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def read_certificate(path: str | PathLike[str], network: Network, x: Any) -> Certificate:
    """Read a certificate that was recorded with this network and this input.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    network : Network
        Of any library, on any device.
    x : array of shape (n_rows, n_in)
        The input, before preprocessing.

    Returns
    -------
    Certificate
        Its stages are new arrays. Memory use is limited by the size of the file and of the
        stages of this network and this input.

    Raises
    ------
    OSError
        If the file cannot be read: it is missing, a directory, or not permitted.
    DataError
        If the file is not a certificate, is damaged or was changed, has another version of the
        format, or was recorded with another network or input; the message names the first
        difference.
    """
    x = as_array(x)
    with ExitStack() as closing:
        content, file = io.BytesIO(_content(path)), fspath(path)
        members = open_npz_members(content, file, closing)
        return _CertificateFile(members, file).read(network, x)


def _content(path: str | PathLike[str]) -> bytearray:
    """Return the content of a zip file, which may be a pipe."""
    with Path(path).open("rb") as stream:
        content = take(stream, len(_FIRST_BYTES))
        if content != _FIRST_BYTES:
            found = f"first bytes {content.hex(' ')}" if content else "0 bytes"
            msg = "not a certificate"
            raise DataError(msg, file=path, found=found, expected=_EXPECTED)
        content += take(stream, 2 * MAX_BYTES)
    if len(content) > 2 * MAX_BYTES:
        msg = "too large for a certificate"
        raise DataError(msg, file=path, expected=f"at most {2 * MAX_BYTES} bytes")
    return content


@dataclass(frozen=True)
class _CertificateFile:
    """Members of a file that is validated while it is read; all methods raise DataError."""

    members: Mapping[str, NpzMember]
    file: str

    def read(self, network: Network, x: Any) -> Certificate:
        """Return the certificate of a network and an input."""
        text = self._text("certificate", _MAX_CHARACTERS)
        description = self._parse(text)
        recorded = self._text("sha256", _HEX_DIGITS)
        self._check_digest("the description", recorded, sha256([text.encode()]))
        parts = {name: self._part(description, name) for name in _PARTS}
        self._check_names(FACTS, parts["facts"], "facts of the certificate")
        self._check_same("network", parts["network"], network_fingerprint(network))
        self._check_same("input", parts["input"], input_fingerprint(x))

        forms = {f"stage_{i}": form for i, form in enumerate(stage_forms(network, x.shape[0]))}
        names = ("certificate", "sha256", *forms)
        self._check_names(names, self.members, "members of the certificate")
        self._check_names(forms, parts["stages"], "stages of the certificate")
        stages = {name: self._stage(name, *form) for name, form in forms.items()}
        for name, stage in stages.items():
            self._check_digest(f"member {name!r}", parts["stages"][name], sha256_of_array(stage))
        prints = parts["network"], parts["input"]
        found = tuple(stages.values())
        return Certificate(found, *prints, parts["facts"], self._hash(description, found))

    def _hash(self, description: Mapping[str, Any], stages: Sequence[NDArray[Any]]) -> str | None:
        """Return the hash of reproducible outputs, after validation; None for other results."""
        recorded, present = description.get("result_hash"), hash_of(stages)
        if recorded is not None and recorded != present:
            what, found = "'result_hash' in the certificate", quoted(str(recorded))
            expected, hint = f"{present}, that of its outputs", "record it again"
            raise DataError(what, file=self.file, found=found, expected=expected, hint=hint)
        return recorded

    def _text(self, name: str, limit: int) -> str:
        """Return a member that is a string of at most `limit` characters."""
        header = self._header(name)
        if header.dtype.str[:2] != "<U" or header.shape or header.total > 4 * limit:
            raise self._form_error(name, header, f"a string of at most {limit} characters")
        return self.members[name].rest(header.total).decode("utf-32-le", "replace")

    def _stage(self, name: str, dtype_name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a member that is a little-endian, row-major array of this dtype and shape."""
        header, dtype = self._header(name), np.dtype(dtype_name).newbyteorder("<")
        if (header.dtype, header.shape, header.is_fortran) != (dtype, shape, False):
            by = " x ".join(map(str, shape))
            raise self._form_error(name, header, f"{dtype_name}, {by}, little-endian, by rows")
        array = np.frombuffer(self.members[name].rest(header.total), dtype).reshape(shape)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def _header(self, name: str) -> NpyHeader:
        if name not in self.members:
            msg = f"no member {name!r}"
            raise DataError(msg, file=self.file, expected=_EXPECTED)
        return read_npy_header(self.members[name], self.file)

    def _form_error(self, name: str, header: NpyHeader, expected: str) -> DataError:
        order = ", by columns" if header.is_fortran else ""
        found = quoted(f"{header.dtype.str} {header.shape}{order}")
        what = f"member {name!r} has a wrong dtype or shape"
        return DataError(what, file=self.file, found=found, expected=expected)

    def _parse(self, text: str) -> dict[str, Any]:
        """Return the description, after validation of its format and version."""
        try:
            description = json.loads(text)
        except (ValueError, RecursionError) as error:
            msg = "the member 'certificate' is not JSON"
            raise DataError(msg, file=self.file, found=str(error)) from None
        if not isinstance(description, dict) or description.get("format") != _FORMAT:
            msg = "not a certificate"
            raise DataError(msg, file=self.file, expected=f"JSON of the format {_FORMAT!r}")
        version = description.get("version")
        if type(version) is not int or version != _VERSION:
            is_newer = type(version) is int and version > _VERSION
            hint = "use a newer xpnet" if is_newer else "record it again"
            what, expected = "version of the format", f"{_VERSION}, which this xpnet reads"
            found = repr(version)
            raise DataError(what, file=self.file, found=found, expected=expected, hint=hint)
        return description

    def _part(self, description: Mapping[str, Any], name: str) -> dict[str, str]:
        """Return a part of the description, after validation that its values are printable."""
        part = description.get(name)
        if not isinstance(part, dict) or not all(map(is_printable, part.values())):
            what, expected = f"{name!r} in the certificate", "a JSON object of printable strings"
            raise DataError(what, file=self.file, expected=expected)
        return part

    def _check_digest(self, what: str, recorded: str, present: str) -> None:
        if recorded != present:
            what, found = f"{what} was changed after it was recorded", f"SHA-256 {present[:12]}"
            expected, hint = recorded[:12], "record it again"
            raise DataError(what, file=self.file, found=found, expected=expected, hint=hint)

    def _check_same(
        self, part: str, recorded: Mapping[str, str], present: Mapping[str, str]
    ) -> None:
        """Raise at the first fact in which two fingerprints differ."""
        for name in (*present, *recorded):
            if recorded.get(name) != present.get(name):
                what = f"recorded with another {part}: {name.replace('sha256', 'values')}"
                found, expected = (_shortened(x.get(name, "nothing")) for x in (recorded, present))
                expected = f"{expected}, as the {part} given here has"
                hint = f"give the {part} of the recording, or record again"
                raise DataError(what, file=self.file, found=found, expected=expected, hint=hint)

    def _check_names(self, expected: Iterable[str], names: Iterable[str], what: str) -> None:
        missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
        parts = [f"without {', '.join(missing)}"] * bool(missing)
        parts += [f"with additional {', '.join(extra)}"] * bool(extra)
        if parts:
            raise DataError(what, file=self.file, found=" and ".join(parts))


def _shortened(fact: str) -> str:
    is_digest = len(fact) == _HEX_DIGITS and not set(fact) - set("0123456789abcdef")
    return f"SHA-256 {fact[:12]}" if is_digest else fact
