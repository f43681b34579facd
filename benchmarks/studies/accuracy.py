"""Largest error of every function of one variable, over all 2^32 inputs of float32.

    python benchmarks/studies/accuracy.py --json accuracy.json > accuracy.txt
    python benchmarks/studies/accuracy.py --table accuracy.json --functions sigmoid,tanh

xpnet's functions on arrays of NumPy, torch and JAX (with `--device gpu`: CuPy, torch and JAX; with
`--devices`: of any libraries, such as dpnp), and the libraries' own, are compared with true values
in float64, which have themselves been proved against mpmath. SciPy and mpmath are needed; torch and
JAX are measured if they are installed. All inputs take 40 minutes on two cores; `--quick` takes a
sample of them. `.ci/run` has the functions in the table of docs/explanation/accuracy.md.

The error is the distance of the float32 result from the true value, in units in the last place
(ULP): 2^(e - 23), where 2^e is the largest power of two that is not above the true value. A
correctly rounded result is off by at most 0.5. Numbers below the smallest normal one, 2^-126, may
be flushed to zero, at the input or at the output: a true value below it is judged by its absolute
error in units of 2^-126, and a subnormal input may give the result of zero. Where the true value
rounds to infinity, infinity is required; NaN for a number, a number for NaN, and so on, are
"wrong".
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.options import make_parser, parse, positive, write_json
from harness.provenance import about, headline
from harness.reporting import markdown_table, show_table

from studies.sweep import Record, Results, Selection, measure_all, merge_results
from studies.truth import ROWS, prove

PACKAGES = ("array-api-compat", "scipy", "mpmath", "torch", "jax", "jaxlib")
COLUMNS = {
    "xpnet numpy": "xpnet, NumPy",
    "xpnet cupy": "xpnet, CuPy",
    "xpnet torch": "xpnet, torch",
    "xpnet jax": "xpnet, JAX",
    "xpnet jit": "xpnet, jax.jit",
    "xpnet dpnp": "xpnet, dpnp",
    "numpy": "NumPy's own",
    "scipy": "SciPy's own",
    "torch": "torch's own",
    "jax": "JAX's own",
}
USUAL = {"cpu": ("cpu", "torch:cpu", "jax:cpu"), "gpu": ("gpu", "torch:cuda", "jax:cuda")}
SHORT = ("xpnet numpy", "torch", "jax")  # columns of the short table of stored results


def main() -> int:
    """Run the study."""
    args = _parse_arguments()
    if args.table:
        stored = [json.loads(Path(path).read_text("utf-8")) for path in args.table]
        lines = _short_table(stored, args.functions)
        show_table(args.page, "studies/accuracy.py", lines)
        return 0
    words = args.devices.split(",") if args.devices else USUAL[args.device]
    libraries = {word: word.partition(":")[0] for word in words if ":" in word}
    missing = [word for word, library in libraries.items() if not find_spec(library)]
    for word in missing:
        print(f"{word} is missing, so it is not measured", file=sys.stderr)
    devices = tuple(word for word in words if word not in missing)
    selection = Selection(args.functions, devices, args.quick)
    prove(selection.functions)
    results: Results = {}
    pieces = measure_all(selection, args.jobs)
    for piece in tqdm(pieces, total=len(selection.pieces), mininterval=1.0):
        merge_results(results, piece)
    results = {name: results[name] for name in args.functions if name in results}
    packages = {*PACKAGES, *(word.partition(":")[0] for word in devices)} - {"cpu", "gpu"}
    facts = about(*sorted(packages), device=args.device)
    facts |= {"missing": missing, "sample": args.quick}
    print(_markdown(facts, results), end="")
    write_json(args.json, {"about": facts, "functions": _readable(results)})
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


def _label(name: str) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in ROWS[name].options.items())
    return f"{ROWS[name].xpnet}({options})" if options else name


def _readable(value: Any) -> Any:
    """Return results for JSON, which cannot hold infinity and NaN."""
    if isinstance(value, dict):
        return {key: _readable(each) for key, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(facts: dict[str, Any], results: Results) -> str:
    """Return the table, and below it what does not fit into it."""
    columns = [column for column in COLUMNS if any(column in found for found in results.values())]
    rows = [
        [f"`{_label(name)}`", *(_cell(found.get(column)) for column in columns)]
        for name, found in results.items()
    ]
    header = ["function", *(COLUMNS[column] for column in columns)]
    extent = "only a sample of the inputs" if facts["sample"] else "all 2^32 inputs"
    lines = [
        f"Largest error in ULP of float32, {extent}, and where it occurs.",
        headline(facts),
        "xpnet's functions run operation by operation, but for jax.jit, where XLA may fuse them.",
        "",
        *markdown_table(header, rows, left=len(header)),
    ]
    lines += ["", "Wrong, and errors below 2^-126 that flushing to zero does not explain:", ""]
    lines += [
        f"- `{_label(name)}`, {COLUMNS[column]}: {text}"
        for name, found in results.items()
        for column, record in found.items()
        for text in _exceptions(record)
    ]
    return "\n".join(lines) + "\n"


def _short_table(stored: list[dict[str, Any]], selected: Collection[str]) -> list[str]:
    """Return the lines of a table of stored results, without places and without exceptions."""
    functions: Results = {}
    about = []
    for result in stored:
        facts = result["about"]
        shown = [x for x in facts["versions"].items() if x[1] != "missing" and x[0] != "xpnet"]
        versions = ", ".join(f"{name} {version}" for name, version in shown)
        about.append(f"{facts['date']}, {facts['hardware']}, commit {facts['commit']}; {versions}.")
        for name, found in result["functions"].items():
            functions.setdefault(name, {}).update(found.get("results", found))
    rows = [
        [f"`{_label(name)}`", *(_cell(found.get(column), has_place=False) for column in SHORT)]
        for name, found in functions.items()
        if SHORT[0] in found and name in selected
    ]
    header = ["function", *(COLUMNS[column] for column in SHORT)]
    return [*about, "", *markdown_table(header, rows)]


def _cell(record: Record | None, *, has_place: bool = True) -> str:
    if record is None:
        return ""
    worst, n_wrong = record.get("normal"), sum(each["count"] for each in record["wrong"].values())
    text = "no normal result"
    if worst:
        place = _at(worst) if has_place else ""
        text = "exact" if worst["error"] == 0 else f"{_short(worst['error'])}{place}"
    return f"{text}; {n_wrong:,} wrong" if n_wrong else text


def _exceptions(record: Record) -> Iterator[str]:
    """Yield what does not fit into the table."""
    found = record.get("subnormal")
    if found and found["error"] > 1:
        yield f"{_short(found['error'])} times 2^-126{_at(found)}"
    for kind, found in record["wrong"].items():
        example = f"{found['got']:.8g} for {found['true']:.8g}"
        yield f"{kind}, {found['count']:,} times, first{_at(found)}: {example}"


def _short(error: float) -> str:
    return f"{error:.2f}" if error < 1e4 else f"{error:.1e}"


def _at(found: Record) -> str:
    return f" at {np.asarray(found['bits'], np.uint32).view(np.float32):.6g}"


if __name__ == "__main__":
    sys.exit(main())
