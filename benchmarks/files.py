"""Files: loading time and memory of weights, memory-mapped images, and fixed batch sizes.

    python benchmarks/files.py --json files.json
    python benchmarks/files.py --model mnist-net_256x2.onnx --data train-images-idx3-ubyte.gz

How long does a large safetensors file take to load, and how much memory, beside reading its bytes?
Does a memory-mapped file of ten million images take as long per image as one of ten thousand, and
how much memory? How much faster is xpnet, which ignores a batch size that a file fixes at 1, than
ONNX Runtime, which takes row by row: from raw rows, and, for the cost of its runs alone, with all
rows scaled before? All are timed in turn, round by round.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness.measuring import spread, time_in_turns, turns
from harness.options import make_parser, parse, write_json
from harness.processes import run_python
from harness.provenance import about, headline
from harness.registry import RIVALS, missing
from harness.rivals.base import FACTOR
from harness.rivals.onnx import session
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import xpnet

MAPPED_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
OURS, THEIRS, RUNS = "xpnet", "ONNX Runtime", "its runs alone"
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
    args = parse(parser)
    args.rounds = 1 if args.quick else args.rounds
    n_rows, n_bytes, n_files = (200, 8_000_000, 2) if args.quick else (60_000, 500_000_000, 4)
    facts = about("onnxruntime", "onnx", device=args.device)
    print(headline(facts))
    with tempfile.TemporaryDirectory() as name:
        result = {
            "about": facts,
            "safetensors": _loaded(Path(name) / "large.safetensors", n_bytes, args),
            "mapped": {n: _mapped(n, args.device) for n in MAPPED_ROWS[:n_files]},
            "fixed batch": _fixed_batch(Path(name), n_rows, args),
        }
    write_json(args.json, result)
    return 0


def _numbers(what: str, device: str, path: str, n_rows: int = 0) -> list[float]:
    output = run_python("-c", _CODE, what, device, path, str(n_rows))
    return [float(number) for number in output.split()]


def _loaded(path: Path, n_bytes: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the time of loading a large file beside reading its bytes, and the peak memory."""
    n = int((n_bytes / 4) ** 0.5)
    weight = np.random.default_rng(0).standard_normal((n, n), np.float32)
    xpnet.save(xpnet.Network([xpnet.Dense(weight, np.zeros(n, np.float32))]), path)
    size, peak = path.stat().st_size, 0.0
    seconds: dict[str, list[float]] = {"load": [], "read": []}
    for _, name in turns(range(args.rounds), ["read", "load"]):
        taken, memory = _numbers(name, args.device, str(path))
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


def _mapped(n_rows: int, device: str) -> dict[str, float]:
    """Return the seconds and the additional memory for a memory-mapped file of black images."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(n_rows * 784)
        before, seconds, after = _numbers("map", device, file.name, n_rows)
    added = after - before
    text = f"{1e6 * seconds / n_rows:.3f} microseconds a row, {added / 1e6:,.0f} MB more memory"
    print(f"memory-mapped, {n_rows:,} rows: {text}")
    return {"seconds": seconds, "bytes": added}


def _fixed_batch(folder: Path, n_rows: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the times of xpnet on all rows and of ONNX Runtime row by row."""
    lack = missing({THEIRS: RIVALS[THEIRS]})
    if lack:
        print(f"fixed batch: {lack[THEIRS]} is missing")
        return {"missing": lack[THEIRS]}
    path = Path(args.model) if args.model else _with_fixed_batch(folder / "fixed.onnx")
    images = np.random.default_rng(0).integers(0, 256, (n_rows, 784), np.uint8)
    if args.data is not None:
        images, _ = xpnet.read(args.data, rows=n_rows)
        images = images.reshape(len(images), -1).astype(np.uint8)
    network = replace(xpnet.load(path), preprocessing=(xpnet.Scale(FACTOR),)).to(args.device)
    threads = {}
    for n in (1, 2):
        print(f"{len(images):,} rows, batch fixed at 1, {n} threads:")
        opened = session(str(path), args.device, n)
        with threadpool_limits(n):
            threads[str(n)] = _compared(network, opened, images, args.rounds)
    return {"model": path.name, "rows": len(images), "threads": threads}


def _with_fixed_batch(path: Path) -> Path:
    """Write an ONNX network of 784-256-256-10 with batch size 1, as old exporters do."""
    import onnx

    xpnet.save(xpnet.init_network([784, 256, 256, 10], activation="relu", scheme="he"), path)
    model = onnx.load(path)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    return path


def _compared(
    network: xpnet.Network, opened: Any, images: NDArray[np.uint8], rounds: int
) -> dict[str, Any]:
    """Return the times of xpnet and of a session, and the number of labels that differ."""
    source, factor = opened.get_inputs()[0], np.float32(FACTOR)
    name, shape = source.name, source.shape

    def row_by_row() -> Any:
        scaled = ((row.astype(np.float32) * factor).reshape(shape) for row in images)
        return np.asarray([opened.run(None, {name: row})[0].argmax() for row in scaled])

    rows = (images.astype(np.float32) * factor).reshape(len(images), *shape)
    actions: dict[str, Any] = {
        OURS: lambda: np.asarray(xpnet.predict(network, images)),
        THEIRS: row_by_row,
        RUNS: lambda: np.concatenate([opened.run(None, {name: x})[0] for x in rows]).argmax(axis=1),
    }
    own, *others = (action() for action in actions.values())
    n_differ = max(int(np.count_nonzero(own != other)) for other in others)
    seconds = {name: spread(each) for name, each in time_in_turns(actions, rounds).items()}
    ours, ratios = seconds[OURS], {}
    print(f"  xpnet {ours['best']:.3f} s; {n_differ} labels differ")
    for each in (THEIRS, RUNS):
        ratios[each] = {key: seconds[each][key] / ours[key] for key in ours}
        text = "{best:.1f} times as long ({median:.1f} by median)".format(**ratios[each])
        print(f"  {each} {seconds[each]['best']:.3f} s: {text}")
    return {"seconds": seconds, "ratio": ratios, "labels that differ": n_differ}


if __name__ == "__main__":
    sys.exit(main())
