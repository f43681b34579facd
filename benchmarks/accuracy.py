"""Largest errors of xpnet's functions: over all 2^32 inputs of float32, and 100,000 of float64.

    python benchmarks/accuracy.py --json benchmarks/results/accuracy.json
    python benchmarks/accuracy.py --functions sigmoid,tanh --devices cpu,gpu --quick
    python benchmarks/accuracy.py --table accuracy.json --page docs/explanation/speed.md

In float64, results are compared with mpmath. Those of NumPy, which must be within their bound, are
then the true values for float32. JAX computes operation by operation, and compiled. Functions
without an error are left out. All inputs take about an hour on two cores; `--quick` takes a sample.

Errors are in units in the last place (ULP) of the true value. An error below 2^-120 (float64:
2^-1000) counts as 0; NaN for a number, and the reverse, as infinite.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib import import_module
from itertools import chain
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from harness import about, headline, make_parser, markdown_table, run
from tqdm import tqdm

import xpnet
from xpnet.functions.activations import ACTIVATIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "functions"))
definitions = import_module("true_values")

# Name and options of each function that has an error.
FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, {}) for name, row in ACTIVATIONS.items() if row.ulp and any(row.ulp)
}
FUNCTIONS["gelu_tanh"] = ("gelu", {"approximate": "tanh"})
TITLES = {"numpy": "NumPy", "cupy": "CuPy", "jax": "JAX", "jit": "JAX"}  # the others' are names
N_PIECES, QUICK_STEP = 2**16, 16_381  # every 2^16-th input is a piece; the step is a prime number
Records = dict[tuple[str, str, str], dict[str, Any]]  # by function, column and dtype
NOTHING, ERROR_OF = {"inputs": 0, "error": -1.0, "wrong": 0}, itemgetter("error")


def main() -> None:
    """Run the benchmark."""
    parser, default = make_parser(str(__doc__)), "(default: %(default)s)"
    add = parser.add_argument
    add("--functions", metavar="A,B", default=",".join(FUNCTIONS), help=default)
    add("--devices", metavar="A,B", default="cpu,torch:cpu,jax:cpu", help=default)
    run("accuracy.py", parser.parse_args(), measure, markdown)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the functions on all devices, in parallel."""
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = os.environ["JAX_ENABLE_X64"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    names, words = args.functions.split(","), args.devices.split(",")
    pieces = range(0, N_PIECES, QUICK_STEP if args.quick else 1)
    functions: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    context = get_context("spawn")  # a fork would break the threads of JAX and torch
    with ProcessPoolExecutor(None, context, np.seterr, ("ignore",)) as pool:
        in_float64 = pool.map(partial(errors_64, words, 60 if args.quick else 20_000), names)
        in_float32 = pool.map(partial(errors_32, words, names), pieces)
        for part in tqdm(chain(in_float64, in_float32), total=len(names) + len(pieces)):
            for (name, column, dtype), record in part.items():
                records = functions[name].setdefault(column, {})
                old = records.get(dtype, NOTHING)
                sums = {key: old[key] + record[key] for key in ("inputs", "wrong")}
                records[dtype] = max(old, record, key=ERROR_OF) | sums
    facts = about("array-api-compat", "mpmath", "torch", "jax")
    return {"about": facts | {"sample": args.quick}, "functions": functions}


def errors_64(words: Iterable[str], n: int, name: str) -> Records:
    """Return the largest errors at `5 n` random numbers, of all sizes or mild, and at hard ones."""
    random, (function, options) = np.random.default_rng(0), FUNCTIONS[name]
    sizes = random.choice([-1, 1], n) * 2.0 ** random.uniform(-1022, 1024, n)
    near = random.normal(0, [[1e-3], [1.0], [10.0]], (3, n)).reshape(-1)
    mild = random.uniform(-745, 710, n)
    x = np.concatenate([mild, sizes, near, definitions.hard_points("float64")])
    values = [[definitions.true_value(function, v, **options)] for v in x.tolist()]
    truth = definitions.truth_of(x, values, "float64")
    truth.check(computes(name)(x)[:, None], ACTIVATIONS[function].ulp_bound("float64"))
    return compare(words, name, truth)


def errors_32(words: Iterable[str], names: Iterable[str], piece: int) -> Records:
    """Return the largest errors at the inputs of a piece."""
    x = np.arange(piece, 2**32, N_PIECES).astype(np.uint32).view(np.float32)
    found: Records = {}
    for name in names:
        values = np.clip(computes(name)(x.astype(np.float64)), -(2.0**128), 2.0**128)
        ulp = np.exp2(np.frexp(np.clip(np.abs(values), 2.0**-126, 2.0**127))[1] - 24.0)
        whole = np.clip(np.rint(values / ulp), 1 - 2**24, 2**24 - 1)
        columns = (part[:, None] for part in (whole * ulp, values / ulp - whole, ulp))
        found |= compare(words, name, definitions.Truth("float32", x, *columns))
    return found


def compare(words: Iterable[str], name: str, truth: Any) -> Records:
    """Return the records of a function on all devices, for the inputs of the true values."""
    found: Records = {}
    for word in words:
        device = xpnet.Device(word)
        for kind in (device.library, *["jit"] * (device.library == "jax")):
            y = device.to_numpy(computes(name, kind)(device.asarray(truth.x)))[:, None]
            is_wrong = np.isnan(y) != np.isnan(truth.nearest)
            errors = np.where(is_wrong, np.inf, truth.errors(y))
            i = np.argmax(np.where(np.isnan(errors), -1.0, errors))
            record = {"inputs": y.size, "error": float(errors[i, 0]), "x": float(truth.x[i])}
            found[name, f"xpnet {kind}", truth.dtype] = record | {"wrong": int(is_wrong.sum())}
    return found


@cache
def computes(name: str, kind: str = "") -> Callable[[Any], Any]:
    """Return a function of the table, compiled by JAX if the kind is "jit"."""
    function, options = FUNCTIONS[name]
    ours = partial(getattr(xpnet, function), **options)
    return import_module("jax").jit(ours) if kind == "jit" else ours


def markdown(result: dict[str, Any]) -> list[str]:
    """Return the table of bounds and largest errors, in float32 and float64."""
    facts, functions = result["about"], result["functions"]
    text = "Only a sample. " * facts["sample"] + headline(facts)
    if earlier := result.get("earlier"):  # of formulas that have not changed since
        origin = f"{earlier['date']}, {earlier['hardware']}, commit {earlier['commit']}"
        text += f" float32 of {', '.join(earlier['functions'])}: {origin}."
    columns: dict[str, list[str]] = {}
    for column in dict.fromkeys(column for found in functions.values() for column in found):
        kind = column.removeprefix("xpnet ")
        columns.setdefault(TITLES.get(kind, kind), []).append(column)
    rows = []
    for name, (function, options) in FUNCTIONS.items():
        if found := functions.get(name):
            words = ", ".join(f"{key}={value!r}" for key, value in options.items())
            bound = ", ".join(f"{x:g}" for x in ACTIVATIONS[function].ulp or ())
            cells = [_cell([found[x] for x in of if x in found]) for of in columns.values()]
            rows.append([f"`{function}({words})`" if words else f"`{name}`", bound, *cells])
    return [text, "", *markdown_table(["function", "bound", *columns], rows)]


def _cell(columns: list[dict[str, Any]]) -> str:
    """Return the largest errors of some columns, in float32 and in float64."""
    found = [[x[dtype] for x in columns if dtype in x] for dtype in ("float32", "float64")]
    return ", ".join(f"{max(map(ERROR_OF, records)):.2f}" for records in found if records)


if __name__ == "__main__":
    main()
