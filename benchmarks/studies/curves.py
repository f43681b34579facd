"""Divergence of training on several libraries: the same steps, from the same weights.

    python benchmarks/studies/curves.py --json curves.json

784-50-100-10 with sigmoids learns the embedded digits in batches of 100, by SGD with momentum and
by Adam, on the arrays of each installed library, in float32. After 1, 2, 5 ... steps its parameters
and its loss are compared with those of NumPy in float64: the largest and the median difference of
parameters, and the difference of the losses.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.options import make_parser, parse, positive, write_json
from harness.provenance import about, headline
from harness.rivals.xpnet import training_steps
from harness.workload import digits, untrained

import xpnet

BATCH_SIZE = 100
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
OPTIMIZERS: Mapping[str, tuple[Any, float]] = {
    "momentum": (xpnet.SGD(momentum=0.9), 0.1),
    "adam": (xpnet.Adam(), 0.005),
}


def main() -> int:
    """Run the study."""
    parser = make_parser(str(__doc__))
    parser.add_argument(
        "--steps", type=positive, default=STEPS[-1], help="at most (default: 500; quick: 10)"
    )
    args = parse(parser)
    facts = about("torch", "jax", "cupy-cuda13x", device=args.device)
    print(headline(facts))
    steps = [n for n in STEPS if n <= (10 if args.quick else args.steps)]
    rows = []
    for name, (optimizer, rate) in OPTIMIZERS.items():
        exact = followed(lambda x: x.astype(np.float64), optimizer, rate, steps)
        for library, convert in libraries(args.device).items():
            print(f"\n{name}, {library}: largest and median difference of parameters, of the loss")
            for n, (parameters, loss) in followed(convert, optimizer, rate, steps).items():
                away = np.abs(parameters - exact[n][0])
                row = {
                    "optimizer": name,
                    "library": library,
                    "steps": n,
                    "farthest": float(away.max()),
                    "median": float(np.median(away)),
                    "loss": abs(loss - exact[n][1]),
                }
                rows.append(row)
                print(
                    f"  after {n:>4} steps {row['farthest']:.1e} {row['median']:.1e}"
                    f" {row['loss']:.1e}"
                )
    write_json(args.json, {"about": facts, "batch_size": BATCH_SIZE, "rows": rows})
    return 0


def followed(
    convert: Callable[[Any], Any], optimizer: Any, rate: float, steps: list[int]
) -> dict[int, tuple[Any, float]]:
    """Return the parameters and the loss after each number of steps."""
    network = untrained().map_arrays(convert)
    n_rows = steps[-1] * BATCH_SIZE
    order = np.random.default_rng(0).permutation(n_rows)
    to_numpy: Any = xpnet.Device("gpu" if network.library == "cupy" else "cpu").to_numpy
    if network.library == "torch":
        to_numpy = methodcaller("cpu")
    found = {}
    taken = training_steps(network, optimizer)(*digits(n_rows), order, BATCH_SIZE, rate)
    for n, (loss, parameters) in enumerate(taken, start=1):
        if n in steps:
            found[n] = (np.asarray(to_numpy(parameters)), float(loss))
    return found


def libraries(device: str) -> dict[str, Callable[[Any], Any]]:
    """Return a function per library that converts parameters to its arrays on the device."""
    found: dict[str, Callable[[Any], Any]] = {}
    if device == "cpu":
        found["numpy"] = lambda x: x
    else:
        found["cupy"] = xpnet.Device("gpu").to_device
    for name in ("torch", "jax.numpy"):
        try:
            module = import_module(name)
        except ImportError:
            print(f"not compared: {name} is not installed")
            continue
        options = {"device": "cuda"} if (name, device) == ("torch", "gpu") else {}
        library = name.partition(".")[0]
        found[library] = partial(module.asarray, **options)
    return found


if __name__ == "__main__":
    sys.exit(main())
