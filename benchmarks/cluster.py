"""Predictions by worker processes, beside one process with as many threads.

    python benchmarks/cluster.py --json benchmarks/results
    python benchmarks/cluster.py --table FILES --page docs/how-to/dask-cluster.md

A file of bytes is predicted by ``xpnet predict --threads N``, and by ``xpnet predict --workers N``
with several numbers of workers and rows in a piece; all run in turn, round by round, and must give
the same labels. Times are those that the commands print: without the start of processes, and with
reading the file, sending results and writing them.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness.measuring import rates, turns
from harness.options import make_parser, parse, write_json
from harness.processes import run_python
from harness.provenance import about_workers, headline, n_cores
from harness.reporting import markdown_table, replace_table

import xpnet

_PIECE, _BILLION = 100_000, 10**9
# Hidden layers and rows: some 7 and 20 seconds on two cores of an AMD EPYC (Zen 5).
_WORK = {"50,100": 10_000_000, "512,512": 2_000_000}


def main() -> int:
    """Run the benchmark, or print the table of earlier results."""
    args = parse(make_parser(str(__doc__), 3, table=True))
    if args.table:
        lines = _table([json.loads(Path(path).read_text()) for path in args.table])
        if args.page:
            replace_table(args.page, "cluster.py", lines)
        print("\n".join(lines))
        return 0
    args.rounds = 1 if args.quick else args.rounds
    facts = about_workers("dask", "distributed")
    print(headline(facts))
    result: dict[str, Any] = {"about": facts, "work": {}}
    for hidden, n_rows in _WORK.items():
        with tempfile.TemporaryDirectory() as name:
            measured = _measured(Path(name), hidden, 20_000 if args.quick else n_rows, args)
        result["work"][f"784-{hidden.replace(',', '-')}-10"] = measured
    write_json(args.json, result, "cluster")
    return 0


def _measured(folder: Path, hidden: str, n_rows: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the rows per second of each way to predict."""
    data, model = folder / "images.npy", folder / "model.safetensors"
    widths = [784, *map(int, hidden.split(",")), 10]
    xpnet.save(xpnet.init_network(widths, preprocessing=xpnet.Scale(1 / 255)), model)
    _write_images(data, n_rows)
    n = n_cores()
    cases = {f"{n} threads": ["--threads", str(n)]}
    for n_workers, piece in (
        (n, _PIECE),
        (n, 2000),
        (n, 10_000),
        (n, 50_000),
        (n, 10**6),
        (1, _PIECE),
    ):
        words = ["--workers", str(n_workers), "--piece-rows", str(piece)]
        cases[f"{n_workers} workers, {piece:,} rows"] = words
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    expected: Any = None
    for i, name in turns(range(args.rounds), list(cases)):
        output = folder / f"{i} {name}"
        is_alone = "--threads" in cases[name]
        target = output.with_suffix(".npz") if is_alone else output
        words = [str(data), "--model", str(model), "-o", str(target), "--json", *cases[name]]
        found = json.loads(run_python("-m", "xpnet", "predict", *words))["seconds"]
        taken = found["total"] - found["startup"] if is_alone else found["computing"]
        seconds[name].append(taken)
        labels = np.load(target if is_alone else output / "images.npz")["labels"]
        expected = labels if expected is None else expected
        if not np.array_equal(labels, expected):
            msg = f"{name}: other labels"
            raise RuntimeError(msg)
        print(f"{hidden:>10} {name:>26} {taken:8.2f} s {n_rows / taken:12,.0f} rows per second")
    return {"rows": n_rows, "cases": {name: rates(each, n_rows) for name, each in seconds.items()}}


def _write_images(path: Path, n_rows: int) -> None:
    images = xpnet.sample()[0].reshape(-1, 784)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (n_rows, 784))
    for start in range(0, n_rows, len(images)):
        array[start : start + len(images)] = images[: n_rows - start]


def _table(results: list[dict[str, Any]]) -> list[str]:
    """Return Markdown tables of all results, with what a billion rows would take."""
    lines = []
    for result in results:
        work = result["work"]
        first, *others = next(iter(work.values()))["cases"]
        rows = []
        for name in (first, *others):
            medians = [
                (x["cases"][name]["median"], x["cases"][first]["median"]) for x in work.values()
            ]
            rows.append([name, *(f"{rate:,.0f} ({rate / one:.2f})" for rate, one in medians)])
        lines += [*markdown_table(["rows per second", *work], rows), ""]
        lines += [*_billion(work, others[0]), "", headline(result["about"]), ""]
    return lines[:-1]


def _billion(work: dict[str, Any], case: str) -> list[str]:
    """Return a table of hours and bytes for a billion rows, at the speed of one case."""
    names = [
        "hours on one such machine",
        "such machines for one hour",
        "MB read per second by each",
    ]
    names += ["GB read", "GB of labels sent, a byte each", "GB of labels written, 8 bytes each"]
    rows = [[name] for name in names]
    for found in work.values():
        rate = found["cases"][case]["median"]
        hours = _BILLION / rate / 3600
        cells = [f"{hours:.2f}", f"{math.ceil(hours)}", f"{784 * rate / 1e6:,.0f}"]
        cells += [f"{_BILLION * n_bytes / 1e9:,.0f}" for n_bytes in (784, 1, 8)]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    return markdown_table([f"a billion rows, {case} in a piece", *work], rows)


if __name__ == "__main__":
    sys.exit(main())
