"""Certificates: recorded results of a device for one network and one input.

The file is a record (`xpnet.files.record`), which ``numpy.load`` reads too. Its arrays are
``stage_0``, the preprocessed inputs, and ``stage_1``, ``stage_2`` ..., the outputs of each layer,
one row for each row of the input. The input is not in the file; its SHA-256 identifies it.
"""

import io
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import DataError, quoted
from xpnet.files.hashes import ResultHash
from xpnet.files.record import FIRST_BYTES, Record, RecordFormat
from xpnet.files.taking import take
from xpnet.files.writing import atomic_write
from xpnet.networks.network import Network
from xpnet.parity.fingerprint import input_fingerprint, network_fingerprint

__all__ = ["Certificate", "certify", "check_stage_size", "read_certificate", "write_certificate"]

CERTIFICATE_FORMAT = RecordFormat(
    "xpnet parity certificate",
    version=2,
    kind="certificate",
    writer="xpnet parity --record",
    remedy="record it again",
)

# Of all stages together; below the size at which zip files need zip64.
MAX_STAGE_BYTES = 1 << 30

FACTS = (
    *("device", "hardware", "library", "library_version", "compute_type"),
    *("xpnet", "numpy", "python", "platform", "recorded"),
)

StageForm: TypeAlias = tuple[str, tuple[int, ...]]  # dtype and shape


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """Results of one device for one network and one input.

    Attributes
    ----------
    stages : tuple of ndarray
        Stage 0: the preprocessed inputs, of shape (n_rows, n_in). Stage i: the outputs of layer
        i, of shape (n_rows, n_out). Of the network's dtype; bfloat16 as float32.
    network, input : mapping of str to str
        Fingerprints, by which `read_certificate` recognises both.
    facts : mapping of str to str
        Device, versions and date, by name. "recorded" is a date in UTC, ISO 8601.
    result_hash : str or None
        That of the outputs, as `xpnet.result_hash` returns it, if the results are reproducible.
    """

    stages: tuple[NDArray[Any], ...]
    network: Mapping[str, str]
    input: Mapping[str, str]
    facts: Mapping[str, str]
    result_hash: str | None = None

    def __repr__(self) -> str:
        where = ", ".join(self.facts[name] for name in ("device", "hardware", "recorded"))
        return f"Certificate({len(self.stages[0]):,} rows by {where})"


def certify(
    network: Network,
    x: Any,
    stages: Sequence[NDArray[Any]],
    *,
    device: str,
    hardware: str,
    library: str,
    library_version: str,
    compute_type: str,
    recorded: str | None = None,
) -> Certificate:
    """Return a certificate of the results of a device.

    Parameters
    ----------
    network : Network
        Of any library, on any device. The certificate of a `reproducible` one holds the hash of its
        outputs, and ``xpnet parity --check`` compares bits.
    x : array of shape (n_rows, n_in)
        The input, before preprocessing, of any library.
    stages : sequence of ndarray
        The results, as in `Certificate`.
    device, hardware, library, library_version : str
        For example "gpu:0", "NVIDIA H100", "cupy", "14.2.0".
    compute_type : str
        The precision of the computation, for example "float32" or "float32, TF32 enabled".
    recorded : str, optional
        The date, ISO 8601; by default the present time.

    Raises
    ------
    TypeError
        If `x` is not an array, or a stage is not a NumPy array.
    ValueError
        If there are no rows, the stages do not fit this network and input or take more than a
        gigabyte, a string is empty or not printable, or `recorded` is not a date.

    Examples
    --------
    >>> import tempfile
    >>> import xpnet
    >>> from xpnet.parity import read_certificate, stage_results, write_certificate
    >>> network, x = xpnet.load("sample"), np.zeros((1, 784))
    >>> where = {"device": "cpu", "hardware": "a processor", "compute_type": "float32"}
    >>> which = {"library": "numpy", "library_version": np.__version__}
    >>> certificate = certify(network, x, stage_results(network, x), **where, **which)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_certificate(f"{folder}/cpu.npz", certificate)
    ...     back = read_certificate(f"{folder}/cpu.npz", network, x)
    >>> back.facts["device"], back.input["number of rows"], back.stages[-1].shape
    ('cpu', '1', (1, 10))
    """
    x = as_array(x)
    _check_stages(network, x, stages)
    given = (device, hardware, library, library_version, compute_type)
    versions = (version("xpnet"), np.__version__, platform.python_version())
    date = recorded or datetime.now(UTC).isoformat(timespec="seconds")
    datetime.fromisoformat(date)
    facts = dict(zip(FACTS, (*given, *versions, platform.platform(), date), strict=True))
    for name, fact in facts.items():
        if not _is_printable(fact):
            msg = f"`{name}` must be a printable string; got {fact!r}"
            raise ValueError(msg)
    kept = tuple(stage.copy() for stage in stages)
    prints = network_fingerprint(network), input_fingerprint(x)
    return Certificate(kept, *prints, facts, _hash_of(kept) if network.is_reproducible else None)


def write_certificate(
    path: str | PathLike[str], certificate: Certificate, *, force: bool = False
) -> None:
    """Write a certificate to a file, completely or not at all; equal ones give the same bytes.

    The format is npz for any name. `force` replaces an existing file.

    Raises
    ------
    OSError
        If the file exists and `force` is false, or it cannot be written.
    ValueError
        If the network has too many layers for a description that can be read.
    """
    parts = ("facts", "network", "input")
    facts: dict[str, Any] = {name: dict(getattr(certificate, name)) for name in parts}
    facts["result_hash"] = certificate.result_hash
    stages = {f"stage_{i}": stage for i, stage in enumerate(certificate.stages)}
    content = CERTIFICATE_FORMAT.to_bytes(facts, stages)
    # In one piece: zipfile would seek, which a pipe cannot.
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def read_certificate(path: str | PathLike[str], network: Network, x: Any) -> Certificate:
    """Read a certificate that was recorded with this network and this input.

    Memory use is limited by the size of the file and of the stages of this network, of any
    library, and this input, an array of shape (n_rows, n_in) before preprocessing.

    Raises
    ------
    OSError
        If the file cannot be read.
    DataError
        If it is not a certificate of this version, was changed, or was recorded with another
        network or input; the message names the first difference.
    """
    x = as_array(x)
    with Path(path).open("rb") as stream:  # which may be a pipe
        content = take(stream, len(FIRST_BYTES))
        content += take(stream, 2 * MAX_STAGE_BYTES) if content == FIRST_BYTES else b""
    if len(content) > 2 * MAX_STAGE_BYTES:
        msg = "too large for a certificate"
        raise DataError(msg, file=path, expected=f"at most {2 * MAX_STAGE_BYTES} bytes")
    forms = {f"stage_{i}": form for i, form in enumerate(stage_forms(network, x.shape[0]))}
    with ExitStack() as closing:
        record = CERTIFICATE_FORMAT.open(io.BytesIO(content), path, closing)
        facts, of_network, of_input = (_part(record, x) for x in ("facts", "network", "input"))
        record.check_names("facts", FACTS, facts)
        _check_same(record, "network", of_network, network_fingerprint(network))
        _check_same(record, "input", of_input, input_fingerprint(x))
        record.check_names("stages", forms, record.members)
        arrays = record.arrays(limit=_n_bytes(forms.values()))
    found = {name: (stage.dtype.name, stage.shape) for name, stage in arrays.items()}
    if found != forms:
        what = "stages of a wrong dtype or shape"
        raise DataError(what, file=path, found=list(found.values()), expected=list(forms.values()))
    stages, recorded = tuple(arrays[name] for name in forms), record.facts.get("result_hash")
    if recorded is not None and recorded != _hash_of(stages):
        what, expected = "hash of other outputs", _hash_of(stages)
        raise DataError(what, file=path, found=quoted(str(recorded)), expected=expected)
    return Certificate(stages, of_network, of_input, facts, recorded)


def _part(record: Record, name: str) -> dict[str, str]:
    """Return a part of the facts, after validation that its values are printable."""
    part = record.facts.get(name) if isinstance(record.facts, dict) else None
    if not isinstance(part, dict) or not all(map(_is_printable, part.values())):
        what, expected = f"{name!r} in the certificate", "a JSON object of printable strings"
        raise DataError(what, file=record.file, expected=expected)
    return part


def _check_same(
    record: Record, part: str, recorded: Mapping[str, str], present: Mapping[str, str]
) -> None:
    """Raise DataError about the first entry in which two fingerprints differ, if any."""
    for name in (*present, *recorded):
        if recorded.get(name) != present.get(name):
            what = f"recorded with another {part}: {name.replace('sha256', 'values')}"
            found, expected = (_shortened(x.get(name, "nothing")) for x in (recorded, present))
            expected = f"{expected}, as the {part} given here has"
            hint = f"give the {part} of the recording, or record again"
            raise DataError(what, file=record.file, found=found, expected=expected, hint=hint)


def _shortened(fact: str) -> str:
    is_digest = len(fact) == 64 and not set(fact) - set("0123456789abcdef")
    return f"SHA-256 {fact[:12]}" if is_digest else fact


def _hash_of(stages: Sequence[NDArray[Any]]) -> str:
    digest = ResultHash()
    digest.update(stages[-1])
    return digest.text()


def _is_printable(text: Any, /) -> bool:
    return isinstance(text, str) and text != "" and text.isprintable()


def check_stage_size(network: Network, n_rows: int, /) -> None:
    """Raise ValueError if the stages of `n_rows` rows are too large for a certificate."""
    n_bytes = _n_bytes(stage_forms(network, n_rows))
    if n_bytes > MAX_STAGE_BYTES:
        rule = f"must take at most {MAX_STAGE_BYTES:,} bytes"
        msg = f"`stages` {rule}; got {n_bytes:,} for {n_rows:,} rows: give fewer rows"
        raise ValueError(msg)


def stage_forms(network: Network, n_rows: int) -> list[StageForm]:
    """Return the dtype on the host and the shape of each stage."""
    dtype = to_numpy(network.layers[0].bias).dtype.name
    widths = [network.n_in, *(layer.n_out for layer in network.layers)]
    return [(dtype, (n_rows, width)) for width in widths]


def _n_bytes(forms: Iterable[StageForm]) -> int:
    return sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in forms)


def _check_stages(network: Network, x: Any, stages: Sequence[NDArray[Any]]) -> None:
    if x.ndim != 2 or not x.shape[0] or x.shape[1] != network.n_in:
        rule = f"must have the shape (n, {network.n_in}) with at least one row"
        msg = f"`x` {rule}; got {tuple(x.shape)}"
        raise ValueError(msg)
    for stage in stages:
        if not isinstance(stage, np.ndarray):
            msg = f"`stages` must be NumPy arrays; got {type(stage).__name__}"
            raise TypeError(msg)
    expected = stage_forms(network, x.shape[0])
    found = [(stage.dtype.name, stage.shape) for stage in stages]
    if found != expected:
        forms = [", ".join(f"{dtype} {shape}" for dtype, shape in x) for x in (expected, found)]
        msg = f"`stages` must be {forms[0]}; got {forms[1] or 'none'}"
        raise ValueError(msg)
    check_stage_size(network, x.shape[0])
