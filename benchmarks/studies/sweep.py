"""Largest errors of functions: all inputs of float32, and random inputs of float64.

A record has the number of ``inputs``, the largest ``error`` in ULP, its place ``x``, what the
function ``got`` and what is ``true`` there, and the number ``wrong`` of results that are NaN where
the true value is a number, or the reverse.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet
from studies.truth import ROWS, definitions

SLACK = 2.0**-120  # a result below it may be 0
PIECES, PIECE_STEP = 1024, 389  # an odd step visits all in a scattered order: neighbours cost alike
BLOCK = 2**16  # it and the arrays made of it fit into a cache
SAMPLE, SAMPLE_STRIDE = 2**18, 16_381  # inputs, and a prime number
SPECIAL = np.asarray(
    [0, 1, 2**23 - 1, 2**23, 2**24, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000],
    dtype=np.uint32,
)
DOUBLE, FEW = 100_000, 300  # inputs of float64, and in a sample

Record = dict[str, Any]
Results = dict[str, dict[str, dict[str, Record]]]  # by the row's name, column, and dtype
Task = int | str  # the number of a piece of float32, or the name of a row for float64


@dataclass(frozen=True)
class Selection:
    """Rows of the table, words of devices, and inputs: all pieces, or a small sample."""

    functions: tuple[str, ...]
    devices: tuple[str, ...]
    sample: bool

    @property
    def opened(self) -> dict[str, xpnet.Device]:
        """The devices by their libraries."""
        return {device.library: device for device in map(xpnet.Device, self.devices)}

    @property
    def tasks(self) -> list[Task]:
        """The parts of the work, in their order."""
        pieces = [0] if self.sample else [i * PIECE_STEP % PIECES for i in range(PIECES)]
        return [*(name for name in self.functions if name != "log"), *pieces]

    def blocks(self, piece: int) -> Iterator[NDArray[np.float32]]:
        """Yield the inputs of a piece, block by block."""
        if self.sample:
            numbers = np.arange(SAMPLE, dtype=np.uint32) * np.uint32(SAMPLE_STRIDE)
            bits = np.concatenate([SPECIAL, SPECIAL | np.uint32(1 << 31), numbers])
            yield bits.view(np.float32)
            return
        size = 2**32 // PIECES
        for start in range(piece * size, (piece + 1) * size, BLOCK):
            bits = np.arange(start, start + BLOCK, dtype=np.int64).astype(np.uint32)
            yield bits.view(np.float32)


@cache
def _candidates(name: str, selection: Selection) -> list[tuple[str, str, Any]]:
    """Return the column, the library and the function of all candidates for a row."""
    found: list[tuple[str, str, Any]] = []
    ours = (
        _log if name == "log" else partial(getattr(xpnet, ROWS[name].xpnet), **ROWS[name].options)
    )
    for library in selection.opened:
        found.append((f"xpnet {library}", library, ours))
        if library == "jax":
            found.append(("xpnet jit", library, import_module("jax").jit(ours)))
    return found


def _log(x: Any) -> Any:
    return xpnet.array_namespace(x).log(x)


class _Truth:
    """The true values of one function for some inputs of float32."""

    def __init__(self, name: str, x: NDArray[np.float32]) -> None:
        row, self.x = ROWS[name], x
        values = row.values(x.astype(np.float64))
        # Infinity stands for every number from an ULP beyond the largest on.
        self.values = np.clip(values, -(2.0**128), 2.0**128)
        size = np.clip(np.abs(self.values), 2.0**-126, 2.0**127)
        self.ulp = np.exp2(np.frexp(size)[1] - 24.0)
        self.at_zero = row.values(np.zeros(1))[0]
        self.is_subnormal = np.abs(x) < np.float32(2.0**-126)

    def compare(self, y: NDArray[np.float32]) -> Record:
        """Return the record of a candidate."""
        got = np.clip(y.astype(np.float64), -(2.0**128), 2.0**128)
        difference = np.abs(got - self.values)
        is_right = (difference <= SLACK) | (self.is_subnormal & (y == self.at_zero))
        error = np.where(is_right | np.isnan(difference), 0.0, difference / self.ulp)
        i = int(np.argmax(error))
        is_wrong = (np.isnan(y) != np.isnan(self.values)) & ~is_right
        return _record(is_wrong, error[i], self.x[i], y[i], self.values[i])


def _record(is_wrong: NDArray[np.bool], error: Any, x: Any, got: Any, true: Any) -> Record:
    numbers = {"error": float(error), "x": float(x), "got": float(got), "true": float(true)}
    return {"inputs": is_wrong.size, **numbers, "wrong": int(np.count_nonzero(is_wrong))}


def merge_results(results: Results, others: Results) -> None:
    """Add the results for other inputs."""
    for name, columns in others.items():
        for column, records in columns.items():
            mine = results.setdefault(name, {}).setdefault(column, {})
            for dtype, record in records.items():
                mine[dtype] = _merge(mine[dtype], record) if dtype in mine else record


def _merge(one: Record, other: Record) -> Record:
    # Of equal errors that with the smaller x, whichever piece was finished first.
    worst = min(one, other, key=lambda each: (-each["error"], each["x"]))
    return {**worst, **{key: one[key] + other[key] for key in ("inputs", "wrong")}}


def _measure(selection: Selection, task: Task) -> Results:
    """Return the results of a task."""
    return _double(selection, task) if isinstance(task, str) else _piece(selection, task)


def _piece(selection: Selection, piece: int) -> Results:
    if np.asarray([1], np.uint32).view(np.float32).astype(np.float64)[0] == 0:
        msg = "a library has made NumPy flush subnormal numbers, so the truth is lost"
        raise RuntimeError(msg)
    results: Results = {}
    devices = selection.opened
    for x in selection.blocks(piece):
        arguments = {library: device.asarray(x) for library, device in devices.items()}
        for name in selection.functions:
            truth = _Truth(name, x)
            for column, library, function in _candidates(name, selection):
                y = devices[library].to_numpy(function(arguments[library]))
                if y.dtype != np.float32 or y.shape != x.shape:
                    msg = f"{name}, {column}: {y.dtype}{y.shape} for {x.shape}"
                    raise TypeError(msg)
                merge_results(results, {name: {column: {"float32": truth.compare(y)}}})
    return results


def _double(selection: Selection, name: str) -> Results:
    """Return the results for random numbers of every size, and for hard ones."""
    n, random = FEW if selection.sample else DOUBLE, np.random.default_rng(0)
    sizes = random.choice([-1, 1], n // 5) * 2.0 ** random.uniform(-1022, 1024, n // 5)
    near = [random.normal(0, scale, n // 5) for scale in (1e-3, 1, 10)]
    x = np.concatenate([random.uniform(-745, 710, n // 5), sizes, *near])
    x = np.concatenate([x, definitions.hard_points("float64")])
    row = ROWS[name]
    truth = definitions.truth_of(x, [[row.exact(v)] for v in x.tolist()], "float64")
    results: Results = {name: {}}
    for column, library, function in _candidates(name, selection):
        device = selection.opened[library]
        y = device.to_numpy(function(device.asarray(x)))[:, None]
        errors = truth.errors(y)
        i = int(np.argmax(np.nan_to_num(errors[:, 0], nan=-1.0)))
        record = _record(np.isnan(errors), errors[i, 0], x[i], y[i, 0], truth.nearest[i, 0])
        results[name][column] = {"float64": record}
    return results


def _set_up(devices: tuple[str, ...]) -> None:
    np.seterr(all="ignore")
    if any(word.startswith("torch") for word in devices):
        import_module("torch").set_num_threads(1)


def measure_all(selection: Selection, n_processes: int) -> Iterator[Results]:
    """Yield the results of each task, as they are finished."""
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = os.environ["JAX_ENABLE_X64"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    context = get_context("spawn")  # a fork would break the threads of JAX and torch
    with ProcessPoolExecutor(n_processes, context, _set_up, (selection.devices,)) as pool:
        pending = [pool.submit(_measure, selection, task) for task in selection.tasks]
        for future in as_completed(pending):
            yield future.result()
