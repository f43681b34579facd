"""How long whole processes take, from start to exit, until the first labels are there.

    python benchmarks/startup.py --json startup.json -o startup.png

`xpnet evaluate` is taken apart: Python itself, the imports, the command line, loading, computing,
exit. Beside it run xpnet in Python and whatever is installed of scikit-learn, torch, ONNX Runtime,
OpenVINO and JAX (`onnx` writes the file for two of them), and NumPy by hand: each imports its
library, loads the same network and classifies the same 1,000 digits once, on the CPU, in a process
of its own. Those that are not installed are named. All take turns in rounds after one that is not
timed, in which their labels are compared and whatever is cached becomes warm; so what is told is
the time of a second start, not of the first after a reboot. The parts are those of the best round.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from launch.contenders import CONTENDERS
from launch.ground import missing, prepare
from launch.processes import PARTS, TYPED, Run, Runner
from provenance import about, headline

import xpnet
from xpnet.cli.arguments import positive
from xpnet.pictures.saving import check_picture, save_figure

BAR = 0.4
# Of 1,000: rounding decides between classes that are nearly equal; OpenVINO may round to bfloat16.
MOST_DIFFERENT = 5
PACKAGES = ("xpnet", "numpy", "scikit-learn", "torch", "onnxruntime", "openvino", "jax")


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    facts = about(*PACKAGES)
    print(headline(facts))
    absent = missing()
    names = [*TYPED, *(name for name in CONTENDERS if name not in absent)]
    with tempfile.TemporaryDirectory() as folder:
        runner = prepare(Path(folder))
        differing = {name: check(name, runner.run(name)) for name in names}
        runs = measure(runner, names, args.rounds)
    seconds = {name: summary(each) for name, each in runs.items()}
    result = {
        "about": facts,
        "rounds": args.rounds,
        "bar": BAR,
        "seconds": seconds,
        "labels that differ": {name: n for name, n in differing.items() if n is not None},
        "missing": absent,
    }
    print_all(result)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.output:
        from launch.picture import draw

        save_figure(draw(result), args.output, force=True)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=7, help="(default: 7)")
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the results")
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    if args.output:
        check_picture(args.output)
    return args


def check(name: str, run: Run) -> int | None:
    """Return how many labels are not xpnet's, if they can be told.

    Raises
    ------
    RuntimeError
        If there are more than rounding makes.
    """
    if name in TYPED:
        return None
    images, truth = xpnet.sample()
    own = xpnet.predict(xpnet.load("sample"), images)
    if run.labels is None:
        n_different = abs(int(np.count_nonzero(own == truth)) - (run.n_correct or 0))
    else:
        n_different = int(np.count_nonzero(own != np.asarray(run.labels)))
    if n_different > MOST_DIFFERENT:
        msg = f"{name}: {n_different} labels are not xpnet's"
        raise RuntimeError(msg)
    return n_different


def measure(runner: Runner, names: list[str], rounds: int) -> dict[str, list[Run]]:
    """Return the runs of each; they take turns."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, each in runs.items():
            each.append(runner.run(name))
    return runs


def summary(runs: list[Run]) -> dict[str, Any]:
    """Return the best and the median seconds, and the parts of the best."""
    best = min(runs, key=lambda run: run.seconds)
    seconds = [run.seconds for run in runs]
    return {"best": best.seconds, "median": statistics.median(seconds), "parts": best.parts}


def print_all(result: Mapping[str, Any]) -> None:
    """Print the table, who is missing, and whether `xpnet evaluate` is below its bar."""
    seconds: Mapping[str, Any] = result["seconds"]
    print(f"\nmilliseconds; rounds: {result['rounds']}, parts of the best one")
    print(f"{'':26}{'best':>7}{'median':>8} " + "".join(f"{part:>12}" for part in PARTS))
    for name, found in sorted(seconds.items(), key=lambda item: item[1]["best"]):
        parts = "".join(
            f"{1e3 * found['parts'][part]:12.1f}" if part in found["parts"] else f"{'':12}"
            for part in PARTS
        )
        print(f"{name:26}{1e3 * found['best']:7.0f}{1e3 * found['median']:8.0f} {parts}".rstrip())
    for name, modules in result["missing"].items():
        print(f"{name:26}missing: {modules}")
    differing = {name: n for name, n in result["labels that differ"].items() if n}
    print(f"labels that are not xpnet's: {differing or 'none'}")
    found = seconds["xpnet evaluate, as typed"]
    verdict = "below" if found["median"] < BAR else "NOT below"
    print(f"xpnet evaluate takes {found['median']:.3f} s by median: {verdict} {BAR} s")


if __name__ == "__main__":
    sys.exit(main())
