"""How fast each function is against the best plain NumPy for it, against SciPy and torch.

    python benchmarks/activations.py --json activations.json -o activations.png

Every function on 100,000 float32 numbers with one thread; all contenders take turns in rounds.
A NumPy expression counts if its largest error, over some million points that include the tails,
the infinities and NaN, is within the bound of xpnet's own, and if NumPy does not warn; the fastest
that counts is the rival. One that warns is silenced, and told apart where it is faster still:
xpnet's functions never warn. Ratios are xpnet's time divided by the other's: below 1 xpnet is
faster. SciPy and mpmath are needed; torch is measured where it is installed.
"""

import argparse
import importlib
import json
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from provenance import about
from speed.cases import CASES
from speed.contest import hold
from speed.picture import draw
from speed.printing import print_all
from speed.report import report, summarise
from speed.timing import time_all

from xpnet.cli.arguments import positive
from xpnet.pictures.saving import check_picture, save_figure


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    # As in a program that has used large arrays before: from then on glibc's malloc keeps memory
    # of this size, where in a fresh process every temporary array would fault its pages in anew.
    np.ones(4_000_000)
    torch = importlib.import_module("torch") if find_spec("torch") else None
    if torch is not None:
        torch.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1), torch.inference_mode() if torch else nullcontext():
        n_points = 20_000 if args.quick else 1_000_000
        contests = {name: hold(name, torch, n_points) for name in args.functions}
        contenders = [each for contest in contests.values() for each in contest.everybody]
        time_all(contenders, 1 if args.quick else args.rounds)
    functions = {name: report(contest) for name, contest in contests.items()}
    result: dict[str, Any] = {
        "about": about("xpnet", "numpy", "scipy", "torch")
        | {"torch features": torch and torch.backends.cpu.get_cpu_capability(), "threads": 1},
        "functions": functions,
        "summary": summarise(functions),
    }
    print_all(result, rivals=args.rivals)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.output:
        save_figure(draw(functions), args.output, force=True)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=15, help="(default: 15)")
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    parser.add_argument("--functions", metavar="A,B", help="only these (default: all)")
    parser.add_argument("--rivals", action="store_true", help="show every expression")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the ratios")
    args = parser.parse_args()
    args.functions = args.functions.split(",") if args.functions else list(CASES)
    if unknown := set(args.functions) - set(CASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CASES)}")
    if args.output:
        check_picture(args.output)
    return args


if __name__ == "__main__":
    sys.exit(main())
