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
be told. Whatever is finished is kept in a state file, and the same command goes on from there.
"""

import argparse
import ast
import datetime as dt
import hashlib
import importlib.util
import json
import math
import multiprocessing as mp
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from truth import ROWS, Inputs, check, true_values

import xpnet
from xpnet.files.writing import atomic_write, check_target

ROOT = Path(__file__).resolve().parent.parent

PIECES = 1024
PIECE = 2**32 // PIECES
# Neighbouring pieces cost alike; an odd step goes through all of them in a scattered order.
PIECE_STEP = 389
# A block and the arrays made of it should fit into a cache; smaller ones cost more calls.
BLOCK = 2**16
# A sample takes every so many patterns, a prime number, and what is special.
SAMPLE_STRIDE = 16_381
SPECIAL = np.asarray(
    [0, 1, 2**23 - 1, 2**23, 2**24, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000],
    dtype=np.uint32,
)

SMALLEST = 2.0**-126
NEAR_UNDERFLOW = 2.0**-119
# The exponent field of float64: of 2^-126, and of the number whose exponent cancels another's.
EXPONENT = np.uint64(0x7FF << 52)
EXPONENT_OF_SMALLEST = np.uint64((1023 - 126) << 52)
EXPONENT_OF_INVERSE = np.uint64((2 * 1023 + 23) << 52)

# An optional library is measured under these names; `jit` is xpnet's function inside jax.jit.
LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax", "jit": "jax"}
COLUMNS = {
    "xpnet numpy": "xpnet, NumPy",
    "xpnet torch": "xpnet, torch",
    "xpnet jax": "xpnet, JAX",
    "xpnet jit": "xpnet, jax.jit",
    "numpy": "NumPy's own",
    "scipy": "SciPy's own",
    "torch": "torch's own",
    "jax": "JAX's own",
}
PACKAGES = ("xpnet", "array-api-compat", "numpy", "scipy", "mpmath", "torch", "jax", "jaxlib")
SECONDS_BETWEEN_LINES = 30.0
LARGE = 1e4  # errors from here on are told by their magnitude

Record = dict[str, Any]
Results = dict[str, dict[str, Record]]


@dataclass(frozen=True)
class Selection:
    """What is measured: rows of the table, libraries, and pieces, or a sample of all pieces."""

    functions: list[str]
    libraries: list[str]
    first: int
    last: int
    sample: bool

    @property
    def pieces(self) -> list[int]:
        """The numbers of the pieces, in the order of work."""
        if self.sample:
            return list(range(4))
        scattered = (piece * PIECE_STEP % PIECES for piece in range(PIECES))
        return [piece for piece in scattered if self.first <= piece < self.last]

    def blocks(self, piece: int) -> Iterator[NDArray[np.uint32]]:
        """Yield the bit patterns of a piece, block by block."""
        if self.sample:
            n = 2**32 // SAMPLE_STRIDE // 4
            numbers = np.arange(piece * n, (piece + 1) * n, dtype=np.uint32)
            signed = SPECIAL | np.uint32(piece % 2 << 31)
            yield np.concatenate([signed, numbers * np.uint32(SAMPLE_STRIDE)])
            return
        for start in range(piece * PIECE, (piece + 1) * PIECE, BLOCK):
            yield np.arange(start, start + BLOCK, dtype=np.int64).astype(np.uint32)


# What a process does with a piece.


class Truth:
    """The true values of one function on one block, and what all its candidates share.

    Parameters
    ----------
    name : str
        The function's row.
    inputs : truth.Inputs
        The inputs in float64.
    all_finite, any_subnormal : bool
        What is known of the inputs.
    """

    def __init__(self, name: str, inputs: Inputs, *, all_finite: bool, any_subnormal: bool) -> None:
        self.values = true_values(ROWS[name], inputs, all_finite=all_finite)
        self.rounded = self.values.astype(np.float32)
        exponent = self.values.view(np.uint64) & EXPONENT
        inverse = EXPONENT_OF_INVERSE - np.maximum(exponent, EXPONENT_OF_SMALLEST)
        self.per_ulp = inverse.view(np.float64)  # times this, an absolute error is in ULP
        self.subnormal: NDArray[np.bool] | None = None
        if any_subnormal:
            self.subnormal = np.abs(inputs.x) < SMALLEST
            self.at_zero = true_values(ROWS[name], Inputs(np.zeros(1)), all_finite=True)[0]

    def start(self, bits: NDArray[np.uint32]) -> Record:
        """Return the record of a candidate that rounds every true value correctly."""
        record: Record = {"inputs": len(bits), "misrounded": 0, "flushed": 0, "wrong": {}}
        error = np.abs(self.rounded - self.values) * self.per_ulp
        note_worst(record, regions(self.values, self.rounded), error, bits, self.values)
        return record

    def compare(self, y: NDArray[np.float32], bits: NDArray[np.uint32], record: Record) -> None:
        """Add to the record of a candidate what differs from correct rounding."""
        at = np.flatnonzero(y != self.rounded)
        if not at.size:
            return
        got, true = y[at].astype(np.float64), self.values[at]
        if self.subnormal is not None:
            flushed = self.subnormal[at] & (got == self.at_zero) & ~(np.abs(true) < SMALLEST)
            record["flushed"] += int(np.count_nonzero(flushed))
            at, got, true = at[~flushed], got[~flushed], true[~flushed]
        rounded = self.rounded[at]
        note_wrong(record, got, true, rounded, bits[at])
        finite = np.isfinite(got)
        masks = {region: mask & finite for region, mask in regions(true, rounded).items()}
        record["misrounded"] += int(np.count_nonzero(masks["normal"] | masks["near underflow"]))
        error = np.abs(got - true) * self.per_ulp[at]
        note_worst(record, masks, error, bits[at], true, got=got)


def regions(true: NDArray[np.float64], rounded: NDArray[np.float32]) -> dict[str, Any]:
    """Tell which true values count where."""
    size = np.abs(true)
    tiny, small = size < SMALLEST, size < NEAR_UNDERFLOW
    return {
        "normal": ~small & np.isfinite(rounded),
        "near underflow": small & ~tiny,
        "subnormal": tiny,
    }


def note_worst(
    record: Record,
    masks: dict[str, Any],
    error: NDArray[np.float64],
    bits: NDArray[np.uint32],
    true: NDArray[np.float64],
    *,
    got: NDArray[np.float64] | None = None,
) -> None:
    """Keep the largest error of each region, with its input; without `got`, of rounded truth."""
    for region, mask in masks.items():
        if not mask.any():
            continue
        at = int(np.argmax(np.where(mask, error, -1.0)))
        # Below the smallest normal number one ULP is 2^-149, and the unit of the table 2^-126.
        worst = float(error[at]) * (2.0**-23 if region == "subnormal" else 1.0)
        value = np.float32(true[at]) if got is None else got[at]
        found = {
            "error": worst,
            "bits": int(bits[at]),
            "got": float(value),
            "true": float(true[at]),
        }
        record[region] = worse(record.get(region), found)


def worse(one: Record | None, other: Record | None) -> Record | None:
    """Return the larger error of two; of equals, the one with the smaller pattern."""
    found = [each for each in (one, other) if each]
    return min(found, key=lambda each: (-each["error"], each["bits"]), default=None)


def note_wrong(
    record: Record,
    got: NDArray[np.float64],
    true: NDArray[np.float64],
    rounded: NDArray[np.float32],
    bits: NDArray[np.uint32],
) -> None:
    """Count results that no number of ULP can tell, with an example of each kind."""
    number, finite = ~np.isnan(true), np.isfinite(rounded)
    if finite.all() and np.isfinite(got).all():
        return
    kinds = {
        "NaN for a number": np.isnan(got) & number,
        "a number for NaN": ~np.isnan(got) & ~number,
        "infinity for a finite number": np.isinf(got) & finite,
        "not the right infinity": np.isinf(rounded) & ~np.isnan(got) & (got != rounded),
    }
    for kind, mask in kinds.items():
        n = int(np.count_nonzero(mask))
        if not n:
            continue
        at = int(np.argmax(mask))
        example = {"bits": int(bits[at]), "got": float(got[at]), "true": float(true[at])}
        known = record["wrong"].setdefault(kind, {"count": 0, **example})
        known["count"] += n


def merge(record: Record | None, other: Record) -> Record:
    """Return the record of two pieces together."""
    if record is None:
        return other
    merged: Record = {key: record[key] + other[key] for key in ("inputs", "misrounded", "flushed")}
    merged["wrong"] = dict(record["wrong"])
    for kind, found in other["wrong"].items():
        known = merged["wrong"].get(kind)
        first = found if known is None or found["bits"] < known["bits"] else known
        merged["wrong"][kind] = {
            **first,
            "count": found["count"] + (known["count"] if known else 0),
        }
    for region in ("normal", "near underflow", "subnormal"):
        found = worse(record.get(region), other.get(region))
        if found:
            merged[region] = found
    return merged


def make_candidates(selection: Selection) -> dict[str, dict[str, tuple[str, Callable[..., Any]]]]:
    """Return, for each function and column, the library of its argument and the callable."""
    candidates: dict[str, dict[str, tuple[str, Callable[..., Any]]]] = {}
    for name in selection.functions:
        row, columns = ROWS[name], {}
        if row.xpnet:
            ours = partial(getattr(xpnet, row.xpnet), **row.options)
            for library in selection.libraries:
                call = importlib.import_module("jax").jit(ours) if library == "jit" else ours
                columns[f"xpnet {library}"] = (LIBRARIES[library], call)
        for call in row.calls:
            taken = "numpy" if call.library == "scipy" else call.library
            if taken in selection.libraries:
                columns[call.library] = (taken, call.resolve())
        candidates[name] = columns
    return candidates


def to_library(x: NDArray[np.float32], library: str) -> Any:
    """Return an array of one of the libraries."""
    if library == "torch":
        return importlib.import_module("torch").from_numpy(x)
    if library == "jax":
        return importlib.import_module("jax.numpy").asarray(x)
    return x


def sweep(selection: Selection, piece: int, candidates: dict[str, Any]) -> Results:
    """Measure one piece."""
    results: Results = {}
    needed = {library for columns in candidates.values() for library, _ in columns.values()}
    if SPECIAL[1:2].view(np.float32).astype(np.float64)[0] == 0:
        msg = "a library has made NumPy flush subnormal numbers, so the truth is lost"
        raise RuntimeError(msg)
    for bits in selection.blocks(piece):
        x = bits.view(np.float32)
        all_finite, subnormal = bool(np.isfinite(x).all()), bool((np.abs(x) < SMALLEST).any())
        arguments = {library: to_library(x, library) for library in needed}
        inputs = Inputs(x.astype(np.float64))
        for name, columns in candidates.items():
            truth = Truth(name, inputs, all_finite=all_finite, any_subnormal=subnormal)
            start = truth.start(bits)
            for column, (library, function) in columns.items():
                record = {**start, "wrong": {}}
                y = np.asarray(function(arguments[library]))
                if y.dtype != np.float32 or y.shape != x.shape:
                    msg = f"{name}, {COLUMNS[column]}: {y.dtype}{y.shape} for float32{x.shape}"
                    raise TypeError(msg)
                truth.compare(y, bits, record)
                found = results.setdefault(name, {})
                found[column] = merge(found.get(column), record)
    return results


def work(connection: Connection, selection: Selection) -> None:
    """Measure the pieces that come down the connection, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.seterr(all="ignore")
    if "torch" in selection.libraries:
        importlib.import_module("torch").set_num_threads(1)
    try:
        candidates = make_candidates(selection)
        while True:
            piece = connection.recv()
            start = time.perf_counter()
            results = sweep(selection, piece, candidates)
            connection.send((None, piece, time.perf_counter() - start, results))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or has had enough
    except Exception as error:  # noqa: BLE001 (whatever a library raises is told in one line)
        connection.send((f"{type(error).__name__}: {error}",))


# What the program does with the processes.


def run(state: "State", selection: Selection, jobs: int) -> None:
    """Measure what the state lacks, a piece at a time in each process.

    Raises
    ------
    RuntimeError
        If a process fails.
    """
    todo = [piece for piece in selection.pieces if piece not in state.done]
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    context = mp.get_context("spawn")  # JAX and torch have threads, which a fork would break
    workers = []
    with closing(Progress(len(selection.pieces), len(state.done))) as progress:
        # Inherited by the processes: this one alone decides what an interruption means.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for _ in range(min(jobs, len(todo))):
            mine, theirs = context.Pipe()
            context.Process(target=work, args=(theirs, selection), daemon=True).start()
            theirs.close()
            mine.send(todo.pop(0))
            workers.append(mine)
        signal.signal(signal.SIGINT, handler)
        while workers:
            for connection in wait(workers):
                assert isinstance(connection, Connection)  # noqa: S101 (for the type checker)
                piece, seconds, results = _receive(connection)
                if todo:
                    connection.send(todo.pop(0))
                else:
                    workers.remove(connection)
                    connection.close()
                state.add(piece, seconds, results)
                progress.advance()


def _receive(connection: Connection) -> tuple[int, float, Results]:
    try:
        failure, *result = connection.recv()
    except (EOFError, ConnectionResetError):
        failure = "a process ended without a result (out of memory?)"
    if failure:
        raise RuntimeError(failure)
    piece, seconds, results = result
    return piece, seconds, results


class Progress:
    """A bar with the time left on a terminal, and a line now and then elsewhere.

    Parameters
    ----------
    total, done : int
        The number of pieces, and of those that an earlier run has finished.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.before = total, done, done
        self.start = self.told = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, unit="piece", smoothing=0.02)

    def advance(self) -> None:
        """Count a piece."""
        self.done += 1
        now = time.monotonic()
        if self.bar is not None:
            self.bar.update()
        elif now - self.told >= SECONDS_BETWEEN_LINES or self.done in {self.before + 1, self.total}:
            self.told = now
            left = (now - self.start) / (self.done - self.before) * (self.total - self.done)
            note(f"{self.done} of {self.total} pieces, about {minutes(left)} left")

    def close(self) -> None:
        """Leave the terminal in order."""
        if self.bar is not None:
            self.bar.close()


def minutes(seconds: float) -> str:
    """Return a time as it is told."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"  # noqa: PLR2004


class State:
    """What is finished, kept in a file that the same command reads again.

    Parameters
    ----------
    path : Path or None
        The file; ``None`` keeps nothing.
    conditions : dict
        All that results depend on; a file made under others is refused.
    """

    def __init__(self, path: Path | None, conditions: dict[str, Any]) -> None:
        self.path, self.conditions = path, conditions
        self.done: list[int] = []
        self.seconds: list[float] = []
        self.results: Results = {}

    def read(self) -> None:
        """Take over what the file holds, if there is one.

        Raises
        ------
        ValueError
            If it is no state, or one made under other conditions.
        """
        if self.path is None or not self.path.exists():
            return
        again = "--restart begins anew, --state FILE uses another file"
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            theirs = stored["conditions"]
            done, seconds, results = stored["done"], stored["seconds"], stored["results"]
        except (ValueError, KeyError, TypeError):
            msg = f"{self.path} is no state of this program; {again}"
            raise ValueError(msg) from None
        other = [key for key, value in self.conditions.items() if theirs.get(key) != value]
        if other:
            msg = f"{self.path} was made with other {', '.join(other)}; {again}"
            raise ValueError(msg)
        self.done, self.seconds, self.results = done, seconds, results
        note(f"{self.path} holds {len(self.done)} finished pieces")

    def add(self, piece: int, seconds: float, results: Results) -> None:
        """Take over a piece, and write the file."""
        for name, columns in results.items():
            mine = self.results.setdefault(name, {})
            for column, record in columns.items():
                mine[column] = merge(mine.get(column), record)
        self.done.append(piece)
        self.seconds.append(seconds)
        if self.path is not None:
            keys = ("conditions", "done", "seconds", "results")
            write_text(self.path, json.dumps({key: getattr(self, key) for key in keys}))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with atomic_write(path, force=True) as stream:
        stream.write(text.encode())


# What ran where.


def find_conditions(selection: Selection) -> dict[str, Any]:
    """Return all that the results depend on."""
    sources = [*ROOT.glob("benchmarks/truth/*.py"), Path(__file__)]
    package = Path(str(xpnet.__file__)).parent
    sources += [*package.glob("functions/**/*.py"), *package.glob("arrays/**/*.py")]
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(code_of(source).encode())
    return {
        "selection": asdict(selection),
        "code": digest.hexdigest(),
        "versions": find_versions(),
        "hardware": xpnet.Device("cpu").hardware,
        "cpu features": find_features(),
    }


def code_of(source: Path) -> str:
    """Return what a source does: its syntax tree, so without comments, and without docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        node.body = [  # type: ignore[attr-defined]
            each
            for each in body
            if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        ]
    return ast.dump(tree)


def find_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries; a missing one is named as missing."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "missing"
    return versions


def find_features() -> dict[str, Any]:
    """Return which features of the CPU NumPy uses, and which loops it took for the primitives."""
    umath = importlib.import_module("numpy._core._multiarray_umath")
    known = [*umath.__cpu_baseline__, *umath.__cpu_dispatch__]
    from numpy.lib import introspect

    names = "^(exp|expm1|log|log1p|tanh)$"
    loops = introspect.opt_func_info(func_name=names, signature="float32")
    return {
        "numpy": [name for name in known if umath.__cpu_features__.get(name)],
        "loops": {
            name: loop["current"] for name, found in loops.items() for loop in found.values()
        },
    }


def find_commit() -> str:
    """Return the commit of the sources, with a mark where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"

    def ask(*words: str) -> str | None:
        command = [git, "-C", str(ROOT), *words]
        reply = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (words of this file)
        return reply.stdout.strip() if reply.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    return f"{commit} with changes" if ask("status", "--porcelain") else commit


# What is told.


def summarise(state: State, selection: Selection, missing: list[str]) -> dict[str, Any]:
    """Return the results as they are written to the JSON file."""
    n_inputs = max(
        (each["inputs"] for columns in state.results.values() for each in columns.values()),
        default=0,
    )
    return {
        "about": {
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "commit": find_commit(),
            "system": platform.system(),
            "machine": platform.machine(),
            **{key: state.conditions[key] for key in ("hardware", "cpu features", "versions")},
            "missing": missing,
            "sample": selection.sample,
            "pieces": [selection.first, selection.last],
            "inputs": n_inputs,
            "cpu seconds": round(sum(state.seconds), 1),
        },
        "functions": {
            name: {
                "label": label(name),
                "results": {
                    column: {"function": origin(name, column), **readable(record)}
                    for column, record in columns.items()
                },
            }
            for name, columns in state.results.items()
        },
    }


def label(name: str) -> str:
    """Name a row as it would be called."""
    options = ", ".join(f"{key}={value!r}" for key, value in ROWS[name].options.items())
    return f"{ROWS[name].xpnet}({options})" if options else name


def origin(name: str, column: str) -> str:
    """Name the function behind a cell."""
    if column.startswith("xpnet"):
        return f"xpnet.{ROWS[name].xpnet}"
    return next(call.path for call in ROWS[name].calls if call.library == column)


def readable(record: Any) -> Any:
    """Return a record with its inputs as numbers, too, and without what JSON cannot hold."""
    if isinstance(record, float) and not math.isfinite(record):
        return str(record)
    if not isinstance(record, dict):
        return record
    readable_record = {key: readable(value) for key, value in record.items()}
    if "bits" in record:
        readable_record["x"] = readable(value_of(record["bits"]))
        readable_record["bits"] = f"0x{record['bits']:08x}"
    return readable_record


def value_of(bits: int) -> float:
    """Return the float32 number of a bit pattern."""
    return float(np.asarray(bits, dtype=np.uint32).view(np.float32))


def make_markdown(summary: dict[str, Any], results: Results) -> str:
    """Return the table, and below it what does not fit into it."""
    about = summary["about"]
    if about["inputs"] == 2**32:
        what = "all 2^32 inputs"
    elif about["sample"]:
        what = f"only a sample of {about['inputs']:,} inputs"
    else:
        what = "only the {:,} inputs of the pieces {}:{}".format(about["inputs"], *about["pieces"])
    columns = [column for column in COLUMNS if any(column in found for found in results.values())]
    versions = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    machine = f"{about['hardware']} ({' '.join(about['cpu features']['numpy'])})"
    lines = [
        f"Largest error in ULP of float32, {what}, and where it occurs.",
        f"{about['date']}, {machine}, commit {about['commit']}; {versions}.",
        "xpnet's functions run operation by operation, but for jax.jit, where XLA may fuse them.",
        "",
        *_aligned(
            [
                ["function", *(COLUMNS[column] for column in columns)],
                *(
                    [f"`{label(name)}`", *(_cell(found.get(column)) for column in columns)]
                    for name, found in results.items()
                ),
            ]
        ),
    ]
    for title, tell in (
        ("Near underflow (true values from 2^-126 to 2^-119), where the error is larger:", _near),
        ("Below 2^-126, where the error is more than flushing to zero explains:", _below),
        ("Wrong, whatever the tolerance:", _wrong),
    ):
        told = [
            f"- `{label(name)}`, {COLUMNS[column]}: {text}"
            for name, found in results.items()
            for column, record in found.items()
            for text in tell(record)
        ]
        lines += ["", title, "", *(told or ["- none"])]
    return "\n".join(lines) + "\n"


def _aligned(cells: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(padded)} |"


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    worst, n_wrong = record.get("normal"), sum(each["count"] for each in record["wrong"].values())
    text = "no normal result"
    if worst:
        text = "exact" if worst["error"] == 0 else f"{_short(worst['error'])}{_at(worst)}"
    return f"{text}; {n_wrong:,} wrong" if n_wrong else text


def _short(error: float) -> str:
    return f"{error:.2f}" if error < LARGE else f"{error:.1e}"


def _at(found: Record) -> str:
    return f" at {value_of(found['bits']):.6g}"


def _near(record: Record) -> Iterator[str]:
    found, normal = record.get("near underflow"), record.get("normal")
    if found and found["error"] > max(normal["error"] if normal else 0.0, 0.5):
        yield f"{_short(found['error'])} ULP{_at(found)}"


def _below(record: Record) -> Iterator[str]:
    found = record.get("subnormal")
    if found and found["error"] > 1:
        yield f"{_short(found['error'])} times 2^-126{_at(found)}"


def _wrong(record: Record) -> Iterator[str]:
    for kind, found in record["wrong"].items():
        yield (
            f"{kind}, {found['count']:,} times, first{_at(found)}:"
            f" {found['got']:.8g} for {found['true']:.8g}"
        )


# The command.


def note(text: str) -> None:
    """Tell something that is no result."""
    print(text, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--functions",
        metavar="A,B,C",
        type=names_of(ROWS),
        default=list(ROWS),
        help=f"rows of the table (default: all): {', '.join(ROWS)}",
    )
    parser.add_argument(
        "--libraries",
        metavar="A,B,C",
        type=names_of(LIBRARIES),
        default=list(LIBRARIES),
        help="numpy (and SciPy), torch, jax, and jit: xpnet's functions in jax.jit (default: all)",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--pieces",
        metavar="FIRST:LAST",
        type=piece_range,
        default=(0, PIECES),
        help=f"only these of the {PIECES:,} pieces, without LAST (default: 0:{PIECES})",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive,
        default=available_cores(),
        help="processes, of one thread each (default: the cores, %(default)s)",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        type=Path,
        help="where finished pieces are kept (default: accuracy-state.json; none for a sample)",
    )
    parser.add_argument("--restart", action="store_true", help="forget the finished pieces")
    extent.add_argument(
        "--quick", action="store_true", help="a sample of 262,000 inputs, to see that it runs"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to FILE")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write the table to FILE")
    return parser.parse_args()


def names_of(known: dict[str, Any]) -> Callable[[str], list[str]]:
    """Return a reader of names that are separated by commas."""

    def read(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in known:
                msg = f"{name!r} is none of {', '.join(known)}"
                raise argparse.ArgumentTypeError(msg)
        return [name for name in known if name in given]

    return read


def piece_range(text: str) -> tuple[int, int]:
    """Read FIRST:LAST."""
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last) <= PIECES):
        msg = f"{text!r} is no FIRST:LAST with 0 <= FIRST < LAST <= {PIECES}"
        raise argparse.ArgumentTypeError(msg)
    return int(first), int(last)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdigit() or int(text) == 0:
        msg = f"{text!r} is no whole number above 0"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def select(args: argparse.Namespace) -> tuple[Selection, list[str]]:
    """Return what can be measured, and the libraries that are missing, which are noted."""
    missing = [name for name in ("torch", "jax") if not importlib.util.find_spec(name)]
    absent = [name for name in args.functions if not hasattr(xpnet, ROWS[name].xpnet or "read")]
    functions = [name for name in args.functions if name not in absent]
    if absent:
        note(f"not in this xpnet, so skipped: {', '.join(absent)}")
    for name in missing:
        note(f"{name} is missing: neither its own functions nor xpnet's on its arrays")
    libraries = [name for name in args.libraries if LIBRARIES[name] not in missing]
    first, last = args.pieces
    return Selection(functions, libraries, first, last, sample=args.quick), missing


def measure(args: argparse.Namespace) -> int:
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
    lacking = [name for name in ("scipy", "mpmath") if not importlib.util.find_spec(name)]
    if lacking:
        msg = f"{' and '.join(lacking)} must be installed: pip install {' '.join(lacking)}"
        raise ValueError(msg)
    path = args.state or (None if args.quick else Path("accuracy-state.json"))
    for target in filter(None, (path, args.json, args.markdown)):
        check_target(target, force=True)
    selection, missing = select(args)
    if not selection.functions or not selection.libraries:
        msg = "nothing is left to measure"
        raise ValueError(msg)
    for failure in check(selection.functions):
        msg = f"a true value is not true: {failure}"
        raise ValueError(msg)
    state = State(path, find_conditions(selection))
    if not args.restart:
        state.read()
    run(state, selection, args.jobs)
    if selection.sample:
        # Each process has compiled and warmed up in its first piece.
        warm = min(state.seconds) / len(next(selection.blocks(0))) * 2**32 / args.jobs
        note(f"all inputs would take about {minutes(warm)} with --jobs {args.jobs}")
    report(state, selection, missing, args)
    return 0


def report(
    state: State, selection: Selection, missing: list[str], args: argparse.Namespace
) -> None:
    """Print the table, and write the files."""
    results = {name: state.results[name] for name in ROWS if name in state.results}
    state.results = results
    summary = summarise(state, selection, missing)
    markdown = make_markdown(summary, results)
    print(markdown, end="")
    if args.json:
        write_text(args.json, json.dumps(summary, indent=1) + "\n")
    if args.markdown:
        write_text(args.markdown, markdown)


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    try:
        return measure(args)
    except KeyboardInterrupt:
        note("interrupted; without --quick, the same command goes on with the unfinished pieces")
        return 130
    except OSError as error:
        note(f"accuracy.py: error: {error.filename}: {error.strerror}")
    except (ValueError, RuntimeError) as error:
        note(f"accuracy.py: error: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
