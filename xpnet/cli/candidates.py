"""What ``xpnet parity`` compares: the network on devices and libraries, from files, recorded."""

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError
from xpnet.cli.input_range import with_range
from xpnet.cli.models import open_model
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network
    from xpnet.parity.certificate import Certificate

__all__ = ["Candidates", "open_candidates"]

# By name: a network, or the recorded results of its stages; and where it computes or did.
Candidates = dict[str, tuple[Any, dict[str, str]]]


def open_candidates(
    args: argparse.Namespace,
    network: "Network",
    device: "Device",
    rows: "NDArray[Any]",
    settings: ExitStack,
) -> Candidates:
    """Return all that the arguments name; with --record, what the device just computed.

    Entered into `settings` is what the libraries need as long as they compute.

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
    from xpnet.parity.certificate_file import read_certificate

    if args.record is not None:
        certificate = _record(args, network, device, rows)
        return {device.name: (certificate.stages, dict(certificate.facts))}
    candidates: Candidates = {}
    if args.check is not None:
        certificate = read_certificate(args.check, network, rows)
        name = f"{certificate.facts['device']}, recorded"
        candidates[name] = certificate.stages, dict(certificate.facts)
    for there in _devices(args, device):
        candidates[there.name] = network.to(there), _facts(network, there)
    for library in args.libraries:
        candidates[library] = _on_library(library, network, settings)
    for path in args.against:
        # A file may be called as a device or library is.
        name = f"file {path}" if path in candidates else path
        other = _open_other(args, path, network, rows)
        candidates[name] = other, _facts(other, device)
    return candidates


def _open_other(
    args: argparse.Namespace, path: str, network: "Network", rows: "NDArray[Any]"
) -> "Network":
    """Return the network of another file, which must be comparable."""
    from xpnet.files.errors import WeightsError
    from xpnet.parity.candidates import check_candidate

    model, _ = open_model(argparse.Namespace(**{**vars(args), "model": path}), Stopwatch())
    other = with_range(args, model, rows)
    try:
        check_candidate(network, other, outputs_only=args.outputs_only)
    except ValueError as error:
        text = str(error).replace("outputs_only=True", "--outputs-only")
        what, hint = "not the same network", text.replace("`candidates`", "it")
        raise WeightsError(what, file=path, hint=hint) from error
    return other


def _record(
    args: argparse.Namespace, network: "Network", device: "Device", rows: "NDArray[Any]"
) -> "Certificate":
    """Compute all stages on the device, and write them to a certificate."""
    from xpnet.parity.candidates import stage_results
    from xpnet.parity.certificate import certify, check_size
    from xpnet.parity.certificate_file import write_certificate

    try:
        check_size(network, len(rows))
    except ValueError as error:
        msg = f"--record: {error} by --rows"
        raise UsageError(msg) from error
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


def _on_library(name: str, network: "Network", settings: ExitStack) -> tuple[Any, dict[str, str]]:
    """Return the network as arrays of a library, such as "torch", or of one of its devices."""
    from importlib.metadata import version

    from xpnet.parity.candidates import on_backend
    from xpnet.testing.backend_choice import NAMES, unavailable_reason
    from xpnet.testing.backends import dtype_name, open_backend

    reason = unavailable_reason(name) if name in NAMES else f"known are {', '.join(NAMES)}"
    if reason is not None:
        msg = f"--libraries: {name} cannot be used: {reason}"
        raise UsageError(msg)
    backend = open_backend(name)
    settings.enter_context(backend.flags)
    dtype = dtype_name(network.dtype)
    if not backend.has([dtype]) or (dtype == "float64" and not backend.has_float64):
        msg = f"--libraries: {name} has no {dtype}, which the network is of"
        raise UsageError(msg)
    return on_backend(network, backend), {
        "device": str(backend.device),
        "library": backend.library,
        "library_version": version(backend.library),
        "compute_type": dtype,
    }


def _facts(network: "Network", device: "Device") -> dict[str, str]:
    """Return what a report and a certificate say of where something was computed."""
    from xpnet.arrays.matmul_precision import compute_type

    return {
        "device": device.name,
        "hardware": device.hardware,
        "library": device.library,
        "library_version": device.version,
        "compute_type": compute_type(network.layers[0].weight),
    }
