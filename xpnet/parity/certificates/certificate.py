"""A certificate that travels: what a device computed, to be compared where it is not at hand.

The file is a plain npz, which ``numpy.load`` opens too. Its members:

``certificate``
    A text, JSON: ``format``, ``version``; ``facts`` (device, versions, date); ``network`` and
    ``input``, their fingerprints; ``stages``, the SHA-256 of each of the following arrays.
``sha256``
    A text, the SHA-256 of that JSON. So the digest covers, through the others, every member.
``stage_0``, ``stage_1`` ...
    The preprocessed inputs, and the outputs of each layer, one row for each row of the input.

The digest guards against damage and mistakes. It is no signature: who changes a value on purpose
can compute it again.

The input itself is not in the file: who checks has it, and its SHA-256 tells that it is the same.
The preprocessed inputs are, because the device computed them: of 10,000 digits through
784-50-100-10 they are 31 of 38 MB in float32, but 3 of 9 MB after compression, since most pixels
are zero. Noise in place of digits does not shrink; then fewer rows make a smaller file.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.files.errors import DataError, quoted
from xpnet.files.npy import NpyHeader, read_npy_header
from xpnet.files.npz import NpzMember, npz_bytes, open_npz_members
from xpnet.files.opening import take
from xpnet.files.writing import atomic_write
from xpnet.parity.certificates.fingerprint import (
    first_difference,
    input_fingerprint,
    network_fingerprint,
    sha256_of,
)
from xpnet.parity.certificates.recording import (
    FACTS,
    MOST_BYTES,
    Certificate,
    Form,
    is_fact,
    stage_forms,
)

if TYPE_CHECKING:
    from xpnet.networks.network import Network

__all__ = ["read_certificate", "write_certificate"]

_FORMAT, _VERSION = "xpnet parity certificate", 1
_PARTS = ("facts", "network", "input", "stages")
_MOST_CHARACTERS = 1 << 20
_HEX_DIGITS = 64
_JSON_FAULTS = (ValueError, RecursionError)
_FIRST_BYTES = b"PK\x03\x04"
_EXPECTED = "an npz file that xpnet parity --record wrote"


def write_certificate(
    path: str | PathLike[str], certificate: Certificate, *, force: bool = False
) -> None:
    """Write a certificate to a file, whole or not at all; the same one gives the same bytes.

    Parameters
    ----------
    path : str or os.PathLike
        The file, npz whatever its name.
    certificate : Certificate
        As `xpnet.parity.certificates.recording.certify` makes it.
    force : bool, default False
        Whether an existing file may be replaced.

    Raises
    ------
    OSError
        If the file exists and `force` is false, or it cannot be written.
    ValueError
        If the network has so many layers that their description is longer than can be read.
    """
    stages = {f"stage_{i}": stage for i, stage in enumerate(certificate.stages)}
    description = {
        "format": _FORMAT,
        "version": _VERSION,
        "facts": dict(certificate.facts),
        "network": dict(certificate.network),
        "input": dict(certificate.input),
        "stages": {name: sha256_of(stage) for name, stage in stages.items()},
    }
    text = json.dumps(description, indent=1)
    if len(text) > _MOST_CHARACTERS:
        msg = f"the description must have at most {_MOST_CHARACTERS} characters; got {len(text)}"
        raise ValueError(msg)
    texts = {"certificate": np.asarray(text), "sha256": np.asarray(_digest(text))}
    content = npz_bytes({**texts, **stages})
    # At once, since a pipe cannot go back to where zipfile would.
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def read_certificate(path: str | PathLike[str], network: "Network", x: Any) -> Certificate:
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
        Its stages are new arrays. No more memory is taken than the file has, and the stages of
        this network and this input make.

    Raises
    ------
    OSError
        If the file cannot be read: it is missing, a directory, or not permitted.
    DataError
        If the file is no certificate, is damaged or was changed, has another version of the
        format, or was recorded with another network or on another input; the message names
        the first thing in which they differ.
    """
    file, x = fspath(path), as_array(x)
    with ExitStack() as closing:
        members = open_npz_members(io.BytesIO(_content(path)), file, closing)
        text = _text(members, "certificate", _MOST_CHARACTERS, file)
        description = _parsed(text, file)
        digest = _text(members, "sha256", _HEX_DIGITS, file)
        _check_digest("the description", digest, _digest(text), file)
        parts = {name: _part(description, name, file) for name in _PARTS}
        _check_names(FACTS, parts["facts"], "facts of the certificate", file)
        _check_same("network", parts["network"], network_fingerprint(network), file)
        _check_same("input", parts["input"], input_fingerprint(x), file)

        forms = {f"stage_{i}": form for i, form in enumerate(stage_forms(network, x.shape[0]))}
        names = ("certificate", "sha256", *forms)
        _check_names(names, members, "members of the certificate", file)
        _check_names(forms, parts["stages"], "stages of the certificate", file)
        stages = {name: _stage(members, name, form, file) for name, form in forms.items()}
    for name, stage in stages.items():
        _check_digest(f"member {name!r}", parts["stages"][name], sha256_of(stage), file)
    return Certificate(tuple(stages.values()), parts["network"], parts["input"], parts["facts"])


def _content(path: str | PathLike[str]) -> bytearray:
    """Return the bytes of a file that begins as a certificate does. It may be a pipe."""
    with Path(path).open("rb") as stream:
        content = take(stream, len(_FIRST_BYTES))
        if content != _FIRST_BYTES:
            found = f"first bytes {content.hex(' ')}" if content else "0 bytes"
            msg = "not a certificate"
            raise DataError(msg, file=path, found=found, expected=_EXPECTED)
        content += take(stream, 2 * MOST_BYTES)
    if len(content) > 2 * MOST_BYTES:
        limit = f"at most {2 * MOST_BYTES} bytes"
        msg = "too large for a certificate"
        raise DataError(msg, file=path, expected=limit)
    return content


def _text(members: Mapping[str, NpzMember], name: str, limit: int, file: str) -> str:
    """Return a member that is a string of at most `limit` characters."""
    header = _header(members, name, file)
    if header.dtype.str[:2] != "<U" or header.shape or header.total > 4 * limit:
        raise _form_error(name, header, f"a text of at most {limit} characters", file)
    return members[name].rest(header.total).decode("utf-32-le", "replace")


def _stage(members: Mapping[str, NpzMember], name: str, form: Form, file: str) -> NDArray[Any]:
    """Return a member that is an array of this dtype and shape, little-endian, by rows."""
    header = _header(members, name, file)
    dtype, shape = np.dtype(form[0]).newbyteorder("<"), form[1]
    if (header.dtype, header.shape, header.is_fortran) != (dtype, shape, False):
        by = " x ".join(map(str, shape))
        raise _form_error(name, header, f"{form[0]}, {by}, little-endian, by rows", file)
    array = np.frombuffer(members[name].rest(header.total), dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(text: str, file: str) -> dict[str, Any]:
    """Return the description, which has the format and version that are read here."""
    try:
        description = json.loads(text)
    except _JSON_FAULTS as fault:
        msg = "the member 'certificate' is no JSON"
        raise DataError(msg, file=file, found=str(fault)) from None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        msg = "not a certificate"
        raise DataError(msg, file=file, expected=f"JSON of the format {_FORMAT!r}")
    version = description.get("version")
    if type(version) is not int or version != _VERSION:
        is_newer = type(version) is int and version > _VERSION
        hint = "use a newer xpnet" if is_newer else "record it again"
        what, expected = "version of the format", f"{_VERSION}, which this xpnet reads"
        raise DataError(what, file=file, found=repr(version), expected=expected, hint=hint)
    return description


def _part(description: Mapping[str, Any], name: str, file: str) -> dict[str, str]:
    """Return a part of the description, in which there are nothing but printable texts."""
    part = description.get(name)
    if not isinstance(part, dict) or not all(map(is_fact, part.values())):
        what, expected = f"{name!r} in the certificate", "a JSON object of printable texts"
        raise DataError(what, file=file, expected=expected)
    return part


def _check_digest(what: str, recorded: str, present: str, file: str) -> None:
    if recorded != present:
        what, found = f"{what} was changed after it was recorded", f"SHA-256 {present[:12]}"
        hint = "record it again"
        raise DataError(what, file=file, found=found, expected=recorded[:12], hint=hint)


def _check_same(
    part: str, recorded: Mapping[str, str], present: Mapping[str, str], file: str
) -> None:
    difference = first_difference(recorded, present)
    if difference is not None:
        name, found, expected = difference
        what = f"recorded with another {part}: {name}"
        expected = f"{expected}, as the {part} given here has"
        hint = f"give the {part} of the recording, or record again"
        raise DataError(what, file=file, found=found, expected=expected, hint=hint)


def _check_names(wanted: Iterable[str], names: Iterable[str], what: str, file: str) -> None:
    lacking, more = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    parts = [f"without {', '.join(lacking)}"] * bool(lacking)
    parts += [f"with {', '.join(more)} besides"] * bool(more)
    if parts:
        raise DataError(what, file=file, found=" and ".join(parts))


def _header(members: Mapping[str, NpzMember], name: str, file: str) -> NpyHeader:
    if name not in members:
        msg = f"no member {name!r}"
        raise DataError(msg, file=file, expected=_EXPECTED)
    return read_npy_header(members[name], file)


def _form_error(name: str, header: NpyHeader, expected: str, file: str) -> DataError:
    order = ", by columns" if header.is_fortran else ""
    found = quoted(f"{header.dtype.str} {header.shape}{order}")
    what = f"member {name!r} has another form"
    return DataError(what, file=file, found=found, expected=expected)
