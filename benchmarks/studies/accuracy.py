"""Largest error of every function of one variable, over all 2^32 inputs of float32.

    python benchmarks/studies/accuracy.py --json accuracy.json --markdown accuracy.md

xpnet's functions on arrays of NumPy, torch and JAX (with `--device gpu`: CuPy, torch and JAX), and
the libraries' own, are compared with true values in float64, which have themselves been proved
against mpmath. SciPy and mpmath are needed; torch and JAX are measured if they are installed.

The error is the distance of the float32 result from the true value, in units in the last place
(ULP): 2^(e - 23), where 2^e is the largest power of two that is not above the true value. A
correctly rounded result is off by at most 0.5. Numbers below the smallest normal one, 2^-126, may
be flushed to zero, at the input or at the output: a true value below it is judged by its absolute
error in units of 2^-126, and a subnormal input may give the result of zero. True values from 2^-126
to 2^-119 are separate as well ("near underflow"), in ULP: they show whether a formula has an
intermediate result that is smaller than its final one. Where the true value rounds to infinity,
infinity is required; NaN for a number, a number for NaN, and so on, are "wrong".
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.options import make_parser, parse, positive, write_json
from harness.provenance import about, headline

from studies.sweep import MODULES, PIECES, Record, Results, Selection, measure_all, merge_results
from studies.truth import ROWS, library_of, prove

PACKAGES = ("array-api-compat", "scipy", "mpmath", "torch", "jax", "jaxlib")
COLUMNS = {
    "xpnet numpy": "xpnet, NumPy",
    "xpnet cupy": "xpnet, CuPy",
    "xpnet torch": "xpnet, torch",
    "xpnet jax": "xpnet, JAX",
    "xpnet jit": "xpnet, jax.jit",
    "numpy": "NumPy's own",
    "scipy": "SciPy's own",
    "torch": "torch's own",
    "jax": "JAX's own",
}


def main() -> int:
    """Run the study."""
    args = _parse_arguments()
    missing = [name for name in ("torch", "jax") if not find_spec(name)]
    for name in missing:
        print(f"{name} is missing, so it is not measured", file=sys.stderr)
    libraries = tuple(name for name in args.libraries if MODULES[name] not in missing)
    selection = Selection(tuple(args.functions), libraries, args.device, args.quick)
    prove(selection.functions)
    results: Results = {}
    seconds, wait = [], 0.1 if sys.stderr.isatty() else 30.0
    found, total = measure_all(selection, args.jobs), len(selection.pieces)
    for taken, piece in tqdm(found, total=total, mininterval=wait, maxinterval=wait):
        merge_results(results, piece)
        seconds.append(taken)
    results = {name: results[name] for name in args.functions if results.get(name)}
    facts = about(*PACKAGES, device=args.device) | {
        "missing": missing,
        "sample": args.quick,
        "pieces": [0, PIECES],
        "inputs": max(
            (x["inputs"] for found in results.values() for x in found.values()), default=0
        ),
        "cpu seconds": round(sum(seconds), 1),
    }
    text = _markdown(facts, results)
    print(text, end="")
    write_json(args.json, {"about": facts, "functions": _as_json(results)})
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = make_parser(str(__doc__))
    add, n = parser.add_argument, os.cpu_count() or 1
    add("--functions", metavar="A,B", help=f"of the table (default: all): {', '.join(ROWS)}")
    add(
        "--libraries", metavar="A,B", help=f"of {', '.join(MODULES)} (default: those of the device)"
    )
    add("--jobs", metavar="N", type=positive, default=n, help=f"processes (default: {n})")
    add("--markdown", metavar="FILE", type=Path, help="write the table to FILE")
    args = parse(parser)
    other = "numpy" if args.device == "gpu" else "cupy"
    libraries = [name for name in MODULES if name != other]
    for option, known, default in (
        ("functions", ROWS, list(ROWS)),
        ("libraries", MODULES, libraries),
    ):
        given = (getattr(args, option) or ",".join(default)).split(",")
        if unknown := set(given) - set(known):
            parser.error(f"unknown {option}: {', '.join(unknown)}; known: {', '.join(known)}")
        setattr(args, option, [name for name in known if name in given])
    return args


def _label(name: str) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in ROWS[name].options.items())
    return f"{ROWS[name].xpnet}({options})" if options else name


def _as_json(results: Results) -> dict[str, Any]:
    """Return the results by function and column, each record with its inputs as numbers, too."""

    def origin(name: str, column: str) -> str:
        own = {library_of(call): call.partition("(")[0] for call in ROWS[name].calls}
        return own.get(column, f"xpnet.{ROWS[name].xpnet}")

    return {
        name: {
            "label": _label(name),
            "results": {
                column: {"function": origin(name, column), **_readable(record)}
                for column, record in columns.items()
            },
        }
        for name, columns in results.items()
    }


def _readable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # which JSON cannot hold
    if not isinstance(value, dict):
        return value
    found = {key: _readable(each) for key, each in value.items()}
    if "bits" in value:
        found |= {"x": _readable(_number(value)), "bits": f"0x{value['bits']:08x}"}
    return found


def _markdown(facts: dict[str, Any], results: Results) -> str:
    """Return the table, and below it what does not fit into it."""
    columns = [column for column in COLUMNS if any(column in found for found in results.values())]
    cells = [["function", *(COLUMNS[column] for column in columns)]]
    for name, found in results.items():
        cells.append([f"`{_label(name)}`", *(_cell(found.get(column)) for column in columns)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    extent = (
        f"only a sample of {facts['inputs']:,} inputs" if facts["sample"] else "all 2^32 inputs"
    )
    lines = [
        f"Largest error in ULP of float32, {extent}, and where it occurs.",
        headline(facts),
        "xpnet's functions run operation by operation, but for jax.jit, where XLA may fuse them.",
        "",
        *(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in cells),
    ]
    for title, texts_of in BELOW_THE_TABLE.items():
        texts = [
            f"- `{_label(name)}`, {COLUMNS[column]}: {text}"
            for name, found in results.items()
            for column, record in found.items()
            for text in texts_of(record)
        ]
        lines += ["", title, "", *(texts or ["- none"])]
    return "\n".join(lines) + "\n"


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    worst, n_wrong = record.get("normal"), sum(each["count"] for each in record["wrong"].values())
    text = "no normal result"
    if worst:
        text = "exact" if worst["error"] == 0 else f"{_short(worst['error'])}{_at(worst)}"
    return f"{text}; {n_wrong:,} wrong" if n_wrong else text


def _near_underflow(record: Record) -> Iterator[str]:
    found, normal = record.get("near underflow"), record.get("normal")
    if found and found["error"] > max(normal["error"] if normal else 0.0, 0.5):
        yield f"{_short(found['error'])} ULP{_at(found)}"


def _subnormal(record: Record) -> Iterator[str]:
    found = record.get("subnormal")
    if found and found["error"] > 1:
        yield f"{_short(found['error'])} times 2^-126{_at(found)}"


def _wrong(record: Record) -> Iterator[str]:
    for kind, found in record["wrong"].items():
        example = f"{found['got']:.8g} for {found['true']:.8g}"
        yield f"{kind}, {found['count']:,} times, first{_at(found)}: {example}"


BELOW_THE_TABLE: dict[str, Callable[[Record], Iterator[str]]] = {
    "Near underflow (true values from 2^-126 to 2^-119), where the error is larger:": (
        _near_underflow
    ),
    "Below 2^-126, where the error is more than flushing to zero explains:": _subnormal,
    "Wrong, whatever the tolerance:": _wrong,
}


def _short(error: float) -> str:
    return f"{error:.2f}" if error < 1e4 else f"{error:.1e}"


def _at(found: Record) -> str:
    return f" at {_number(found):.6g}"


def _number(found: Record) -> float:
    return float(np.asarray(found["bits"], np.uint32).view(np.float32))


if __name__ == "__main__":
    sys.exit(main())
