"""How many images a second, one by one and in batches of up to 10,000.

    python benchmarks/forward.py --device cpu --json forward.json

From raw bytes on the host to labels on the host, so for a GPU the bus is in it. The batch sizes
take turns in rounds; the best and the median round are told. Before anything is timed, all
sizes must give the same labels.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import today

import xpnet

BATCH_SIZES = (1, 10, 100, 1000, 10_000)
# One by one, so many rows are enough to time; more would only take longer.
MOST_BATCHES = 1000


def main() -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    xpnet.add_device_argument(parser)
    parser.add_argument("--model", default="sample", help="a file of weights (default: sample)")
    parser.add_argument("--rounds", type=int, default=7, help="(default: 7)")
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    args = parser.parse_args()

    device = xpnet.Device(args.device)
    network = xpnet.load(args.model, device=device)
    images = np.tile(xpnet.sample()[0].reshape(-1, 784), (10, 1))
    check_labels(network, images)
    seconds = measure(network, images, 1 if args.quick else args.rounds)
    rates = {size: summarise(size, times) for size, times in seconds.items()}
    result = {"about": describe(device), "network": repr(network), "rates": rates}
    print_table(result)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def check_labels(network: xpnet.Network, images: NDArray[np.uint8]) -> None:
    """Stop unless every batch size gives the same labels; this is the warm-up, too."""
    expected = xpnet.predict(network, images[:MOST_BATCHES])
    for size in BATCH_SIZES:
        labels = xpnet.predict(network, images[:MOST_BATCHES], batch_size=size)
        if not np.array_equal(labels, expected):
            sys.exit(f"batches of {size} give other labels: nothing is timed")


def measure(
    network: xpnet.Network, images: NDArray[np.uint8], rounds: int
) -> dict[int, list[float]]:
    """Return the seconds of each round for each batch size."""
    seconds: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
    for _ in range(rounds):
        for size, times in seconds.items():
            rows = images[: size * MOST_BATCHES]
            start = time.perf_counter()
            xpnet.predict(network, rows, batch_size=size)
            times.append((time.perf_counter() - start) / len(rows))
    return seconds


def summarise(size: int, seconds_per_row: list[float]) -> dict[str, float]:
    """Return rows per second, best and median."""
    best, median = min(seconds_per_row), statistics.median(seconds_per_row)
    return {"batch_size": size, "best": 1 / best, "median": 1 / median}


def describe(device: xpnet.Device) -> dict[str, Any]:
    """Return what ran where and when."""
    return {
        "date": today(),
        "device": device.name,
        "hardware": device.hardware,
        "library": f"{device.library} {device.version}",
        "python": platform.python_version(),
        "system": platform.system(),
        "xpnet": xpnet.__version__,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the rates, and how they compare with one image at a time."""
    print(", ".join(f"{name} {value}" for name, value in result["about"].items()))
    print(result["network"])
    print(
        f"{'batch size':>10} {'images/s, best':>15} {'median':>12} {'best against one by one':>24}"
    )
    one = result["rates"][1]["best"]
    for size, rate in result["rates"].items():
        ratio = rate["best"] / one
        print(f"{size:>10,} {rate['best']:>15,.0f} {rate['median']:>12,.0f} {ratio:>24.1f}")


if __name__ == "__main__":
    sys.exit(main())
