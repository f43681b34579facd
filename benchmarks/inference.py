"""Time from raw bytes to labels: xpnet beside other libraries, with the same threads.

    python benchmarks/inference.py --json inference.json
    python benchmarks/inference.py --networks 784-300-10:tanh --rows 7 1000 54321
    python benchmarks/inference.py --exact   # reproducible results beside the usual ones
    python benchmarks/inference.py --table inference.json --page PAGE --picture PICTURE

Each library runs in a process of its own, pinned to as many processors as there are threads; all
are timed in turn. Labels are compared with those of float64 before anything is timed. `--networks`,
`--rows` and `--threads` also select rows of a table and a picture.
"""

import argparse
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import IN_CHUNKS, OURS, about, contest, make_parser, place_of, ratio_table, run
from rivals import EXACT, LABELLERS, Workload

NETWORKS = "784-50-100-10:sigmoid 784-1024-1024-10:relu 784-300-10:tanh 64-128-128-64-10:relu"
ROWS = (1, 7, 100, 1000, 10_000)


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(str(__doc__), rounds=8)
    add = parser.add_argument
    add("--networks", nargs="+", metavar="SHAPE", help=f"(default: {NETWORKS})")
    add("--rows", nargs="+", type=int, help=f"(default: {ROWS})")
    add("--threads", nargs="+", type=int, default=[1, 2], help="(default: %(default)s)")
    add("--exact", action="store_true", help="time xpnet alone, usual and reproducible")
    add("--picture", type=Path, metavar="FILE", help="draw the times of all rows at once")
    args = parser.parse_args()
    if args.quick:
        args.networks, args.rows, args.rounds, args.threads = NETWORKS.split()[:1], [100], 1, [2]
    run("inference.py", args, measure, partial(markdown, args))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time the libraries for all networks and numbers of rows."""
    names = [OURS, EXACT] if args.exact else [name for name in LABELLERS if name != EXACT]
    places = list(itertools.product(args.networks or NETWORKS.split(), args.rows or ROWS))
    facts = about("scikit-learn", "torch", "onnxruntime")
    return {"about": facts, "rounds": args.rounds, "cells": contest(args, make, names, places)}


def make(name: str, threads: int, network: str, n_rows: int) -> tuple[Callable[[], Any], str]:
    """Return the call to be timed, and the number of wrong labels, if there are any."""
    work = Workload(network, n_rows)
    label = partial(LABELLERS[name](work, threads), work.images)
    n_wrong = work.n_wrong(label())
    return label, f"{n_wrong} wrong labels" if n_wrong else ""


def markdown(args: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    """Return the table of the chosen networks and numbers of rows, and draw it."""
    cells = [x for x in result["cells"] if x["network"] in (args.networks or [x["network"]])]
    cells = [x for x in cells if x["rows"] in (args.rows or ROWS) and x["threads"] in args.threads]
    if args.picture:
        draw(args.picture, cells)
    return ratio_table(result | {"cells": cells})


def draw(path: Path, cells: list[dict[str, Any]]) -> None:
    """Draw the times of calls with all rows, relative to xpnet."""
    from xpnet.pictures.figures import new_panels, picture_style, save_figure

    with picture_style():
        figure, (axes,) = new_panels(1, 7.0, 1.0 + 0.25 * len(cells))
        places = [place_of(x) for x in cells]
        for name in (x for x in cells[0]["seconds"] if not x.endswith(IN_CHUNKS)):
            ratios = [x["seconds"][name]["best"] / x["seconds"][OURS]["best"] for x in cells]
            axes.plot(ratios, places, "-" if name == OURS else "o", label=name)
        axes.set(xscale="log", xlabel="time / time of xpnet (below 1: faster than xpnet)")
        axes.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        axes.set_ylabel("network, rows, threads")
        axes.invert_yaxis()
        figure.legend(loc="outside upper left", ncols=5, columnspacing=1.0)
        save_figure(figure, path, force=True)


if __name__ == "__main__":
    main()
