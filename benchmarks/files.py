"""Files of weights: how fast they load, in how much memory, and what a fixed batch costs.

    python benchmarks/files.py --json files.json
    python benchmarks/files.py --model mnist-net_256x2.onnx --data train-images-idx3-ubyte.gz

Three questions, each answered in rounds that take turns with a rival; best and median are told.
How long does the embedded network take to load, beyond the import? How long does a large
safetensors file, and how much memory, beside reading its bytes? And what is it worth that xpnet
lifts the batch that a file fixes at 1, beside ONNX Runtime, which computes row by row: as raw
rows come, and, for what its runs cost alone, with all rows scaled before?
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import about, headline
from threadpoolctl import threadpool_limits

import xpnet

Seconds = dict[str, list[float]]

# Run in processes of their own: memory is not given back, and caches would be warm.
_START_UP = """
import time, xpnet
load = xpnet.load
start = time.perf_counter()
load("sample")
print(time.perf_counter() - start)
"""
_READ = """
import sys, time
start = time.perf_counter()
content = open(sys.argv[1], "rb").read()
print(time.perf_counter() - start)
"""
_LOAD = """
import sys, time, xpnet
load = xpnet.load
start = time.perf_counter()
network = load(sys.argv[1])
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) * 1024)
"""


def main() -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--model", metavar="FILE", help="ONNX (default: made here, 784-256-256-10)")
    parser.add_argument("--data", metavar="DATA", help="images (default: random bytes)")
    parser.add_argument("--rows", type=int, default=60_000, help="(default: 60000)")
    parser.add_argument("--megabytes", type=int, default=500, help="of safetensors (default: 500)")
    parser.add_argument("--rounds", type=int, default=7, help="(default: 7)")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    args = parser.parse_args()
    if args.quick:
        args.rows, args.megabytes, args.rounds = 200, 8, 1

    facts = about("xpnet", "numpy", "onnxruntime", "onnx")
    print(headline(facts))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "about": facts,
            "start-up": started(args.rounds),
            "safetensors": loaded(folder / "large.safetensors", args.megabytes, args.rounds),
            "fixed batch": lifted(folder, args),
        }
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def started(rounds: int) -> dict[str, float]:
    """Measure how long the embedded network takes to load, beyond the import."""
    found = summary([run(_START_UP)[0] for _ in range(rounds)])
    print(f"embedded network loaded in {1e3 * found['best']:.1f} ms, {spread(found, 1e3)}")
    return found


def loaded(path: Path, megabytes: int, rounds: int) -> dict[str, Any]:
    """Measure how long a large file takes to load beside reading its bytes, and the peak memory."""
    n = int((megabytes * 1e6 / 4) ** 0.5)
    draw = np.random.default_rng(0).standard_normal
    layer = xpnet.Dense(draw((n, n), np.float32), np.zeros(n, np.float32))
    xpnet.save(xpnet.Network([layer]), path)
    size = path.stat().st_size
    seconds: Seconds = {"load": [], "read": []}
    peaks = []
    for _ in range(rounds):
        seconds["read"].append(run(_READ, path)[0])
        load, peak = run(_LOAD, path)
        seconds["load"].append(load)
        peaks.append(peak)
    found = {name: summary(times) for name, times in seconds.items()}
    ratios = {key: found["load"][key] / found["read"][key] for key in found["load"]}
    share = max(peaks) / size
    print(
        f"safetensors of {size / 1e6:,.0f} MB: {1e3 * found['load']['best']:.0f} ms, as long as"
        f" {ratios['best']:.2f} open().read() ({ratios['median']:.2f} by median); peak memory"
        f" {share:.2f} times its size"
    )
    return {"bytes": size, "seconds": found, "ratio": ratios, "peak share": share}


def lifted(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure xpnet on all rows beside ONNX Runtime row by row, on a file that fixes its batch."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        print("fixed batch: onnxruntime is missing")
        return {"missing": "onnxruntime"}
    path = Path(args.model) if args.model else made(folder / "fixed.onnx")
    images = read_images(args)
    network = replace(xpnet.load(path), preprocessing=(xpnet.Scale(1 / 255),))
    found: dict[str, Any] = {}
    for n_threads in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        contenders = {
            "xpnet": partial(predicted, network, images, n_threads),
            "ONNX Runtime": partial(row_by_row, session, images),
            "its runs alone": partial(runs_alone, session, images),
        }
        own, *others = (contender() for contender in contenders.values())
        n_differ = max(int(np.count_nonzero(own != other)) for other in others)
        seconds = {name: summary(times) for name, times in measure(contenders, args.rounds).items()}
        ratios = {
            name: {key: seconds[name][key] / seconds["xpnet"][key] for key in seconds["xpnet"]}
            for name in ("ONNX Runtime", "its runs alone")
        }
        print(
            f"{len(images):,} rows, batch fixed at 1, {n_threads} threads: xpnet"
            f" {seconds['xpnet']['best']:.3f} s; {n_differ} labels differ"
        )
        for name, ratio in ratios.items():
            print(
                f"  {name} {seconds[name]['best']:.3f} s: {ratio['best']:.1f} times as long"
                f" ({ratio['median']:.1f} by median)"
            )
        found[str(n_threads)] = {
            "seconds": seconds,
            "ratio": ratios,
            "labels that differ": n_differ,
        }
    return {"model": path.name, "rows": len(images), "threads": found}


def made(path: Path) -> Path:
    """Write an ONNX network of 784-256-256-10 whose batch is 1, as torch once did."""
    import onnx

    start = xpnet.init_network([784, 256, 256, 10], activation="relu", scheme="he")
    xpnet.save(start, path)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    return path


def read_images(args: argparse.Namespace) -> NDArray[np.uint8]:
    """Return rows of raw bytes."""
    if args.data is None:
        return np.random.default_rng(0).integers(0, 256, (args.rows, 784), np.uint8)
    images, _ = xpnet.read(args.data, rows=args.rows)
    return images.reshape(len(images), -1).astype(np.uint8)


def predicted(network: xpnet.Network, images: NDArray[np.uint8], n_threads: int) -> NDArray[Any]:
    """Return labels by xpnet."""
    with threadpool_limits(n_threads):
        return np.asarray(xpnet.predict(network, images))


def row_by_row(session: Any, images: NDArray[np.uint8]) -> NDArray[Any]:
    """Return labels by ONNX Runtime, which is given raw rows one by one."""
    source = session.get_inputs()[0]
    name, shape, run_one = source.name, source.shape, session.run
    factor = np.float32(1 / 255)
    labels = [
        run_one(None, {name: (row.astype(np.float32) * factor).reshape(shape)})[0].argmax()
        for row in images
    ]
    return np.asarray(labels)


def runs_alone(session: Any, images: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the same if all rows are scaled together before, and judged together after."""
    source = session.get_inputs()[0]
    name, run_one = source.name, session.run
    rows = (images.astype(np.float32) * np.float32(1 / 255)).reshape(len(images), *source.shape)
    logits = [run_one(None, {name: row})[0] for row in rows]
    return np.concatenate(logits).argmax(axis=1)


def measure(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> Seconds:
    """Return the seconds of each round; contenders take turns."""
    seconds: Seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def run(code: str, *arguments: Path) -> list[float]:
    """Run code in a process of its own; return the numbers that it prints."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(  # noqa: S603 (our own code)
        words, capture_output=True, text=True, check=True, env=environment
    )
    return [float(number) for number in done.stdout.split()]


def summary(times: list[float]) -> dict[str, float]:
    """Return the best and the median."""
    return {"best": min(times), "median": statistics.median(times)}


def spread(found: dict[str, float], unit: float) -> str:
    """Return the median as text."""
    return f"{unit * found['median']:.1f} by median"


if __name__ == "__main__":
    sys.exit(main())
