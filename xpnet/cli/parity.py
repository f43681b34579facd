"""``xpnet parity``: agreement of devices and libraries, within error bounds or to the bit."""

import argparse
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli import exit_codes
from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    check_output,
    file_name,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.parity_candidates import (
    ParityInputs,
    ParityOptions,
    open_candidates,
    record_certificate,
)
from xpnet.cli.parity_report import report_facts, report_lines
from xpnet.cli.report import Outcome, Stopwatch, added_text, network_text
from xpnet.cli.scaled_rows import stream_rows
from xpnet.cli.streams import print_note
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.cli.parity_candidates import Candidate
    from xpnet.networks.network import Network

_ROWS = 10_000


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "parity",
        help="compare devices and libraries, against derived bounds or to the bit",
        description="Compare the results of devices and libraries, layer by layer, with the same"
        " network in float64, against derived bounds of the rounding errors; or, with"
        " --reproducible, bit by bit. Exit code 1: a result is out of bound, too few results have a"
        " bound, or a bit differs.",
        examples=(
            "parity --devices cpu,gpu",
            "parity train.csv --model model.onnx --devices cpu,torch:cpu,jax",
        ),
    )
    add_data_arguments(parser, rows=_ROWS, labels=False)
    add_device_arguments(parser, batch_size=False, threads=False, reproducible=True)
    add_model_arguments(parser)
    add = partial(add_option, parser)
    parser.set_defaults(devices=[], against=[])
    text = "devices to compare, such as cpu,gpu or cpu,torch:cpu,dpnp (default: that of --device)"
    add("--devices LIST", _words, text)
    text = "another file of the same network to compare as well, by its outputs if its layers have"
    text += " other widths; ONNX Runtime computes an ONNX file; may be repeated"
    add("--against MODEL", file_name, text, action="append")
    what = parser.add_mutually_exclusive_group()
    text = "write the results of --device to a certificate, such as gpu.npz"
    add_option(what, "--record FILE", file_name, text)
    text = "compare the results in a certificate, too; to the bit, if they are reproducible"
    add_option(what, "--check FILE", file_name, text)
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
    from xpnet.networks.reproducible import reproducible
    from xpnet.parity.onnx_outputs import ABSOLUTE_ERROR
    from xpnet.parity.report import compare

    data, place = Data.from_args(args, args.path), from_args(DeviceOptions, args)
    options, model_options = from_args(ParityOptions, args), ModelOptions.from_args(args)
    _check_options(options, place)
    with computation_errors(data.path):
        model, device = open_model(model_options, place, stopwatch)
        if place.device == "auto":
            print_note(device.reason)
        network, rows = _read_rows(data, model, stopwatch)
        facts = {
            "data": data.path,
            "model": model.name,
            "inputs": added_text(model, network),
            "network": network_text(network),
        }
        recorded = _read_certificate(options, place, network, rows)
        if recorded is not None and recorded[1]["arithmetic"] == "reproducible":
            network = reproducible(network)
        n_added = len(network.preprocessing) - len(model.network.preprocessing)
        inputs = ParityInputs(network, n_added, rows, device, model_options, place)
        if options.record is None:
            candidates = open_candidates(options, inputs, recorded)
        else:
            candidates = record_certificate(options.record, inputs, force=options.force)
        where = {name: where for name, (_, where) in candidates.items()}
        absolute = {
            name: ABSOLUTE_ERROR
            for name, facts_of in where.items()
            if facts_of["library"] == "onnxruntime" and not network.is_reproducible
        }
        stopwatch.switch("computing")
        report = compare(
            network,
            rows,
            {name: candidate for name, (candidate, _) in candidates.items()},
            absolute_errors=absolute,
        )
    written = [] if options.record is None else [f"wrote {options.record}"]
    return Outcome(
        {**facts, **report_facts(report, where), "seconds": stopwatch.seconds()},
        lines=chain(report_lines(facts, report, where), written),
        code=exit_codes.DONE if report.is_in_bound else exit_codes.OUT_OF_BOUND,
    )


def _check_options(options: ParityOptions, place: DeviceOptions) -> None:
    """Raise, before any work, an error for options that exclude each other, or an output file."""
    compared = {"devices": place.devices, "against": options.against}
    for name, given in compared.items():
        if options.record is not None and given:
            msg = f"--{name} does not go with --record, which writes the results of --device"
            raise UsageError(msg)
    if options.record is not None:
        check_output(options.record, force=options.force)


def _read_certificate(
    options: ParityOptions, place: DeviceOptions, network: "Network", rows: "NDArray[Any]"
) -> "Candidate | None":
    """Return the results of --check, if they go with the options; None without --check."""
    from xpnet.parity.certificate import read_record

    path = options.check
    if path is None:
        return None
    stages, facts = read_record(path, network, rows)
    if facts["arithmetic"] == "reproducible":
        if not place.reproducible:
            print_note(f"{path} holds reproducible results: bits are compared")
    elif place.reproducible:
        what = "recorded without --reproducible; record it again with --reproducible"
        raise DataError(what, file=path)
    return stages, facts


def _read_rows(data: Data, model: Model, stopwatch: Stopwatch) -> "tuple[Network, NDArray[Any]]":
    import numpy as np

    opened = stream_rows(data, model, {}, "reading", stopwatch, want_labels=False)
    with opened as (network, blocks, _):
        rows = np.concatenate([rows for rows, _ in blocks])
    if not len(rows):
        what = "no images to compare with"
        raise DataError(what, file=data.path)
    return network, rows
