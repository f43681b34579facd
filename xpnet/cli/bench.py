"""``xpnet bench``: how fast is a network on this machine, one by one and in batches."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    DATA_HELP,
    Subparsers,
    UsageError,
    add_common_arguments,
    add_reading_arguments,
    as_data_error,
    file_name,
    positive,
    read_options,
)
from xpnet.cli.input_range import with_range
from xpnet.cli.models import Model, add_model_arguments, open_model
from xpnet.cli.report import network_text, print_json, print_line, print_table
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import show_progress, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.inference.throughput import Throughput
    from xpnet.networks.network import Network

__all__ = ["add_parser"]

_SAMPLE_INPUTS = 784
_RANDOM_ROWS = 1000
_RANDOM_BYTES = 10**8
# Speeds from here on are told without decimals.
_WHOLE = 10


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="measure images per second, one by one and in batches",
        description="Measure how many images a second a network takes at each batch size, from"
        " raw rows in host memory to labels in host memory. Images are repeated where a batch has"
        " more rows.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "data",
        nargs="?",
        type=file_name,
        metavar="DATA",
        help=f"{DATA_HELP} (default: those, or random bytes for a network of other than"
        f" {_SAMPLE_INPUTS} inputs)",
    )
    add_reading_arguments(parser)
    add_model_arguments(parser, batch_size=False)
    parser.add_argument(
        "--batch-sizes",
        type=_sizes,
        metavar="N,N,...",
        help="images at a time (default: 1,10,100 and so on up to 100000)",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="batches computed at a time on a CPU (default: as many as there are cores)",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=5,
        metavar="N",
        help="how often each batch size is timed (default: 5)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="draw the speeds: a .png, .svg or .pdf file",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({positive(size) for size in text.split(",")}))


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> int:
    """Run the command."""
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.throughput import (
        BATCH_SIZES,
        DifferingResultsError,
        measure_throughput,
    )

    _check_output(args)
    sizes = args.batch_sizes or BATCH_SIZES
    model, device = open_model(args, stopwatch)
    images = _images(args, model, sizes[-1])
    network = with_range(args, model, images)
    counted = show_progress(total=len(sizes) * (args.rounds + 1), desc="timing", unit=" rounds")
    with stopwatch.measure("computing"), count_nonfinite(), counted as progress:
        try:
            speeds = measure_throughput(
                network,
                images,
                batch_sizes=sizes,
                rounds=args.rounds,
                threads=args.threads,
                progress=progress,
            )
        except DifferingResultsError as error:
            tell(str(error))
            return 1
    if not speeds:
        msg = f"--batch-sizes: no batch of {sizes[0]:,} images fits into 1 GB"
        raise UsageError(msg)
    work = _describe(args, network, device, speeds, stopwatch)
    work["left_out"] = sorted(set(sizes) - {speed.batch_size for speed in speeds})
    work["n_images"] = len(images)
    if args.output is not None:
        _draw(args, work, speeds)
    if args.json:
        print_json(work)
    else:
        _print(work, speeds)
    return 0


def _check_output(args: argparse.Namespace) -> None:
    """Refuse a picture that could not be written, before and not after the measurement."""
    if args.output is None:
        return
    from xpnet.files.writing import check_target
    from xpnet.pictures.saving import check_picture, new_figure

    try:
        check_picture(args.output)
    except ValueError as error:
        raise UsageError(str(error)) from error
    check_target(args.output, force=args.force)
    new_figure(1.0, 1.0)  # is matplotlib here?


def _images(args: argparse.Namespace, model: Model, largest: int) -> "NDArray[Any]":
    """Return rows of DATA, no more than are timed, or random bytes; `args.data` says which."""
    from xpnet.datasets import read
    from xpnet.files.errors import DataError
    from xpnet.inference.batches import as_rows
    from xpnet.inference.throughput import BATCH_SIZES, rows_in_memory

    n_in = model.network.n_in
    if args.data is None and n_in != _SAMPLE_INPUTS:
        args.data = "random bytes"
        tell(f"{args.model} takes {n_in:,} inputs, and is timed on random bytes for want of DATA")
        return _random_bytes(n_in)
    args.data = args.data or "sample"
    most = min(max(largest, *BATCH_SIZES), max(rows_in_memory(model.network), 1))
    options = read_options(args, features=n_in, want_labels=False)
    options["rows"] = most if args.rows is None else min(args.rows, most)
    images, _ = read(args.data, **options)
    if not len(images):
        what = "no images to time"
        raise DataError(what, file=args.data)
    rows: NDArray[Any] = as_data_error(args.data, as_rows, images, n_in)
    return rows


def _random_bytes(n_in: int) -> "NDArray[Any]":
    import numpy as np

    n_rows = max(min(_RANDOM_ROWS, _RANDOM_BYTES // n_in), 1)
    return np.random.default_rng(0).integers(0, 256, (n_rows, n_in), np.uint8)


def _describe(
    args: argparse.Namespace,
    network: "Network",
    device: "Device",
    speeds: "list[Throughput]",
    stopwatch: Stopwatch,
) -> dict[str, Any]:
    """Return what was timed where and how fast it is, as JSON knows it."""
    from xpnet.arrays.matmul_precision import compute_type

    fastest = max(speeds, key=lambda speed: speed.best)
    return {
        "data": args.data,
        "model": args.model,
        "network": repr(network),
        "results": "values" if network.output == "values" else "labels",
        "device": device.name,
        "library": device.library,
        "library_version": device.version,
        "hardware": device.hardware,
        "device_reason": device.reason,
        "compute_type": compute_type(network.layers[0].weight),
        "threads": args.threads,
        "rounds": args.rounds,
        "speeds": list(map(asdict, speeds)),
        "best_batch_size": fastest.batch_size,
        "images_per_second": fastest.best,
        "times_as_fast": fastest.best / speeds[0].best,
        "output": args.output,
        "seconds": stopwatch.seconds(),
    }


def _draw(args: argparse.Namespace, work: "Mapping[str, Any]", speeds: "list[Throughput]") -> None:
    from xpnet.pictures.saving import save_figure
    from xpnet.pictures.throughput import draw_throughput

    figure = draw_throughput(
        [speed.batch_size for speed in speeds],
        [speed.best for speed in speeds],
        [speed.median for speed in speeds],
        title=network_text(work["network"]).partition(";")[0].replace("->", "\N{RIGHTWARDS ARROW}"),
        subtitle=_device_text(work),
    )
    save_figure(figure, args.output, force=args.force)


def _print(work: "Mapping[str, Any]", speeds: "list[Throughput]") -> None:
    n_images, largest = work["n_images"], max(speed.n_rows for speed in speeds)
    over = ", over and over" if n_images < largest else ""
    rows = {
        "device": _device_text(work),
        "network": network_text(work["network"]),
        "data": f"{work['data']}, {n_images:,} images{over}",
    }
    if work["device_reason"].startswith("auto"):
        rows["chosen"] = work["device_reason"]
    print_table(rows)
    first = speeds[0].batch_size
    against = "one by one" if first == 1 else f"against {first:,}"
    print_line("")
    print_line(f"{'batch size':>10} {'images/s, best':>15} {'median':>12} {against:>15}")
    for speed in speeds:
        print_line(
            f"{speed.batch_size:>10,} {_rate(speed.best):>15} {_rate(speed.median):>12}"
            f" {speed.best / speeds[0].best:>13.1f} x"
        )
    print_line("")
    print_table(_findings(work, speeds))


def _findings(work: "Mapping[str, Any]", speeds: "list[Throughput]") -> dict[str, str]:
    """Return what the table comes to, as rows of text."""
    first, best_size = speeds[0].batch_size, work["best_batch_size"]
    best = f"{_rate(work['images_per_second'])} images per second in batches of {best_size:,}"
    if best_size != first:
        against = "one by one" if first == 1 else f"in batches of {first:,}"
        best += f", {work['times_as_fast']:,.1f} times as fast as {against}"
    rows = {"best": best}
    if len(speeds) > 1:
        rows[work["results"]] = _agreement(speeds[1:])
    if work["left_out"]:
        sizes = ", ".join(f"{size:,}" for size in work["left_out"])
        rows["left out"] = f"{sizes} (a batch takes more than 1 GB or 5 seconds)"
    if work["output"] is not None:
        rows["wrote"] = work["output"]
    return rows


def _agreement(speeds: "list[Throughput]") -> str:
    worst = max(speeds, key=lambda speed: speed.n_differing)
    if worst.n_differing:
        counts = f"{worst.n_differing:,} of {worst.n_compared:,}"
        return f"{counts} differ in batches of {worst.batch_size:,}"
    least = min(speed.n_compared for speed in speeds)
    return f"the same at all sizes (of {least:,} images or more)"


def _device_text(work: "Mapping[str, Any]") -> str:
    threads = work["threads"]
    in_threads = "" if threads is None else f", {threads} thread{'s' * (threads > 1)}"
    library = f"{work['library']} {work['library_version']}"
    tf32 = ", TF32" if work["compute_type"].endswith("TF32") else ""
    return f"{work['device']} ({library}, {work['hardware']}{in_threads}{tf32})"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= _WHOLE else 2}f}"
