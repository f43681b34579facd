"""``xpnet bench``: throughput of a network at each batch size on this machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xpnet.cli.data import in_file, open_rows
from xpnet.cli.model import added_text, open_model
from xpnet.cli.options import JSON, MODEL, UNLABELLED, Option, integers
from xpnet.cli.report import Clock, Outcome, device_facts, device_text, network_text, plural
from xpnet.cli.streams import progress_bar
from xpnet.files.errors import DataError

HELP = (
    "Measure how many images per second a network classifies at each batch size. The time is that"
    " from rows in host memory to labels in host memory. Images are repeated if a batch has more"
    " rows."
)
EXAMPLES = ("bench", "bench test.csv --model model.safetensors --device gpu")
_SIZES = "batch sizes to time (default: 1,10,100,1000,10000,100000)"
OPTIONS = [*UNLABELLED, *MODEL, Option("--batch-sizes N,N,...", integers, _SIZES), JSON]

_ROUNDS = 5


def run(
    data: str = "sample",
    *,
    batch_sizes: Sequence[int] | None = None,
    rows: int | None = None,
    reproducible: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.inference.throughput import BATCH_SIZES, measure_throughput, rows_in_memory

    clock, sizes = Clock(), sorted(set(batch_sizes or BATCH_SIZES))
    with clock.loading():
        model, device = open_model(reproducible=reproducible, **given)
    most = min(max(*sizes, *BATCH_SIZES), max(rows_in_memory(model.network), 1))
    more: dict[str, Any] = {"rows": most if rows is None else min(rows, most)}
    with open_rows(data, model, clock, "reading", given, want_labels=False, **more) as found:
        images = np.concatenate([block for block, _ in found.blocks])
    if not len(images):
        msg = "no images to time"
        raise DataError(msg, file=data)
    network, total = found.network, len(sizes) * (1 + _ROUNDS)  # a warm-up, and the rounds
    with in_file(data), progress_bar("timing", total, unit=" rounds") as bar:
        options: dict[str, Any] = {"batch_sizes": sizes, "rounds": _ROUNDS, "progress": bar.update}
        speeds = measure_throughput(network, images, **options)
    if not speeds:
        msg = f"--batch-sizes: no batch of {plural(sizes[0], 'image')} fits into memory"
        raise ValueError(msg)
    fastest = max(speeds, key=lambda speed: speed.best)
    facts = {
        "data": data,
        "model": model.name,
        "inputs": added_text(model, network),
        "network": network_text(network),
        "results": "values" if network.output == "values" else "labels",
        **device_facts(device),
        "reproducible": reproducible,
        "rounds": _ROUNDS,
        "speeds": [asdict(speed) for speed in speeds],
        "best_batch_size": fastest.batch_size,
        "images_per_second": fastest.best,
        "times_as_fast": fastest.best / speeds[0].best,
        "seconds": clock.seconds(),
        "left_out": sorted(set(sizes) - {speed.batch_size for speed in speeds}),
        "n_images": len(images),
    }
    return Outcome(facts, _rows(facts), _lines(facts))


def _rows(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the best speed and the circumstances as rows."""
    speeds, n_images = facts["speeds"], facts["n_images"]
    first, size = speeds[0]["batch_size"], facts["best_batch_size"]
    best = f"{_rate(facts['images_per_second'])} images per second in batches of {size:,}"
    if size != first:
        against = "one by one" if first == 1 else f"in batches of {first:,}"
        best += f", {facts['times_as_fast']:,.1f} times as fast as {against}"
    repeated = ", repeated" * (n_images < max(speed["n_rows"] for speed in speeds))
    left_out = ", ".join(f"{size:,}" for size in facts["left_out"])
    return {
        "best": best,
        "inputs": facts["inputs"],
        "device": device_text(facts, *["reproducible"] * facts["reproducible"]),
        "network": facts["network"],
        "data": f"{facts['data']}, {plural(n_images, 'image')}{repeated}",
        "left out": f"{left_out} (a batch takes more than 1 GB or 5 seconds)" if left_out else None,
    }


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of batch sizes."""
    speeds = facts["speeds"]
    first = speeds[0]["batch_size"]
    against = "one by one" if first == 1 else f"against {first:,}"
    yield from ("", f"{'batch size':>10} {'images/s, best':>15} {'median':>12} {against:>15}")
    for speed in speeds:
        best, median = _rate(speed["best"]), _rate(speed["median"])
        times = speed["best"] / speeds[0]["best"]
        yield f"{speed['batch_size']:>10,} {best:>15} {median:>12} {times:>13.1f} x"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 2}f}"
