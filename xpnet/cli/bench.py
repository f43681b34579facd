"""``xpnet bench``: throughput of a network at each batch size on this machine."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    add_output_arguments,
    check_output,
    file_name,
    from_args,
    positive,
    positive_numbers,
)
from xpnet.cli.data_arguments import DATA_HELP, Data, add_reading_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.input_range import with_range
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import Outcome, Stopwatch, device_facts, network_text, table
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.inference.throughput import Throughput
    from xpnet.networks.network import Network

_SAMPLE_INPUTS = 784
_RANDOM_ROWS = 1000
_RANDOM_BYTES = 10**8


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "bench",
        help="measure images per second, one by one and in batches",
        description="Measure how many images per second a network classifies at each batch size,"
        " from raw rows in host memory to labels in host memory. Images are repeated if a batch"
        " has more rows.",
        examples=(
            "bench",
            "bench --model model.safetensors --device gpu -o speed.png",
        ),
        common="--model --device --threads --batch-sizes --rounds --output --force --json",
    )
    text = f"{DATA_HELP} (default: sample, or random bytes for a network that does not take"
    text += f" {_SAMPLE_INPUTS} inputs)"
    parser.add_argument("path", nargs="?", type=file_name, metavar="DATA", help=text)
    add_reading_arguments(parser, labels=False)
    add_device_arguments(parser, batch_size=False, reproducible=True)
    add_model_arguments(parser)
    text = "batch sizes to time (default: 1,10,100,1000,10000,100000)"
    add_option(parser, "--batch-sizes N,N,...", positive_numbers, text)
    text = "number of measurements of each batch size"
    add_option(parser, "--rounds N", positive, text, default=5)
    add_output_arguments(parser, "draw the speeds: a .png, .svg or .pdf file")
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.inference.throughput import BATCH_SIZES

    options = from_args(DeviceOptions, args)
    if args.output is not None:
        check_output(args.output, force=args.force, kind="picture")
    sizes = tuple(sorted(set(args.batch_sizes or BATCH_SIZES)))
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if args.path is None and model.network.n_in != _SAMPLE_INPUTS:
        name, images = "random bytes", _random_bytes(model)
    else:
        data = replace(from_args(Data, args), path=args.path or "sample")
        name, images = data.path, _read_images(data, model, sizes[-1])
    network = with_range(model, name, images)
    where = device_facts(device, network)
    with computation_errors(name):
        speeds = _measure(args, sizes, network, images, stopwatch)
    if not speeds:
        msg = f"--batch-sizes: no batch of {sizes[0]:,} images fits into 1 GB"
        raise UsageError(msg)
    fastest = max(speeds, key=lambda speed: speed.best)
    facts = {
        "data": name,
        "model": model.name,
        "network": network_text(network),
        "results": "values" if network.output == "values" else "labels",
        **where,
        "device_reason": device.reason,
        "threads": options.threads,
        "reproducible": options.reproducible,
        "rounds": args.rounds,
        "speeds": list(map(asdict, speeds)),
        "best_batch_size": fastest.batch_size,
        "images_per_second": fastest.best,
        "times_as_fast": fastest.best / speeds[0].best,
        "output": args.output,
        "seconds": stopwatch.seconds(),
        "left_out": sorted(set(sizes) - {speed.batch_size for speed in speeds}),
        "n_images": len(images),
    }
    if args.output is not None:
        _draw(args, facts, speeds)
    return Outcome(facts, _lines(facts, speeds))


def _measure(
    args: argparse.Namespace,
    sizes: tuple[int, ...],
    network: "Network",
    images: "NDArray[Any]",
    stopwatch: Stopwatch,
) -> "list[Throughput]":
    """Return the speed at each batch size."""
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.throughput import measure_throughput

    total = len(sizes) * (args.rounds + 1)
    timing = progress_bar(total=total, desc="timing", unit=" rounds")
    with stopwatch.measure("computing"), count_nonfinite(), timing as bar:
        progress = None if bar is None else bar.update
        options = {"rounds": args.rounds, "threads": args.threads, "progress": progress}
        return measure_throughput(network, images, batch_sizes=sizes, **options)


def _read_images(data: Data, model: Model, largest: int) -> "NDArray[Any]":
    """Return rows of DATA, at most as many as the largest batch has."""
    from xpnet.inference.throughput import BATCH_SIZES, rows_in_memory

    most = min(max(largest, *BATCH_SIZES), max(rows_in_memory(model.network), 1))
    data = replace(data, rows=most if data.rows is None else min(data.rows, most))
    rows: NDArray[Any]
    rows, _ = data.read_rows(model.network.n_in, "time", want_labels=False)
    return rows


def _random_bytes(model: Model) -> "NDArray[Any]":
    import numpy as np

    n_in = model.network.n_in
    print_note(f"{model.name} takes {n_in:,} inputs; without DATA, it is timed on random bytes")
    n_rows = max(min(_RANDOM_ROWS, _RANDOM_BYTES // n_in), 1)
    return np.random.default_rng(0).integers(0, 256, (n_rows, n_in), np.uint8)


def _draw(args: argparse.Namespace, facts: Mapping[str, Any], speeds: "list[Throughput]") -> None:
    from xpnet.pictures.saving import save_figure
    from xpnet.pictures.throughput import draw_throughput

    figure = draw_throughput(
        [speed.batch_size for speed in speeds],
        [speed.best for speed in speeds],
        [speed.median for speed in speeds],
        title=facts["network"].partition(";")[0].replace("->", "\N{RIGHTWARDS ARROW}"),
        subtitle=_device_text(facts),
    )
    save_figure(figure, args.output, force=args.force)


def _lines(facts: Mapping[str, Any], speeds: "list[Throughput]") -> Iterator[str]:
    n_images, first = facts["n_images"], speeds[0]
    repeated = ", repeated" if n_images < max(speed.n_rows for speed in speeds) else ""
    rows = {
        "device": _device_text(facts),
        "network": facts["network"],
        "data": f"{facts['data']}, {n_images:,} images{repeated}",
    }
    if facts["device_reason"].startswith("auto"):
        rows["chosen"] = facts["device_reason"]
    yield from table(rows)
    yield ""
    against = "one by one" if first.batch_size == 1 else f"against {first.batch_size:,}"
    yield f"{'batch size':>10} {'images/s, best':>15} {'median':>12} {against:>15}"
    for speed in speeds:
        rates = f"{_rate(speed.best):>15} {_rate(speed.median):>12}"
        yield f"{speed.batch_size:>10,} {rates} {speed.best / first.best:>13.1f} x"
    yield ""
    yield from table(_findings(facts, speeds))


def _findings(facts: Mapping[str, Any], speeds: "list[Throughput]") -> dict[str, str]:
    """Return the conclusions from the table, as rows of text."""
    first, best_size = speeds[0].batch_size, facts["best_batch_size"]
    best = f"{_rate(facts['images_per_second'])} images per second in batches of {best_size:,}"
    if best_size != first:
        against = "one by one" if first == 1 else f"in batches of {first:,}"
        best += f", {facts['times_as_fast']:,.1f} times as fast as {against}"
    rows = {"best": best}
    if facts["left_out"]:
        sizes = ", ".join(f"{size:,}" for size in facts["left_out"])
        rows["left out"] = f"{sizes} (a batch takes more than 1 GB or 5 seconds)"
    if facts["output"] is not None:
        rows["wrote"] = facts["output"]
    return rows


def _device_text(facts: Mapping[str, Any]) -> str:
    threads = facts["threads"]
    in_threads = "" if threads is None else f", {threads} thread{'s' * (threads > 1)}"
    library = f"{facts['library']} {facts['library_version']}"
    tf32 = ", TF32" if facts["compute_type"].endswith("TF32") else ""
    same_bits = ", reproducible" if facts["reproducible"] else ""
    return f"{facts['device']} ({library}, {facts['hardware']}{in_threads}{tf32}{same_bits})"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 2}f}"
