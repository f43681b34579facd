"""``xpnet parity``: agreement of devices and libraries within derived error bounds."""

import argparse
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    check_output,
    file_name,
    from_args,
    number_type,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments, chosen_precision
from xpnet.cli.input_range import stream_rows, with_range
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.parity_candidates import (
    CandidateOptions,
    add_candidate_arguments,
    open_candidates,
    record,
)
from xpnet.cli.parity_report import batch_lines, draw_report, report_facts, report_lines
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.networks.network import Network

__all__ = ["add_parser"]

_ROWS = 10_000


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "parity",
        help="compare devices and libraries, against derived bounds",
        description="Compare the results of devices and libraries, layer by layer, with the same"
        " network in float64, against derived bounds of the rounding errors. Exit code 1: a result"
        " is out of bound, or too few results have a bound.",
        allow_abbrev=False,
    )
    add_data_arguments(parser, rows=_ROWS)
    add_device_arguments(parser, batch_size=False, threads=False)
    add_model_arguments(parser)
    add_candidate_arguments(parser)
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--confidence",
        type=number_type(lambda x: 0.0 < x < 1.0, "a number above 0 and below 1"),
        default=1.0 - 1e-6,
        metavar="P",
        help="probability that no correct result is out of bound (default: 0.999999)",
    )
    bound.add_argument(
        "--worst-case",
        action="store_true",
        help="use bounds that a correct computation cannot exceed, which are far wider",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--record",
        type=file_name,
        metavar="FILE",
        help="write the results of --device to a certificate, such as gpu.npz",
    )
    what.add_argument(
        "--check", type=file_name, metavar="FILE", help="compare the results in a certificate, too"
    )
    what.add_argument(
        "--batch-invariance",
        action="store_true",
        help="measure instead how much an image's result depends on its batch",
    )
    parser.add_argument(
        "--plot", type=file_name, metavar="FILE", help="draw the agreement: .png, .svg or .pdf"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.parity.report import compare

    _check_arguments(args)
    data, options = from_args(Data, args), from_args(DeviceOptions, args)
    model_options = ModelOptions.from_args(args)
    with ExitStack() as settings, computation_errors(data.path):
        settings.enter_context(chosen_precision(options, args.devices))
        model, device = open_model(model_options, options, stopwatch)
        if options.device == "auto":
            print_note(device.reason)
        network, rows = _read_rows(data, model, stopwatch)
        if args.batch_invariance:
            return _measure_batches(data.path, model.name, network, rows)

        def open_file(path: str) -> "Network":
            other, _ = open_model(replace(model_options, source=path), options, Stopwatch())
            return with_range(other, data.path, rows)

        bar = settings.enter_context(progress_bar(total=len(rows), desc="comparing", delay=1.0))
        if args.record is None:
            candidates = open_candidates(
                from_args(CandidateOptions, args),
                network,
                device,
                rows,
                open_file=open_file,
                settings=settings,
            )
        else:
            candidates = record(args.record, network, device, rows, force=args.force)
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
    facts = {"data": data.path, "model": model.name, "network": repr(network)}
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
    alone = {name: getattr(args, name) for name in ("devices", "libraries", "against")}
    if args.record is not None:
        _check_left_out(alone, "--record, which writes the results of --device")
    if args.batch_invariance:
        alone |= {"plot": args.plot, "worst_case": args.worst_case}
        _check_left_out(alone, "--batch-invariance, which measures --device alone")
    if args.record and args.plot and Path(args.record).resolve() == Path(args.plot).resolve():
        msg = f"--record and --plot must be two files; got {args.plot} for both"
        raise UsageError(msg)
    if args.plot is not None:
        check_output(args.plot, force=args.force, kind="picture")
    if args.record is not None:
        check_output(args.record, force=args.force)


def _check_left_out(given: dict[str, Any], option: str) -> None:
    for name, value in given.items():
        if value:
            msg = f"--{name.replace('_', '-')} does not go with {option}"
            raise UsageError(msg)


def _read_rows(data: Data, model: Model, stopwatch: Stopwatch) -> "tuple[Network, NDArray[Any]]":
    import numpy as np

    from xpnet.files.errors import DataError

    network, stream = stream_rows(data, model, None, "reading", stopwatch, want_labels=False)
    blocks = [rows for rows, _ in stream]
    if not any(map(len, blocks)):
        what = "no images to compare with"
        raise DataError(what, file=data.path)
    return network, np.concatenate(blocks)


def _measure_batches(data: str, model: str, network: "Network", rows: "NDArray[Any]") -> Outcome:
    from xpnet.parity.batch_effects import batch_sensitivity

    found = batch_sensitivity(network, rows)
    facts = {"data": data, "model": model, "network": repr(network), **found.to_json()}
    return Outcome(facts, batch_lines(facts), 0 if found.is_invariant else 1)
