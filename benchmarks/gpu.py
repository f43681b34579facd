"""A GPU: the speed of xpnet beside torch, and the rates that limit both.

    python benchmarks/gpu.py                  # writes benchmarks/results/gpu-CARD-DATE.json
    python benchmarks/gpu.py --quick --json gpu.json

First, networks on the GPU are compared with derived bounds, and labels with those of float64: if
they are wrong, nothing is timed. Then come the rates of copies and of matrix products; the time
from bytes on the host to labels on the host; and the time from rows on the GPU to logits there. All
of one question are timed in turn, round by round. The file is written after each question. Without
a usable GPU the exit code is 5; with `--device cpu`, NumPy takes CuPy's part, to try the script.
"""

import json
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from harness.measuring import mean_seconds, spread, turns, wall_seconds
from harness.options import make_parser, parse, write_json
from harness.provenance import about, file_name, headline
from harness.rivals.torch import Torch, module_of
from harness.workload import Shape, Workload

import xpnet

RESULTS = Path(__file__).resolve().parent / "results"
TURN = 0.05  # seconds of calls that make one time


@dataclass(frozen=True)
class Plan:
    """Sizes: networks, rows on the host and on the device, bytes of a copy, and of a product."""

    shapes: tuple[str, ...] = ("784-50-100-10:sigmoid", "784-4096-4096-10:relu")
    host_rows: int = 2**22
    device_rows: tuple[int, ...] = (65_536, 1024, 1)
    copied: int = 2**30
    product: int = 8192


SMALL = Plan(("784-50-100-10:sigmoid", "784-64-64-10:relu"), 20_000, (256, 1), 2**20, 256)


def main() -> int:
    """Answer one question after the other; return the exit code, 1 if a check failed."""
    args = parse(make_parser(str(__doc__), 7, device="gpu"))
    plan = SMALL if args.quick else Plan()
    facts = about("cupy-cuda12x", "cupy-cuda13x", "torch", device=args.device)
    card = facts["gpu"]["card"] if args.device == "gpu" else "none"
    result = {"about": facts, "card": card, "quick": args.quick, "rounds": args.rounds}
    print(headline(facts))
    path = Path(args.json) if args.json else RESULTS
    if path.is_dir():
        path /= f"gpu-{file_name(card)}-{facts['date']}.json"
    device = xpnet.Device(args.device)
    for name, question in QUESTIONS.items():
        result[name] = question(device, plan, args.rounds)
        write_json(path, result)
        print(f"{name}: {json.dumps(result[name])}", flush=True)
        if name == "checks" and not all(each["passed"] for each in result[name]):
            print("a check failed, so nothing is timed", file=sys.stderr)
            return 1
    print(f"wrote {path}")
    return 0


def check(device: xpnet.Device, plan: Plan, _: int) -> list[dict[str, Any]]:
    """Compare results with derived bounds, and labels of rows on the host with those of float64."""
    found = []
    for shape in map(Shape.parse, plan.shapes):
        few, many = Workload(shape, 2048), Workload(shape, 20_001)
        network = few.network.to(device)
        report = xpnet.parity.compare(few.network, few.images, {"there": network})
        share = report.candidates["there"].stages[-1].share
        n_wrong = many.n_wrong(np.asarray(xpnet.predict(network, many.images)))
        entry = {"network": str(shape), "share_of_bound": share, "n_wrong": n_wrong}
        found.append(entry | {"passed": report.is_in_bound and n_wrong == 0})
    return found


def rates(device: xpnet.Device, plan: Plan, rounds: int) -> dict[str, float]:
    """Return the bytes per second of copies to the device, and the operations of products."""
    host = np.random.default_rng(0).integers(0, 256, plan.copied, np.uint8)
    draw = np.random.default_rng(0).standard_normal
    a, b = (device.asarray(draw((plan.product,) * 2, np.float32)) for _ in range(2))
    actions = {
        "bytes": partial(device.asarray, host),
        "operations": partial(operator.matmul, a, b),
    }
    amounts = {"bytes": plan.copied, "operations": 2.0 * plan.product**3}
    seconds = timed(device, actions, rounds)
    return {name: amounts[name] / seconds[name]["best"] for name in actions}


def end_to_end(device: xpnet.Device, plan: Plan, rounds: int) -> dict[str, Any]:
    """Return the seconds from bytes on the host to labels there, of xpnet and of torch."""
    block = Workload(Shape.parse(plan.shapes[0]), min(plan.host_rows, 2**18))
    rows = np.resize(block.images, (plan.host_rows, block.images.shape[1]))
    actions = {"xpnet": partial(xpnet.predict, block.network.to(device), rows)}
    for torch in rivals(device):
        actions["torch"] = partial(torch.labeller(block), rows)
    return {"rows": plan.host_rows, "seconds": timed(device, actions, rounds, 0.0)}


def resident(device: xpnet.Device, plan: Plan, rounds: int) -> list[dict[str, Any]]:
    """Return the seconds from rows on the device to logits there, of xpnet and of torch."""
    found = []
    for shape in map(Shape.parse, plan.shapes):
        for n_rows in plan.device_rows:
            work = Workload(shape, n_rows)
            actions = {"xpnet": partial(work.network.to(device), device.asarray(work.rows))}
            for torch in rivals(device):
                actions["torch"] = torch_on_device(torch, work)
            operations = shape.operations * n_rows
            entry = {"network": str(shape), "rows": n_rows, "operations": operations}
            found.append(entry | {"seconds": timed(device, actions, rounds)})
    return found


QUESTIONS: Mapping[str, Callable[[xpnet.Device, Plan, int], Any]] = {
    "checks": check,
    "rates": rates,
    "end_to_end": end_to_end,
    "resident": resident,
}


def rivals(device: xpnet.Device) -> Iterator[Torch]:
    """Yield torch, if it is installed and can use the device."""
    if find_spec("torch"):
        torch = Torch("cpu" if device.name == "cpu" else "gpu", 1)
        if not torch.obstacle():
            yield torch


def torch_on_device(torch: Torch, work: Workload) -> partial[Any]:
    """Return torch's forward pass, with the scaling in the first weights."""
    import torch as library

    module = module_of(library, work.folded_parameters, work.shape.activation).to(torch.place)
    return partial(library.no_grad()(module), library.from_numpy(work.rows).to(torch.place))


def timed(
    device: xpnet.Device,
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    turn: float = TURN,
) -> dict[str, dict[str, float]]:
    """Return the best and the median seconds of actions, until the device has done them."""

    def clock(action: Callable[[], object]) -> float:
        def until_done() -> None:
            action()
            device.synchronize()

        return wall_seconds(until_done)

    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for i, name in turns(range(-3, rounds), list(actions)):  # the first three are a warm-up
        found = mean_seconds(actions[name], turn if i >= 0 else 0.0, clock)
        seconds[name] += [found] * (i >= 0)
    return {name: spread(each) for name, each in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
