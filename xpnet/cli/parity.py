"""``xpnet parity``: agreement of devices and libraries within derived error bounds."""

import argparse
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    check_output,
    file_name,
    from_args,
    number_type,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.input_range import stream_rows, with_range
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.parity_report import draw_report, report_facts, report_lines
from xpnet.cli.report import Outcome, Stopwatch, device_facts
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

    # By name: a network, or the recorded results of its stages; and where it was computed.
    Candidates = dict[str, tuple[Any, dict[str, str]]]

_ROWS = 10_000


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "parity",
        help="compare devices and libraries, against derived bounds",
        description="Compare the results of devices and libraries, layer by layer, with the same"
        " network in float64, against derived bounds of the rounding errors. Exit code 1: a result"
        " is out of bound, or too few results have a bound.",
    )
    add_data_arguments(parser, rows=_ROWS)
    add_device_arguments(parser, batch_size=False, threads=False)
    add_model_arguments(parser)
    add = partial(add_option, parser)
    parser.set_defaults(devices=[], libraries=[], against=[])
    add("--devices LIST", _words, "devices to compare, such as cpu,gpu (default: that of --device)")
    add("--libraries LIST", _words, "libraries to compare as well, such as numpy,torch,jax")
    text = "another file of the same network to compare as well, such as one with the scale folded"
    text += " into the weights; may be repeated"
    add("--against MODEL", file_name, text, action="append")
    text = "compare the outputs alone, for networks with other layers or another order of units"
    parser.add_argument("--outputs-only", action="store_true", help=text)
    bound = parser.add_mutually_exclusive_group()
    text = "probability that no correct result is out of bound"
    probability = number_type(lambda x: 0.0 < x < 1.0, "a number above 0 and below 1")
    add_option(bound, "--confidence P", probability, text, default=0.999999)
    text = "use bounds that a correct computation cannot exceed, which are far wider"
    bound.add_argument("--worst-case", action="store_true", help=text)
    what = parser.add_mutually_exclusive_group()
    text = "write the results of --device to a certificate, such as gpu.npz"
    add_option(what, "--record FILE", file_name, text)
    add_option(what, "--check FILE", file_name, "compare the results in a certificate, too")
    add("--plot FILE", file_name, "draw the agreement: .png, .svg or .pdf")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser, run)


def _words(text: str) -> list[str]:
    """Return the words of a list such as "cpu,gpu"; an argparse type."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        msg = f"must be words with commas between them; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(words))


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.parity.report import compare

    _check_arguments(args)
    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    with ExitStack() as settings, computation_errors(data.path):
        model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
        if options.device == "auto":
            print_note(device.reason)
        network, rows = _read_rows(data, model, stopwatch)
        facts = {"data": data.path, "model": model.name, "network": repr(network)}
        bar = settings.enter_context(progress_bar(total=len(rows), desc="comparing", delay=1.0))
        if args.record is None:
            candidates = _open_candidates(args, network, device, rows, settings)
        else:
            candidates = _record(args, network, device, rows)
        stopwatch.switch("computing")
        report = compare(
            network,
            rows,
            {name: candidate for name, (candidate, _) in candidates.items()},
            confidence=args.confidence,
            worst_case=args.worst_case,
            outputs_only=args.outputs_only,
            progress=None if bar is None else bar.update,
        )
    where = {name: where for name, (_, where) in candidates.items()}
    if args.plot is not None:
        draw_report(args.plot, facts, network, report, force=args.force)
    written = [f"wrote {path}" for path in (args.record, args.plot) if path is not None]
    return Outcome(
        {**facts, **report_facts(report, where), "seconds": stopwatch.seconds()},
        chain(report_lines(facts, report, where), written),
        0 if report.is_in_bound else 1,
    )


def _check_arguments(args: argparse.Namespace) -> None:
    """Raise, before any work, an error for arguments that exclude each other, or an output file."""
    omitted, why = ["devices", "libraries", "against"], ""
    if args.record is not None:
        why = "--record, which writes the results of --device"
    given = [name.replace("_", "-") for name in omitted if getattr(args, name)]
    if why and given:
        msg = f"--{given[0]} does not go with {why}"
        raise UsageError(msg)
    if args.record and args.plot and Path(args.record).resolve() == Path(args.plot).resolve():
        msg = f"--record and --plot must be two files; got {args.plot} for both"
        raise UsageError(msg)
    if args.plot is not None:
        check_output(args.plot, force=args.force, kind="picture")
    if args.record is not None:
        check_output(args.record, force=args.force)


def _read_rows(data: Data, model: Model, stopwatch: Stopwatch) -> "tuple[Network, NDArray[Any]]":
    import numpy as np

    from xpnet.files.errors import DataError

    network, stream = stream_rows(data, model, {}, "reading", stopwatch, want_labels=False)
    blocks = [rows for rows, _ in stream]
    if not any(map(len, blocks)):
        what = "no images to compare with"
        raise DataError(what, file=data.path)
    return network, np.concatenate(blocks)


def _open_candidates(
    args: argparse.Namespace,
    network: "Network",
    device: "Device",
    rows: "NDArray[Any]",
    settings: ExitStack,
) -> "Candidates":
    """Return the candidates of a certificate, of devices, libraries and files.

    Settings that the libraries need are entered into `settings`. Raises UsageError for a device or
    library that is unknown or not installed, DeviceError for a device that is not usable, DataError
    for a certificate that is damaged or belongs to another network or input, and WeightsError for a
    file of another network.
    """
    from xpnet.arrays.device import Device
    from xpnet.parity.certificate_file import read_certificate

    candidates: Candidates = {}
    if args.check is not None:
        certificate = read_certificate(args.check, network, rows)
        name = f"{certificate.facts['device']}, recorded"
        candidates[name] = certificate.stages, dict(certificate.facts)
    try:
        devices = [Device(word) for word in args.devices] or [device]
    except ValueError as error:
        msg = f"--devices: {error}"
        raise UsageError(msg) from error
    for other in devices:
        candidates[other.name] = network.to(other), device_facts(other, network)
    for library in args.libraries:
        candidates[library] = _on_library(library, network, settings)
    for path in args.against:
        candidate = _open_file(path, args, network, rows)
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


def _open_file(
    path: str, args: argparse.Namespace, network: "Network", rows: "NDArray[Any]"
) -> "Network":
    from xpnet.files.errors import WeightsError
    from xpnet.parity.candidates import check_candidate

    model_options = replace(ModelOptions.from_args(args), source=path)
    model, _ = open_model(model_options, from_args(DeviceOptions, args), Stopwatch())
    candidate = with_range(model, args.path, rows)
    try:
        check_candidate(network, candidate, outputs_only=args.outputs_only)
    except ValueError as error:
        text = str(error).replace("outputs_only=True", "--outputs-only")
        what, hint = "not the same network", text.replace("`candidates`", "it")
        raise WeightsError(what, file=path, hint=hint) from error
    return candidate


def _record(
    args: argparse.Namespace, network: "Network", device: "Device", rows: "NDArray[Any]"
) -> "Candidates":
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
    write_certificate(args.record, certificate, force=args.force)
    return {device.name: (certificate.stages, dict(certificate.facts))}
