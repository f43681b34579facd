"""``xpnet bench``: throughput of a network at each batch size on this machine."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xpnet.cli.data import in_file, open_rows
from xpnet.cli.options import JSON, MODEL, UNLABELLED, Option, integers
from xpnet.cli.report import Outcome, plural
from xpnet.cli.streams import progress_bar
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.inference.throughput import Throughput

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
    **given: Any,
) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.inference.throughput import BATCH_SIZES, measure_throughput

    sizes = sorted(set(batch_sizes or BATCH_SIZES))
    most = max(*sizes, *BATCH_SIZES)
    n_read = most if rows is None else min(rows, most)
    with open_rows(data, "reading", given, want_labels=False, rows=n_read) as found:
        images = np.concatenate([block for block, _ in found.blocks()])
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
    too_large = sorted(set(sizes) - {speed.batch_size for speed in speeds})
    facts = {
        **found.facts(),
        "results": "values" if network.output == "values" else "labels",
        "rounds": _ROUNDS,
        "speeds": [asdict(speed) for speed in speeds],
        "best_batch_size": fastest.batch_size,
        "images_per_second": fastest.best,
        "too_large": too_large,
        "n_images": found.n,
    }
    reason = "a batch takes more than 1 GB or 5 seconds"
    table = {
        "best": f"{_rate(fastest.best)} images per second in batches of {fastest.batch_size:,}",
        **found.table(facts),
        "left out": f"{', '.join(f'{size:,}' for size in too_large)} ({reason})"
        if too_large
        else None,
    }
    return Outcome(facts, table, _lines(speeds))


def _lines(speeds: "Sequence[Throughput]") -> Iterator[str]:
    """Yield the table of batch sizes."""
    yield from ("", "batch size  images/s, best        median  times as fast")
    for speed in speeds:
        best, median, times = _rate(speed.best), _rate(speed.median), speed.best / speeds[0].best
        yield f"{speed.batch_size:>10,}  {best:>14}  {median:>12}  {times:>13.1f}"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 2}f}"
