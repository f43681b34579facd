"""The largest error of every function of one variable, over all 2^32 inputs of float32.

    python benchmarks/accuracy.py --json accuracy.json --markdown accuracy.md

The functions of xpnet on arrays of NumPy, torch and JAX, and beside them the libraries' own, are
held against true values in float64, which have themselves been checked against mpmath. SciPy and
mpmath are needed; torch and JAX are measured where they are installed.

The error is the distance of the float32 result from the true value, in units in the last place
(ULP): 2^(e - 23), where 2^e is the largest power of two that is not above the true value. A
correctly rounded result is off by at most 0.5. Numbers below the smallest normal one, 2^-126, may
be flushed to zero, at the input or at the output. So a true value below it counts apart, by its
absolute error in units of 2^-126, and a subnormal input may be answered like zero. True values
from 2^-126 to 2^-119 count apart as well ("near underflow"), by ULP: there it shows whether a
formula has an intermediate result that is smaller than its final one. Where the true value rounds
to infinity, infinity is required; NaN for a number, a number for NaN, and so on, are "wrong".

The inputs are swept in 1,024 pieces of neighbours, in a scattered order, so that the time left can
be told. Whatever is finished is kept in a state file, and the same command goes on from there; once
the results are written, the file can be deleted.
"""

import argparse
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from provenance import about
from sweep.arguments import STATE, parse_arguments
from sweep.candidates import LIBRARIES
from sweep.report import as_json, as_markdown
from sweep.selection import Selection
from sweep.state import State, write_text
from sweep.workers import measure_all
from tqdm import tqdm
from truth.proof import prove

from xpnet.files.writing import check_target

PACKAGES = ("xpnet", "array-api-compat", "numpy", "scipy", "mpmath", "torch", "jax", "jaxlib")


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments(str(__doc__))
    try:
        measure(args)
    except KeyboardInterrupt:
        note("interrupted; without --quick, the same command goes on with the unfinished pieces")
        return 130
    except OSError as error:
        note(f"accuracy.py: error: {error.filename}: {error.strerror}")
        return 1
    except (ValueError, RuntimeError) as error:
        note(f"accuracy.py: error: {error}")
        return 1
    return 0


def note(text: str) -> None:
    """Tell something that is no result."""
    print(text, file=sys.stderr, flush=True)


def measure(args: argparse.Namespace) -> None:
    """Do what the command line asks.

    Raises
    ------
    ValueError
        If nothing can be measured, the true values are not true, or the state does not fit.
    OSError
        If a file cannot be read or written.
    RuntimeError
        If a process fails.
    """
    path = args.state or (None if args.quick else Path(STATE))
    for target in filter(None, (path, args.json, args.markdown)):
        check_target(target, force=True)
    missing = [name for name in ("torch", "jax") if not find_spec(name)]
    for name in missing:
        note(f"{name} is missing: neither its own functions nor xpnet's on its arrays")
    libraries = [name for name in args.libraries if LIBRARIES[name] not in missing]
    if not libraries:
        msg = "nothing is left to measure"
        raise ValueError(msg)
    first, last = args.pieces
    selection = Selection(args.functions, libraries, first, last, sample=args.quick)
    prove(selection.functions)

    facts = about(*PACKAGES)
    conditions = {key: facts[key] for key in ("versions", "hardware", "cpu features")}
    state = State(path, {"selection": asdict(selection), **conditions})
    if not args.restart:
        state.read()
    run(state, selection, args.jobs)
    facts |= {"missing": missing, "sample": selection.sample, "pieces": args.pieces}
    report(facts, state, args)


def run(state: State, selection: Selection, n_processes: int) -> None:
    """Measure what the state lacks."""
    todo = [piece for piece in selection.pieces if piece not in state.done]
    # Where there is no terminal, a line now and then.
    seconds = 0.1 if sys.stderr.isatty() else 30.0
    with tqdm(
        total=len(selection.pieces),
        initial=len(state.done),
        unit="piece",
        smoothing=0.02,
        mininterval=seconds,
        maxinterval=seconds,
    ) as bar:
        for piece, taken, results in measure_all(selection, todo, n_processes):
            state.add(piece, taken, results)
            bar.update()
    if selection.sample:
        # Each process has compiled and warmed up in its first piece.
        n = len(next(selection.blocks(0)))
        minutes = min(state.seconds) / n * 2**32 / n_processes / 60
        note(f"all inputs would take about {minutes:.0f} minutes with --jobs {n_processes}")


def report(facts: dict[str, Any], state: State, args: argparse.Namespace) -> None:
    """Print the table, and write the files."""
    results = {name: state.results[name] for name in args.functions if name in state.results}
    records = [record for columns in results.values() for record in columns.values()]
    facts["inputs"] = max((record["inputs"] for record in records), default=0)
    facts["cpu seconds"] = round(sum(state.seconds), 1)
    markdown = as_markdown(facts, results)
    print(markdown, end="")
    if args.json:
        summary = {"about": facts, "functions": as_json(results)}
        write_text(args.json, json.dumps(summary, indent=1) + "\n")
    if args.markdown:
        write_text(args.markdown, markdown)


if __name__ == "__main__":
    sys.exit(main())
