"""Certificates: recorded results of a device for one network and one input."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.result_hash import ResultHash
from xpnet.networks.fingerprint import input_fingerprint, network_fingerprint
from xpnet.networks.network import Network

__all__ = [
    "FACTS",
    "MAX_BYTES",
    "Certificate",
    "StageForm",
    "certify",
    "check_size",
    "hash_of",
    "is_printable",
    "stage_forms",
]

# Of all stages together; below the size at which zip files need zip64.
MAX_BYTES = 1 << 30

FACTS = (
    *("device", "hardware", "library", "library_version", "compute_type"),
    *("xpnet", "numpy", "python", "platform", "recorded"),
)

# dtype and shape
StageForm: TypeAlias = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Results of one device for one network and one input.

    Parameters
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
        The date; by default the present time.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError
        If `x` is not an array, or a stage is not a NumPy array.
    ValueError
        If there are no rows, the stages do not fit this network and input or take more than a
        gigabyte, a string is empty or not printable, or `recorded` is not a date.

    Examples
    --------
    >>> import numpy as np
    >>> from xpnet import Network
    >>> from xpnet.parity import stage_results
    >>> network = Network.from_arrays({"W1": np.eye(2), "b1": np.zeros(2)})
    >>> x = np.asarray([[1.0, 2.0]])
    >>> where = {"device": "cpu", "hardware": "a processor", "library": "numpy"}
    >>> how = {"library_version": np.__version__, "compute_type": "float64"}
    >>> certificate = certify(network, x, stage_results(network, x), **where, **how)
    >>> certificate.stages[1]
    array([[1., 2.]])

    Written to a file, it can be read only with the same network and input.

    >>> import tempfile
    >>> from xpnet.parity import read_certificate, write_certificate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_certificate(f"{folder}/cpu.npz", certificate)
    ...     back = read_certificate(f"{folder}/cpu.npz", network, x)
    >>> back.facts["device"], back.input["number of rows"]
    ('cpu', '1')
    """
    x = as_array(x)
    _check_stages(network, x, stages)
    given = (device, hardware, library, library_version, compute_type)
    versions = (version("xpnet"), np.__version__, platform.python_version())
    date = recorded or datetime.now(UTC).isoformat(timespec="seconds")
    datetime.fromisoformat(date)
    facts = dict(zip(FACTS, (*given, *versions, platform.platform(), date), strict=True))
    for name, fact in facts.items():
        if not is_printable(fact):
            msg = f"`{name}` must be a printable string; got {fact!r}"
            raise ValueError(msg)
    kept = tuple(stage.copy() for stage in stages)
    prints = network_fingerprint(network), input_fingerprint(x)
    return Certificate(kept, *prints, facts, hash_of(kept) if network.is_reproducible else None)


def hash_of(stages: Sequence[NDArray[Any]]) -> str:
    """Return the hash of the outputs among the results of all stages."""
    digest = ResultHash()
    digest.update(stages[-1])
    return digest.text()


def is_printable(text: Any, /) -> bool:
    """Return whether the argument is a printable string that is not empty."""
    return isinstance(text, str) and text != "" and text.isprintable()


def check_size(network: Network, n_rows: int, /) -> None:
    """Raise ValueError if the stages of `n_rows` rows are too large for a certificate."""
    n_bytes = sum(
        np.dtype(dtype).itemsize * math.prod(x) for dtype, x in stage_forms(network, n_rows)
    )
    if n_bytes > MAX_BYTES:
        rule = f"must take at most {MAX_BYTES:,} bytes"
        msg = f"`stages` {rule}; got {n_bytes:,} for {n_rows:,} rows: give fewer rows"
        raise ValueError(msg)


def stage_forms(network: Network, n_rows: int) -> list[StageForm]:
    """Return the dtype on the host and the shape of each stage for `n_rows` rows."""
    dtype = to_numpy(network.layers[0].bias).dtype.name
    widths = [network.n_in, *(layer.n_out for layer in network.layers)]
    return [(dtype, (n_rows, width)) for width in widths]


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
    check_size(network, x.shape[0])
