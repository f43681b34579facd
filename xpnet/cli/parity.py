"""``xpnet parity``: whether devices and libraries agree, and where they do not."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    Subparsers,
    UsageError,
    add_common_arguments,
    add_data_arguments,
    file_name,
)
from xpnet.cli.candidates import open_candidates
from xpnet.cli.models import Model, add_model_arguments, open_model, stream_rows
from xpnet.cli.parity_report import print_batches, print_report, report_as_json
from xpnet.cli.report import print_json, print_line
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import show_progress, tell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.networks.network import Network
    from xpnet.parity.report import Report
    from xpnet.parity.stage_statistics import Agreement

__all__ = ["add_parser"]

_ROWS = 10_000


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "parity",
        help="compare devices and libraries, against derived bounds",
        description="Compare what devices and libraries compute, layer by layer, with the same"
        " network in float64, against derived bounds of the rounding errors. Exit code 1: a result"
        " is out of bound, or too few have a bound to judge.",
        allow_abbrev=False,
    )
    add_data_arguments(parser, rows=_ROWS)
    add_model_arguments(parser, batch_size=False)
    _add_candidates(parser)
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--confidence",
        type=_share,
        default=1.0 - 1e-6,
        metavar="P",
        help="with which no correct result at all is out of bound (default: 0.999999)",
    )
    bound.add_argument(
        "--worst-case",
        action="store_true",
        help="bounds that a correct computation cannot exceed; far wider",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--record",
        type=file_name,
        metavar="FILE",
        help="write what --device computes to a certificate, an npz",
    )
    what.add_argument(
        "--check", type=file_name, metavar="FILE", help="compare what a certificate holds as well"
    )
    what.add_argument(
        "--batch-invariance",
        action="store_true",
        help="measure how far an image's result moves with batch size and place instead",
    )
    parser.add_argument(
        "--plot", type=file_name, metavar="FILE", help="draw the agreement: .png, .svg or .pdf"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run, batch_size=None)


def _add_candidates(parser: argparse.ArgumentParser) -> None:
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
        " folded into the weights; may be given again",
    )
    parser.add_argument(
        "--outputs-only",
        action="store_true",
        help="compare the outputs alone, as of networks with other layers, or units in another"
        " order",
    )


def _words(text: str) -> list[str]:
    """Return the words of a list with commas; an argparse type."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        msg = f"must be words with commas between them; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(words))


def _share(text: str) -> float:
    """Return a number between 0 and 1; an argparse type."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 < number < 1.0:
        msg = f"must be a number above 0 and below 1; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return number


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.parity.report import compare

    _check_arguments(args)
    model, device = open_model(args, stopwatch)
    if args.device == "auto":
        tell(device.reason)
    network, rows = _read_rows(args, model, stopwatch)
    if args.batch_invariance:
        return _measure_batches(args, network, rows)
    counted = show_progress(total=len(rows), desc="comparing", unit=" images", delay=1.0)
    with ExitStack() as settings, counted as progress:
        candidates = open_candidates(args, network, device, rows, settings)
        stopwatch.switch("computing")
        report = compare(
            network,
            rows,
            {name: candidate for name, (candidate, _) in candidates.items()},
            confidence=args.confidence,
            worst_case=args.worst_case,
            outputs_only=args.outputs_only,
            progress=progress,
        )
    args.verdict = 0 if report.is_in_bound else 1  # also if nobody reads to the end
    if args.plot is not None:
        _draw(args, network, report)
    facts = {name: facts for name, (_, facts) in candidates.items()}
    if args.json:
        print_json(report_as_json(args, network, report, facts, stopwatch.seconds()))
    else:
        print_report(args, network, report, facts)
        for path in filter(None, (args.record, args.plot)):
            print_line(f"wrote {path}")
    code: int = args.verdict
    return code


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuse, before any work, what would fail after it."""
    from xpnet.files.writing import check_target

    if args.batch_invariance:
        _refuse(args, "--batch-invariance, which measures --device alone", plot=True)
    if args.record is not None:
        _refuse(args, "--record, which writes what --device computes")
    written = [path for path in (args.record, args.plot) if path is not None]
    if len(written) == 2 and Path(written[0]).resolve() == Path(written[1]).resolve():
        msg = f"--record and --plot must be two files; got {args.plot} for both"
        raise UsageError(msg)
    if args.plot is not None:
        from xpnet.pictures.saving import check_picture

        try:
            check_picture(args.plot)
        except ValueError as error:
            raise UsageError(str(error)) from error
    for path in written:
        check_target(path, force=args.force)


def _refuse(args: argparse.Namespace, beside: str, *, plot: bool = False) -> None:
    names = ["devices", "libraries", "against", *["plot", "worst_case"] * plot]
    for name in names:
        if getattr(args, name):
            msg = f"--{name.replace('_', '-')} does not go with {beside}"
            raise UsageError(msg)


def _read_rows(
    args: argparse.Namespace, model: Model, stopwatch: Stopwatch
) -> "tuple[Network, NDArray[Any]]":
    import numpy as np

    from xpnet.files.errors import DataError

    network, stream = stream_rows(args, model, "reading", stopwatch, want_labels=False)
    blocks = [rows for rows, _ in stream]
    if not any(map(len, blocks)):
        what = "no images to compare with"
        raise DataError(what, file=args.data)
    return network, np.concatenate(blocks)


def _measure_batches(args: argparse.Namespace, network: "Network", rows: "NDArray[Any]") -> int:
    from xpnet.parity.batch_effects import batch_sensitivity

    found = batch_sensitivity(network, rows)
    result = {"data": args.data, "model": args.model, "network": repr(network), **found.to_json()}
    args.verdict = 0 if found.is_invariant else 1
    if args.json:
        print_json(result)
    else:
        print_batches(result)
    code: int = args.verdict
    return code


def _draw(args: argparse.Namespace, network: "Network", report: "Report") -> None:
    from xpnet.parity.bounds.error_bound import stage_names
    from xpnet.pictures.error_bounds import draw_agreement
    from xpnet.pictures.saving import save_figure

    names = stage_names(network)
    shares = {
        name: [_share_of(found, stage) for stage in names]
        for name, found in report.candidates.items()
    }
    figure = draw_agreement(names, shares, title=f"{args.model}, {report.dtype}")
    save_figure(figure, args.plot, force=args.force)


def _share_of(found: "Agreement", name: str) -> float | None:
    """Return a stage's largest share of its bound; None where it was not judged."""
    return next((stage.largest_share for stage in found.stages if stage.name == name), None)
