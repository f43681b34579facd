"""Candidates of ``xpnet parity``: devices, libraries, files and certificates to compare."""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, file_name
from xpnet.cli.report import device_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

__all__ = ["CandidateOptions", "Candidates", "add_candidate_arguments", "open_candidates", "record"]

# By name: a network, or the recorded results of its stages; and where it was computed.
Candidates = dict[str, tuple[Any, dict[str, str]]]


def add_candidate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name candidates."""
    parser.add_argument(
        "--devices",
        type=_words,
        default=[],
        metavar="LIST",
        help="devices to compare, such as cpu,gpu (default: that of --device)",
    )
    parser.add_argument(
        "--libraries",
        type=_words,
        default=[],
        metavar="LIST",
        help="libraries to compare as well, such as numpy,torch,jax",
    )
    parser.add_argument(
        "--against",
        type=file_name,
        action="append",
        default=[],
        metavar="MODEL",
        help="another file of the same network to compare as well, such as one with the scale"
        " folded into the weights; may be repeated",
    )
    parser.add_argument(
        "--outputs-only",
        action="store_true",
        help="compare the outputs alone, for networks with other layers or another order of units",
    )


def _words(text: str) -> list[str]:
    """Return the words of a list such as "cpu,gpu"; an argparse type."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        msg = f"must be words with commas between them; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(words))


@dataclass(frozen=True)
class CandidateOptions:
    """The values of `add_candidate_arguments`, and the certificate of --check."""

    devices: list[str]
    libraries: list[str]
    against: list[str]
    outputs_only: bool
    check: str | None


def open_candidates(
    options: CandidateOptions,
    network: "Network",
    device: "Device",
    rows: "NDArray[Any]",
    *,
    open_file: "Callable[[str], Network]",
    settings: ExitStack,
) -> Candidates:
    """Return the candidates of a certificate, of devices, libraries and files.

    Settings that the libraries need are entered into `settings`. Raises UsageError for a device or
    library that is unknown or not installed, DeviceError for a device that is not usable, DataError
    for a certificate that is damaged or belongs to another network or input, and WeightsError for a
    file of another network.
    """
    from xpnet.arrays.device import Device
    from xpnet.parity.certificate_file import read_certificate

    candidates: Candidates = {}
    if options.check is not None:
        certificate = read_certificate(options.check, network, rows)
        name = f"{certificate.facts['device']}, recorded"
        candidates[name] = certificate.stages, dict(certificate.facts)
    try:
        devices = [Device(word) for word in options.devices] or [device]
    except ValueError as error:
        msg = f"--devices: {error}"
        raise UsageError(msg) from error
    for other in devices:
        candidates[other.name] = network.to(other), device_facts(other, network)
    for library in options.libraries:
        candidates[library] = _on_library(library, network, settings)
    for path in options.against:
        candidate = open_file(path)
        _check_candidate(path, network, candidate, outputs_only=options.outputs_only)
        # A file may have the name of a device or library.
        name = f"file {path}" if path in candidates else path
        candidates[name] = candidate, device_facts(device, candidate)
    return candidates


def _on_library(name: str, network: "Network", settings: ExitStack) -> tuple[Any, dict[str, str]]:
    """Return the network on a library, such as "torch", or on one of the library's devices."""
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
        msg = f"--libraries: {name} lacks {dtype}, the dtype of the network"
        raise UsageError(msg)
    return on_backend(network, backend), {
        "device": str(backend.device),
        "library": backend.library,
        "library_version": version(backend.library),
        "compute_type": dtype,
    }


def _check_candidate(
    path: str, network: "Network", candidate: "Network", *, outputs_only: bool
) -> None:
    from xpnet.files.errors import WeightsError
    from xpnet.parity.candidates import check_candidate

    try:
        check_candidate(network, candidate, outputs_only=outputs_only)
    except ValueError as error:
        text = str(error).replace("outputs_only=True", "--outputs-only")
        what, hint = "not the same network", text.replace("`candidates`", "it")
        raise WeightsError(what, file=path, hint=hint) from error


def record(
    path: str, network: "Network", device: "Device", rows: "NDArray[Any]", *, force: bool
) -> Candidates:
    """Write the results of all stages to a certificate; return them as the only candidate."""
    from xpnet.parity.candidates import stage_results
    from xpnet.parity.certificate import certify, check_size
    from xpnet.parity.certificate_file import write_certificate

    try:
        check_size(network, len(rows))
    except ValueError as error:
        msg = f"--record: {error} by --rows"
        raise UsageError(msg) from error
    stages = stage_results(network, rows)
    certificate = certify(network, rows, stages, **device_facts(device, network))
    write_certificate(path, certificate, force=force)
    return {device.name: (certificate.stages, dict(certificate.facts))}
