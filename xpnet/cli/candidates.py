"""What ``xpnet parity`` compares: the network on devices and libraries, from files, recorded."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, open_network
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.parity.recording import Certificate

__all__ = ["Candidates", "open_candidates"]

# By name: a network, or the recorded results of its stages; and where it computes or did.
Candidates = dict[str, tuple[Any, dict[str, str]]]


def open_candidates(
    args: argparse.Namespace, network: "Network", device: "Device", rows: "NDArray[Any]"
) -> Candidates:
    """Return all that the arguments name; with --record, what the device just computed.

    Raises
    ------
    UsageError
        If a device or library is no such word, or the library is not installed.
    DeviceError
        If a device is not usable.
    DataError
        If a certificate is damaged, or of another network or input.
    WeightsError
        If a file of weights cannot be read.
    """
    from xpnet.parity.certificate import read_certificate

    if args.record:
        certificate = _record(args, network, device, rows)
        return {device.name: (certificate.stages, dict(certificate.facts))}
    candidates: Candidates = {}
    if args.check:
        certificate = read_certificate(args.check, network, rows)
        name = f"{certificate.facts['device']}, recorded"
        candidates[name] = certificate.stages, dict(certificate.facts)
    for there in _devices(args, device):
        candidates[there.name] = network.to(there), _facts(network, there)
    for library in args.libraries:
        candidates[library] = _on_library(library, network)
    for path in args.against:
        other = argparse.Namespace(**{**vars(args), "model": path})
        candidates[path] = open_network(other, Stopwatch())[0], _facts(network, device)
    return candidates


def _record(
    args: argparse.Namespace, network: "Network", device: "Device", rows: "NDArray[Any]"
) -> "Certificate":
    """Compute all stages on the device, and write them to a certificate."""
    from xpnet.parity.candidates import stage_results
    from xpnet.parity.certificate import write_certificate
    from xpnet.parity.recording import certify

    stages = stage_results(network, rows)
    certificate = certify(network, rows, stages, **_facts(network, device))
    write_certificate(args.record, certificate, force=args.force)
    return certificate


def _devices(args: argparse.Namespace, device: "Device") -> list["Device"]:
    """Return the devices of --devices; without it, that of --device."""
    from xpnet.arrays.device import Device

    try:
        return [Device(word) for word in args.devices] or [device]
    except ValueError as error:
        msg = f"--devices: {error}"
        raise UsageError(msg) from error


def _on_library(name: str, network: "Network") -> tuple[Any, dict[str, str]]:
    """Return the network as arrays of a library, such as "torch", or of one of its devices."""
    from importlib.metadata import version

    from xpnet.parity.candidates import on_backend
    from xpnet.parity.kit.backends import NAMES, open_backend, why_not

    reason = why_not(name) if name in NAMES else f"known are {', '.join(NAMES)}"
    if reason is not None:
        msg = f"--libraries: {name} cannot be used: {reason}"
        raise UsageError(msg)
    backend = open_backend(name)
    if str(network.dtype).endswith("float64") and not backend.has_float64:
        msg = f"--libraries: {name} has no float64, which the network is of"
        raise UsageError(msg)
    facts = {"device": str(backend.device), "library": backend.library}
    return on_backend(network, backend), {**facts, "library_version": version(backend.library)}


def _facts(network: "Network", device: "Device") -> dict[str, str]:
    """Return what a report and a certificate say of where something was computed."""
    # CuPy reads the variable once, and then rounds the factors of float32 products to 10 bits.
    is_tf32 = device.library == "cupy" and os.environ.get("CUPY_TF32") == "1"
    dtype = str(network.dtype).rpartition(".")[2]
    return {
        "device": device.name,
        "hardware": device.hardware,
        "library": device.library,
        "library_version": device.version,
        "compute_type": f"{dtype}, TF32" if is_tf32 else dtype,
    }
