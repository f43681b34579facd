"""Largest error of every function of one variable, over all 2^32 inputs of float32.

    python benchmarks/studies/accuracy.py --json benchmarks/results/accuracy.json
    python benchmarks/studies/accuracy.py --functions sigmoid,tanh --quick
    python benchmarks/studies/accuracy.py --table accuracy.json --page docs/explanation/accuracy.md

xpnet's functions on arrays of NumPy, torch and JAX (with `--device gpu`: CuPy, torch and JAX; with
`--devices`: of any libraries, such as dpnp), are compared with true values in float64, which have
themselves been proved against mpmath; in float64, at some 100,000 numbers, with mpmath. Functions
without an error are left out. SciPy and mpmath are needed; torch and JAX are measured if they are
installed. All inputs take about an hour on two cores; `--quick` takes a sample of them.

The error is the distance of the result from the true value, in units in the last place (ULP): in
float32, 2^(e - 23), where 2^e is the largest power of two that is not above the true value. A
correctly rounded result is off by at most 0.5. An error below 2^-120 (float64: 2^-1000) counts as
0, and a subnormal input may count as 0. Infinity stands for every number from an ULP beyond the
largest on. NaN for a number, and the reverse, are "wrong".
"""

import argparse
import json
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.options import make_parser, parse, positive, write_json
from harness.provenance import about
from harness.reporting import markdown_table, show_table

from studies.sweep import Results, Selection, measure_all, merge_results
from studies.truth import ROWS, prove
from xpnet.functions.activations import ACTIVATIONS

PACKAGES = ("array-api-compat", "scipy", "mpmath", "torch", "jax", "jaxlib")
USUAL = {"cpu": ("cpu", "torch:cpu", "jax:cpu"), "gpu": ("gpu", "torch:cuda", "jax:cuda")}
# Columns of the table, and of the results: JAX also with its compiler.
COLUMNS = {
    "NumPy": ("xpnet numpy",),
    "CuPy": ("xpnet cupy",),
    "torch": ("xpnet torch",),
    "JAX": ("xpnet jax", "xpnet jit"),
    "dpnp": ("xpnet dpnp",),
}


def main() -> int:
    """Run the study."""
    args = _parse_arguments()
    if args.table:
        (stored,) = (json.loads(Path(path).read_text("utf-8")) for path in args.table)
        show_table(args.page, "studies/accuracy.py", _table(stored, args.functions))
        return 0
    words = args.devices.split(",") if args.devices else USUAL[args.device]
    libraries = {word: word.partition(":")[0] for word in words if ":" in word}
    missing = [word for word, library in libraries.items() if not find_spec(library)]
    for word in missing:
        print(f"{word} is missing, so it is not measured", file=sys.stderr)
    devices = tuple(word for word in words if word not in missing)
    selection = Selection(args.functions, devices, args.quick)
    prove(selection.functions)
    found: Results = {}
    tasks = measure_all(selection, args.jobs)
    for part in tqdm(tasks, total=len(selection.tasks), mininterval=1.0):
        merge_results(found, part)
    packages = {*PACKAGES, *(word.partition(":")[0] for word in devices)} - {"cpu", "gpu"}
    facts = about(*sorted(packages), device=args.device)
    facts |= {"missing": missing, "sample": args.quick}
    results = {
        "about": facts,
        "functions": _readable({name: found[name] for name in args.functions}),
    }
    print("\n".join(_table(results, args.functions)))
    write_json(args.json, results)
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = make_parser(str(__doc__), table=True)
    add, n = parser.add_argument, os.cpu_count() or 1
    add("--functions", metavar="A,B", help=f"of {', '.join(ROWS)} (default: all)")
    add("--devices", metavar="A,B", help="words as for `xpnet --device`, instead of --device")
    add("--jobs", metavar="N", type=positive, default=n, help=f"processes (default: {n})")
    args = parse(parser)
    args.functions = tuple(args.functions.split(",") if args.functions else ROWS)
    if unknown := set(args.functions) - set(ROWS):
        parser.error(f"unknown functions: {', '.join(unknown)}; known: {', '.join(ROWS)}")
    return args


def _readable(value: Any) -> Any:
    """Return results for JSON, which cannot hold infinity and NaN."""
    if isinstance(value, dict):
        return {key: _readable(each) for key, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _table(results: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return the lines of the table of bounds and largest errors in float32 and float64."""
    facts, functions = results["about"], results["functions"]
    shown = [x for x in facts["versions"].items() if x[1] != "missing"]
    versions = ", ".join(f"{name} {version}" for name, version in shown)
    extent = "only a sample of the inputs; " if facts["sample"] else ""
    about = f"{extent}{facts['date']}, {facts['hardware']}, commit {facts['commit']}; {versions}."
    if earlier := results.get("earlier"):  # of formulas that have not changed since
        origin = f"{earlier['date']}, {earlier['hardware']}, commit {earlier['commit']}"
        about += f" float32 of {', '.join(earlier['functions'])}: {origin}."
    known = {column for found in functions.values() for column in found}
    columns = {title: of for title, of in COLUMNS.items() if not known.isdisjoint(of)}
    rows = []
    for name in (name for name in names if name in functions):
        options = ", ".join(f"{key}={value!r}" for key, value in ROWS[name].options.items())
        label = f"`{ROWS[name].xpnet}({options})`" if options else f"`{name}`"
        bound = "" if name == "log" else _pair(ACTIVATIONS[ROWS[name].xpnet].ulp)
        records = [[functions[name].get(x, {}) for x in of] for of in columns.values()]
        rows.append([label, bound, *map(_cell, records)])
    return [about, "", *markdown_table(["function", "bound", *columns], rows)]


def _cell(columns: list[dict[str, Any]]) -> str:
    """Return the largest errors of some columns, in float32 and, if measured, in float64."""
    errors, n_wrong = [], 0
    for dtype in ("float32", "float64"):
        records = [column[dtype] for column in columns if dtype in column]
        n_wrong += sum(record["wrong"] for record in records)
        if records:
            errors.append(max(float(record["error"]) for record in records))
    return (_pair(errors) if errors else "") + (f"; {n_wrong:,} wrong" if n_wrong else "")


def _pair(errors: Any) -> str:
    shown = (f"{x:.0e}" if x > 1e4 else f"{x:g}" if x == int(x) else f"{x:.2f}" for x in errors)
    return ", ".join(shown) if any(errors) else "0"


if __name__ == "__main__":
    sys.exit(main())
