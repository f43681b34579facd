"""A GPU: the speed of xpnet beside torch, and the rates that limit both.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --device cpu --quick   # tries the script without a GPU

First, networks on the GPU are compared with derived bounds, and labels with those of float64: if
they are wrong, nothing is timed. Then come the rates of copies and of matrix products, the time
from bytes on the host to labels there, and the time from rows on the GPU to logits there. The file
is written after each question. Exit codes: 0, 1 if something is wrong, 5 without a usable GPU.
"""

import itertools
import json
import operator
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from harness import Times, about, in_turn, make_parser, mean_seconds
from rivals import Workload, by_torch, torch_forward

import xpnet

SHAPES = ("784-50-100-10:sigmoid", "784-4096-4096-10:relu")
FULL = SimpleNamespace(shapes=SHAPES, host=2**22, device=(65_536, 1024, 1), copy=2**30, side=8192)
QUICK = SimpleNamespace(shapes=SHAPES[:1], host=20_000, device=(256, 1), copy=2**20, side=256)


def main() -> int:
    """Answer one question after the other; return the exit code."""
    parser = make_parser(str(__doc__), rounds=7, has_table=False)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="gpu", help="(default: gpu)")
    args = parser.parse_args()
    try:
        device = xpnet.Device(args.device)
    except xpnet.DeviceError as error:
        print(error, file=sys.stderr)
        return 5
    result = {"card": device.hardware, "rounds": args.rounds}
    result["about"] = about("cupy-cuda12x", "cupy-cuda13x", "torch")
    for question in (checks, rates, end_to_end, resident):
        name = question.__name__
        result[name] = question(device, QUICK if args.quick else FULL, args.rounds)
        print(f"{name}: {json.dumps(result[name])}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        if name == "checks" and not all(each["passed"] for each in result[name]):
            print("a check failed, so nothing is timed", file=sys.stderr)
            return 1
    return 0


def checks(device: xpnet.Device, sizes: SimpleNamespace, _: int) -> list[dict[str, Any]]:
    """Compare results with derived bounds, and labels of rows on the host with those of float64."""
    found = []
    for shape in sizes.shapes:
        work = Workload(shape, 20_001)
        network = work.network.to(device)
        report = xpnet.parity.compare(work.network, work.images[:2048], {"there": network})
        n_wrong = work.n_wrong(np.asarray(xpnet.predict(network, work.images)))
        share = report.candidates["there"].stages[-1].share
        entry = {"network": shape, "share_of_bound": share, "n_wrong": n_wrong}
        found.append(entry | {"passed": report.is_in_bound and n_wrong == 0})
    return found


def rates(device: xpnet.Device, sizes: SimpleNamespace, rounds: int) -> dict[str, float]:
    """Return the bytes per second of copies to the device, and the operations of products."""
    n, side = sizes.copy, sizes.side
    square = np.random.default_rng(0).standard_normal((side, side), np.float32)
    a, host = device.asarray(square), np.ones(n, np.uint8)
    calls = {"bytes": partial(device.asarray, host), "operations": partial(operator.matmul, a, a)}
    best = {name: x["best"] for name, x in timed(device, calls, rounds).items()}
    return {"bytes": n / best["bytes"], "operations": 2 * side**3 / best["operations"]}


def end_to_end(device: xpnet.Device, sizes: SimpleNamespace, rounds: int) -> dict[str, Any]:
    """Return the seconds from bytes on the host to labels there, of xpnet and of torch."""
    work = Workload(sizes.shapes[0], sizes.host)
    calls = {"xpnet": partial(xpnet.predict, work.network.to(device), work.images)}
    if place := torch_place(device):
        calls["torch"] = partial(by_torch(work, 1, place), work.images)
    return {"rows": sizes.host, "seconds": timed(device, calls, rounds)}


def resident(device: xpnet.Device, sizes: SimpleNamespace, rounds: int) -> list[dict[str, Any]]:
    """Return the seconds from rows on the device to logits there, of xpnet and of torch."""
    found = []
    for shape, n_rows in itertools.product(sizes.shapes, sizes.device):
        work = Workload(shape, n_rows)
        rows = work.images.astype(np.float32)
        calls = {"xpnet": partial(work.network.to(device), device.asarray(rows))}
        if place := torch_place(device):
            compute = torch_forward(work.folded_layers, work.activation, place)
            calls["torch"] = partial(compute, import_module("torch").from_numpy(rows).to(place))
        seconds = timed(device, calls, rounds)
        found.append({"network": shape, "rows": n_rows, "seconds": seconds})
    return found


def torch_place(device: xpnet.Device) -> str:
    """Return torch's word for the device, or an empty string if torch cannot use it."""
    if not find_spec("torch"):
        return ""
    return "cpu" if device.name == "cpu" else "cuda" * import_module("torch").cuda.is_available()


def timed(device: xpnet.Device, calls: dict[str, Any], rounds: int) -> Times:
    """Return the best and the median seconds of calls, until the device has done them."""
    timers = {x: partial(mean_seconds, call, device.synchronize) for x, call in calls.items()}
    return in_turn(timers, rounds, n_warm_up=3)


if __name__ == "__main__":
    sys.exit(main())
