"""How training on several libraries parts: the same steps, from the same weights, beside float64.

    python benchmarks/curves.py --json curves.json

784-50-100-10 with sigmoids learns the embedded digits in batches of 100, by SGD with momentum and
by Adam, on the arrays of each library that is here, in float32. After 1, 2, 5 ... steps its
parameters are compared with those of NumPy in float64: how far the farthest one is, how far the
median one, and how far the loss.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from learners.lesson import BATCH_SIZE, examples, start
from provenance import about, headline

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, batches
from xpnet.training.loop import Trainer

PACKAGES = ("xpnet", "numpy", "torch", "jax", "cupy-cuda13x")
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
OPTIMIZERS: Mapping[str, tuple[Any, float]] = {
    "momentum": (xpnet.SGD(momentum=0.9), 0.1),
    "adam": (xpnet.Adam(), 0.005),
}


def main() -> int:
    """Run the study of the command line."""
    args = parse_arguments()
    facts = about(*PACKAGES)
    print(headline(facts))
    steps = [n for n in STEPS if n <= args.steps]
    rows = []
    for optimizer in OPTIMIZERS:
        exact = followed(lambda x: x.astype(np.float64), optimizer, steps)
        for library, convert in libraries().items():
            print(f"\n{optimizer}, {library}: parameters farthest and median, loss, from float64")
            for found, expected in zip(followed(convert, optimizer, steps), exact, strict=True):
                away = np.abs(found["parameters"] - expected["parameters"])
                row = {
                    "optimizer": optimizer,
                    "library": library,
                    "steps": found["steps"],
                    "farthest": float(away.max()),
                    "median": float(np.median(away)),
                    "loss": abs(found["loss"] - expected["loss"]),
                }
                rows.append(row)
                print(
                    f"  after {row['steps']:>4} steps {row['farthest']:.1e} {row['median']:.1e}"
                    f" {row['loss']:.1e}"
                )
    if args.json:
        result = {"about": facts, "batch_size": BATCH_SIZE, "rows": rows}
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def followed(
    convert: Callable[[Any], Any], optimizer: str, steps: list[int]
) -> list[dict[str, Any]]:
    """Return the parameters and the loss after so many steps."""
    chosen, rate = OPTIMIZERS[optimizer]
    learner = Trainer(Objective(start().map_arrays(convert)), chosen)
    n_rows = steps[-1] * BATCH_SIZE
    order = np.random.default_rng(0).permutation(n_rows)
    found = []
    parts = batches(Examples(*examples(n_rows)), order, learner.objective, BATCH_SIZE)
    for n, batch in enumerate(parts, start=1):
        loss = learner.step(batch, rate)
        if n in steps:
            parameters = to_numpy(learner.parameters)
            found.append({"steps": n, "parameters": parameters, "loss": float(to_numpy(loss))})
    return found


def libraries() -> dict[str, Callable[[Any], Any]]:
    """Return how parameters become arrays of each library that is here."""
    found: dict[str, Callable[[Any], Any]] = {"numpy": lambda x: x}
    for name in ("torch", "jax.numpy"):
        try:
            module = __import__(name, fromlist=["asarray"])
        except ImportError:
            print(f"not compared: {name} is not installed")
            continue
        found[name.partition(".")[0]] = module.asarray
    try:
        found["cupy"] = xpnet.Device("gpu").to_device
    except xpnet.DeviceError as error:
        print(f"not compared: cupy ({error})")
    return found


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS[-1], help="at most (default: 500)")
    parser.add_argument("--quick", action="store_true", help="few, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    args = parser.parse_args()
    if args.quick:
        args.steps = 10
    return args


if __name__ == "__main__":
    sys.exit(main())
