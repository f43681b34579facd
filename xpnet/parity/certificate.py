"""Certificates: recorded results of a device for one network and one input.

The file is a record (`xpnet.files.record`), which ``numpy.load`` reads too. Its arrays are
``stage_0``, the preprocessed inputs, and ``stage_1``, ``stage_2`` ..., the outputs of each layer,
one row for each row of the input. Network and input are not in the file; their SHA-256 are.
"""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from xpnet.arrays.device import Device
from xpnet.arrays.library import library_version
from xpnet.arrays.namespace import dtype_name
from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import DataError, printable
from xpnet.files.hashes import sha256_of_array
from xpnet.files.record import RecordFormat
from xpnet.files.writing import atomic_write
from xpnet.formats.description import describe
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.parity.bounds.error_bound import rows_on_host
from xpnet.parity.candidates import stage_results

__all__ = ["network_digest", "read_record", "record"]

_FORMAT = RecordFormat("certificate", "record it again (xpnet parity --record)")


def record(
    path: str | PathLike[str],
    network: Network,
    x: Any,
    /,
    *,
    device: str | Device,
    force: bool = False,
) -> tuple[list[NDArray[Any]], dict[str, str]]:
    """Compute a network on a device, write the results to a file, and return them.

    Parameters
    ----------
    path : path
        The file, npz for any name; `force` replaces an existing one.
    network : Network
        The network, which is moved to `device`. Results of a `reproducible` one are compared to
        the bit by ``xpnet parity --check``.
    x : array of shape (n_rows, n_in)
        The input, before preprocessing, of any library.
    device : str or Device
        Where to compute, such as "gpu".

    Returns
    -------
    stages : list of ndarray
        The preprocessed inputs, then the outputs of each layer, as `stage_results` returns them.
    facts : dict of str to str
        Device, hardware, library, dtype, arithmetic ("ordinary" or "reproducible") and date.

    Raises
    ------
    DeviceError, TypeError, ValueError
        If the device cannot be used or lacks the dtype, or `x` is no array of such rows.
    OSError
        If the file exists and `force` is false, or it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import xpnet
    >>> network, (images, _) = xpnet.load("sample"), xpnet.sample()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stages, _ = record(f"{folder}/cpu.npz", network, images, device="cpu")
    ...     same, facts = read_record(f"{folder}/cpu.npz", network, images)
    >>> facts["device"], bool((same[-1] == stages[-1]).all())
    ('cpu', True)
    """
    place, rows = Device(device), rows_on_host(network, x)
    there = network.to(place)
    stages = list(stage_results(there, rows))
    facts = {
        "device": place.name,
        "hardware": place.hardware,
        "library": place.library,
        "library_version": library_version(place.xp),
        "compute_type": dtype_name(there.dtype),
        "arithmetic": "reproducible" if network.is_reproducible else "ordinary",
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    arrays = {f"stage_{i}": stage for i, stage in enumerate(stages)}
    content = _FORMAT.to_bytes(facts | _digests(network, rows), arrays)
    with atomic_write(path, force=force) as stream:
        stream.write(content)
    return stages, facts


def read_record(
    path: str | PathLike[str], network: Network, x: Any, /
) -> tuple[list[NDArray[Any]], dict[str, str]]:
    """Return the stages and facts that `record` wrote for this network and this input.

    Raises
    ------
    OSError
        If the file cannot be read.
    DataError
        If it is not a certificate, is damaged or of an earlier version, or was recorded with
        another network or input. Other libraries, devices and memory layouts do not matter.
    """
    rows = rows_on_host(network, x)
    facts, arrays = _FORMAT.from_bytes(Path(path).read_bytes(), path)
    for part, digest in _digests(network, rows).items():
        if facts.pop(part, None) != digest:
            what = f"recorded with another {part}; give that {part}, or record again"
            raise DataError(what, file=path)
    return list(arrays.values()), {name: printable(str(fact)) for name, fact in facts.items()}


def _digests(network: Network, rows: NDArray[Any]) -> dict[str, str]:
    return {"network": network_digest(network), "input": sha256_of_array(rows)}


def network_digest(network: Network, /) -> str:
    """Return the SHA-256 of everything but the metadata that makes a network.

    These are names and arrays, the dtype, activations with options, preprocessing, output and
    classes. The library, the device, the memory order and the byte order do not matter.
    """
    facts = [dtype_name(network.dtype), describe(replace(network, metadata={}))]
    arrays = named_arrays(network)
    facts += [f"{name} {sha256_of_array(to_numpy(x))}" for name, x in arrays.items()]
    return sha256("\n".join(facts).encode()).hexdigest()
