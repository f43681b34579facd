"""What the derived bounds let pass, and what they catch, on random networks.

    python benchmarks/detection.py --json detection.json -o detection.png

Each network has 1 to 8 layers, widths of 1 to 2,000, any activations, and weights and inputs from
the well-behaved to the extreme. It is computed by NumPy, torch, JAX and array-api-strict (where
they are installed), in several orders of adding, with and without fused multiply-add, with its
scale folded into the weights, and with its hidden units in another order: none of these may be out
of bound. A fifth as many networks of float16, and of float64, are computed as well. The
probabilistic bound excludes units of equal weights and equal terms; networks of such weights are
tried, too, and counted apart.

Then each network of float32 is computed wrongly. A fault counts as caught if the verdict of
`xpnet.parity.compare` is out of bound; what it would be if no layer were judged alone, from the
inputs that the candidate gave it, is counted beside it. The effect of a fault is what it changes in
float64, in bounds, where that is largest, from the inputs on or in a layer alone. One above the
bound must be caught, unless the faulty computation happened to round the other way: what is more
than the bound and those rounding errors, and is not caught, is missed.

JAX compiles each network anew and takes part in one of 20. The exit status is 1 if there was a
false alarm or a missed fault.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from power.picture import draw
from power.report import print_all, summarise
from power.study import BACKENDS, Study, studies_of
from provenance import about, headline
from tqdm import tqdm

from xpnet.cli.arguments import positive
from xpnet.pictures.saving import check_picture, save_figure
from xpnet.testing.backend_choice import unavailable_reason

NETWORKS = 1000
NETWORKS_IF_QUICK = 15


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    for reason in filter(None, map(unavailable_reason, BACKENDS)):
        print(f"{reason}: what needs it is left out", file=sys.stderr)
    n_others = -(-args.networks // 5)
    numbers = {"float32": args.networks, "float16": n_others, "float64": n_others}
    study = Study()
    # Where there is no terminal, a line now and then.
    seconds = 0.1 if sys.stderr.isatty() else 30.0
    bar = {"total": sum(numbers.values()), "unit": "network", "mininterval": seconds}
    for one in tqdm(studies_of(numbers, args.seed, args.jobs), maxinterval=seconds, **bar):
        study.add(one)
    facts = about("xpnet", "numpy", "torch", "jax", "array-api-strict")
    result: dict[str, Any] = {"about": facts, "seed": args.seed, **summarise(study)}
    print(headline(facts))
    print_all(result)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.output:
        save_figure(draw(result), args.output, force=True)
    is_false = any(alarm["claimed"] for alarm in result["alarms"])
    is_missed = any(row["missed"] for row in result["wrong"].values())
    return 1 if is_false or is_missed else 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--networks", metavar="N", type=positive, default=NETWORKS, help="(default: %(default)s)"
    )
    extent.add_argument(
        "--quick",
        dest="networks",
        action="store_const",
        const=NETWORKS_IF_QUICK,
        help=f"{NETWORKS_IF_QUICK} networks, to see that it runs",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive,
        default=os.cpu_count() or 1,
        help="processes, of one thread each (default: the cores, %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the curves of detection")
    args = parser.parse_args()
    if args.output:
        check_picture(args.output)
    return args


if __name__ == "__main__":
    sys.exit(main())
