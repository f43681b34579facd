"""``xpnet bench``: throughput of a network at each batch size on this machine."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    file_name,
    from_args,
    positive_integer,
    positive_integers,
)
from xpnet.cli.data_arguments import DATA_HELP, Data, add_reading_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.report import (
    Outcome,
    Stopwatch,
    added_text,
    chosen_text,
    device_facts,
    device_text,
    network_text,
    table,
)
from xpnet.cli.scaled_rows import with_range
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        examples=("bench", "bench --model model.safetensors --device gpu"),
    )
    text = f"{DATA_HELP} (default: sample, or random bytes for a network that does not take"
    text += f" {_SAMPLE_INPUTS} inputs)"
    parser.add_argument("path", nargs="?", type=file_name, metavar="DATA", help=text)
    add_reading_arguments(parser, labels=False)
    add_device_arguments(parser, batch_size=False, reproducible=True)
    add_model_arguments(parser)
    text = "batch sizes to time (default: 1,10,100,1000,10000,100000)"
    add_option(parser, "--batch-sizes N,N,...", positive_integers, text)
    text = "number of measurements of each batch size"
    add_option(parser, "--rounds N", positive_integer, text, default=5)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.inference.throughput import BATCH_SIZES, measure_throughput

    options, rounds = from_args(DeviceOptions, args), args.rounds
    data = Data.from_args(args, args.path or "sample")
    sizes = tuple(sorted(set(args.batch_sizes or BATCH_SIZES)))
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if args.path is None and model.network.n_in != _SAMPLE_INPUTS:
        name, images = "random bytes", _random_bytes(model)
    else:
        name, images = data.path, _read_images(data, model, sizes[-1])
    network = with_range(model, images)
    timing = progress_bar(total=len(sizes) * (rounds + 1), desc="timing", unit=" rounds")
    with computation_errors(name), stopwatch.measure("computing"), timing as bar:
        timed = {"batch_sizes": sizes, "rounds": rounds, "threads": options.threads}
        progress = None if bar is None else bar.update
        speeds = measure_throughput(network, images, **timed, progress=progress)
    if not speeds:
        msg = f"--batch-sizes: no batch of {sizes[0]:,} images fits into 1 GB"
        raise UsageError(msg)
    fastest = max(speeds, key=lambda speed: speed.best)
    facts = {
        "data": name,
        "model": model.name,
        "inputs": added_text(model, network),
        "network": network_text(network),
        "results": "values" if network.output == "values" else "labels",
        **device_facts(device),
        "device_reason": device.reason,
        "threads": options.threads,
        "reproducible": options.reproducible,
        "rounds": rounds,
        "speeds": list(map(asdict, speeds)),
        "best_batch_size": fastest.batch_size,
        "images_per_second": fastest.best,
        "times_as_fast": fastest.best / speeds[0].best,
        "seconds": stopwatch.seconds(),
        "left_out": sorted(set(sizes) - {speed.batch_size for speed in speeds}),
        "n_images": len(images),
    }
    return Outcome(facts, lines=_lines(facts))


def _read_images(data: Data, model: Model, largest: int) -> "NDArray[Any]":
    """Return rows of DATA, at most as many as the largest batch has."""
    from xpnet.inference.throughput import BATCH_SIZES, rows_in_memory

    most = min(max(largest, *BATCH_SIZES), max(rows_in_memory(model.network), 1))
    n_rows = most if data.rows is None else min(data.rows, most)
    return data.read_rows(model.network.n_in, "time", rows=n_rows, want_labels=False)[0]


def _random_bytes(model: Model) -> "NDArray[Any]":
    import numpy as np

    n_in = model.network.n_in
    print_note(f"{model.name} takes {n_in:,} inputs; without DATA, it is timed on random bytes")
    n_rows = max(min(_RANDOM_ROWS, _RANDOM_BYTES // n_in), 1)
    return np.random.default_rng(0).integers(0, 256, (n_rows, n_in), np.uint8)


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    n_images, speeds = facts["n_images"], facts["speeds"]
    repeated = ", repeated" if n_images < max(speed["n_rows"] for speed in speeds) else ""
    first, largest = speeds[0]["batch_size"], facts["best_batch_size"]
    best = f"{_rate(facts['images_per_second'])} images per second in batches of {largest:,}"
    if largest != first:
        against = "one by one" if first == 1 else f"in batches of {first:,}"
        best += f", {facts['times_as_fast']:,.1f} times as fast as {against}"
    left_out = ", ".join(f"{size:,}" for size in facts["left_out"])
    yield from table(
        {
            "best": best,
            "inputs": facts["inputs"],
            "device": _device_text(facts),
            "network": facts["network"],
            "data": f"{facts['data']}, {n_images:,} images{repeated}",
            "chosen": chosen_text(facts["device_reason"]),
            "left out": f"{left_out} (a batch takes more than 1 GB or 5 seconds)"
            if left_out
            else None,
        }
    )
    against = "one by one" if first == 1 else f"against {first:,}"
    yield ""
    yield f"{'batch size':>10} {'images/s, best':>15} {'median':>12} {against:>15}"
    for speed in speeds:
        best, median = _rate(speed["best"]), _rate(speed["median"])
        times = f"{speed['best'] / speeds[0]['best']:>13.1f} x"
        yield f"{speed['batch_size']:>10,} {best:>15} {median:>12} {times}"


def _device_text(facts: Mapping[str, Any]) -> str:
    threads = facts["threads"]
    more = [] if threads is None else [f"{threads} thread{'s' * (threads > 1)}"]
    return device_text(facts, *more, *["reproducible"] * facts["reproducible"])


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 2}f}"
