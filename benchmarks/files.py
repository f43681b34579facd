"""Files: loading time and memory of weights, memory-mapped images, and fixed batch sizes.

    python benchmarks/files.py --json files.json
    python benchmarks/files.py --model mnist-net_256x2.onnx --data train-images-idx3-ubyte.gz

How long does the embedded network take to load, beyond the import? How long does a large
safetensors file take, and how much memory, beside reading its bytes? Does a memory-mapped file of
ten million images take as long per image as one of ten thousand, and how much memory? How much
faster is xpnet, which ignores a batch size that a file fixes at 1, than ONNX Runtime, which takes
row by row: from raw rows, and, for the cost of its runs alone, with all rows scaled before? All are
timed in turn, round by round.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness.measuring import spread, time_in_turns, turns
from harness.options import make_parser, parse, positive, write_json
from harness.processes import run_python
from harness.provenance import about, headline
from harness.registry import RIVALS, missing
from harness.rivals.base import FACTOR
from harness.rivals.onnx import session
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import xpnet

MAPPED_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
# In processes of their own, with fresh memory and caches.
_CODE = """
import sys, time
what, device, path, n_rows = sys.argv[1:]

def memory():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

if what == "read":
    start = time.perf_counter()
    content = open(path, "rb").read()
elif what == "load":
    import xpnet
    load = xpnet.load
    start = time.perf_counter()
    network = load(path, device=device)
else:
    import numpy as np
    import xpnet
    network = xpnet.prepare(xpnet.load("sample", device=device))
    xpnet.predict(network, np.zeros((10_000, 784), np.uint8))
    print(memory())
    images = np.memmap(path, np.uint8, "r", shape=(int(n_rows), 784))
    xpnet.predict(network, images)
    start = time.perf_counter()
    xpnet.predict(network, images)
print(time.perf_counter() - start, memory())
"""


def main() -> int:
    """Run the benchmark."""
    parser = make_parser(str(__doc__), 7)
    add = parser.add_argument
    add("--model", metavar="FILE", help="ONNX (default: made here, 784-256-256-10)")
    add("--data", metavar="DATA", help="images (default: random bytes)")
    add("--rows", type=positive, default=60_000, help="(default: 60000)")
    add("--megabytes", type=positive, default=500, help="of safetensors (default: 500)")
    args = parse(parser)
    if args.quick:
        args.rows, args.megabytes, args.rounds = 200, 8, 1
    facts = about("onnxruntime", "onnx", device=args.device)
    print(headline(facts))
    with tempfile.TemporaryDirectory() as name:
        result = {
            "about": facts,
            "start-up": _started(args),
            "safetensors": _loaded(Path(name) / "large.safetensors", args),
            "mapped": {n: _mapped(n, args) for n in MAPPED_ROWS[: 2 if args.quick else None]},
            "fixed batch": _lifted(Path(name), args),
        }
    write_json(args.json, result)
    return 0


def _numbers(args: argparse.Namespace, what: str, path: str, n_rows: int = 0) -> list[float]:
    output = run_python("-c", _CODE, what, args.device, path, str(n_rows))
    return [float(number) for number in output.split()]


def _started(args: argparse.Namespace) -> dict[str, float]:
    found = spread([_numbers(args, "load", "sample")[0] for _ in range(args.rounds)])
    best, median = 1e3 * found["best"], 1e3 * found["median"]
    print(f"embedded network loaded in {best:.1f} ms, {median:.1f} by median")
    return found


def _loaded(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return the time of loading a large file beside reading its bytes, and the peak memory."""
    n = int((args.megabytes * 1e6 / 4) ** 0.5)
    draw = np.random.default_rng(0).standard_normal
    layer = xpnet.Dense(draw((n, n), np.float32), np.zeros(n, np.float32))
    xpnet.save(xpnet.Network([layer]), path)
    size, peak = path.stat().st_size, 0.0
    seconds: dict[str, list[float]] = {"load": [], "read": []}
    for _, name in turns(range(args.rounds), ["read", "load"]):
        taken, memory = _numbers(args, name, str(path))
        seconds[name].append(taken)
        peak = max(peak, memory) if name == "load" else peak
    found = {name: spread(times) for name, times in seconds.items()}
    ratios = {key: found["load"][key] / found["read"][key] for key in found["load"]}
    print(
        f"safetensors of {size / 1e6:,.0f} MB: {1e3 * found['load']['best']:.0f} ms, as long as"
        f" {ratios['best']:.2f} open().read() ({ratios['median']:.2f} by median); peak memory"
        f" {peak / size:.2f} times its size"
    )
    return {"bytes": size, "seconds": found, "ratio": ratios, "peak share": peak / size}


def _mapped(n_rows: int, args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds and the additional memory for a memory-mapped file of black images."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(n_rows * 784)
        before, seconds, after = _numbers(args, "map", file.name, n_rows)
    added = after - before
    text = f"{1e6 * seconds / n_rows:.3f} microseconds a row, {added / 1e6:,.0f} MB more memory"
    print(f"memory-mapped, {n_rows:,} rows: {text}")
    return {"seconds": seconds, "bytes": added}


def _lifted(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return the times of xpnet on all rows and of ONNX Runtime row by row."""
    lack = missing({"ONNX Runtime": RIVALS["ONNX Runtime"]})
    if lack:
        print(f"fixed batch: {lack['ONNX Runtime']} is missing")
        return {"missing": lack["ONNX Runtime"]}
    path = Path(args.model) if args.model else _made(folder / "fixed.onnx")
    images = np.random.default_rng(0).integers(0, 256, (args.rows, 784), np.uint8)
    if args.data is not None:
        images, _ = xpnet.read(args.data, rows=args.rows)
        images = images.reshape(len(images), -1).astype(np.uint8)
    network = replace(xpnet.load(path), preprocessing=(xpnet.Scale(FACTOR),)).to(args.device)
    threads = {str(n): _compared(network, path, images, n, args) for n in (1, 2)}
    return {"model": path.name, "rows": len(images), "threads": threads}


def _made(path: Path) -> Path:
    """Write an ONNX network of 784-256-256-10 with batch size 1, as old exporters do."""
    import onnx

    xpnet.save(xpnet.init_network([784, 256, 256, 10], activation="relu", scheme="he"), path)
    model = onnx.load(path)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    return path


def _compared(
    network: xpnet.Network, path: Path, images: NDArray[np.uint8], n: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Return the times with `n` threads."""
    opened = session(str(path), args.device, n)
    actions = {
        "xpnet": partial(_predicted, network, images, n),
        "ONNX Runtime": partial(_row_by_row, opened, images),
        "its runs alone": partial(_runs_alone, opened, images),
    }
    own, *others = (action() for action in actions.values())
    n_differ = max(int(np.count_nonzero(own != other)) for other in others)
    times = time_in_turns(actions, args.rounds)
    seconds = {name: spread(each) for name, each in times.items()}
    ours, ratios = seconds["xpnet"], {}
    rows = f"{len(images):,} rows, batch fixed at 1, {n} threads"
    print(f"{rows}: xpnet {ours['best']:.3f} s; {n_differ} labels differ")
    for name in ("ONNX Runtime", "its runs alone"):
        ratios[name] = {key: seconds[name][key] / ours[key] for key in ours}
        text = "{best:.1f} times as long ({median:.1f} by median)".format(**ratios[name])
        print(f"  {name} {seconds[name]['best']:.3f} s: {text}")
    return {"seconds": seconds, "ratio": ratios, "labels that differ": n_differ}


def _predicted(network: xpnet.Network, images: NDArray[np.uint8], n: int) -> NDArray[Any]:
    with threadpool_limits(n):
        return np.asarray(xpnet.predict(network, images))


def _row_by_row(opened: Any, images: NDArray[np.uint8]) -> NDArray[Any]:
    source, run_one, factor = opened.get_inputs()[0], opened.run, np.float32(FACTOR)
    name, shape = source.name, source.shape
    labels = [
        run_one(None, {name: (row.astype(np.float32) * factor).reshape(shape)})[0].argmax()
        for row in images
    ]
    return np.asarray(labels)


def _runs_alone(opened: Any, images: NDArray[np.uint8]) -> NDArray[Any]:
    source, run_one = opened.get_inputs()[0], opened.run
    rows = (images.astype(np.float32) * np.float32(FACTOR)).reshape(len(images), *source.shape)
    return np.concatenate([run_one(None, {source.name: row})[0] for row in rows]).argmax(axis=1)


if __name__ == "__main__":
    sys.exit(main())
