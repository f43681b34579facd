"""Sweep of functions over inputs of float32: candidates, errors, and records of them.

A record has the number of ``inputs``; under ``normal`` and ``subnormal``, for true values of this
kind, the largest ``error``; and under ``wrong`` the ``count`` of each kind of result that has no
error in ULP, with the first. Each of these has the input's ``bits``, the result that the function
``got``, and the ``true`` one.
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
from studies.truth import PRIMITIVES, ROWS, resolve

SMALLEST = 2.0**-126  # normal number
# Exponent fields of float64: the mask, that of 2^-126, and the sum of two that cancel each other.
EXPONENT, OF_SMALLEST, OF_INVERSE = (np.uint64(x << 52) for x in (0x7FF, 1023 - 126, 2 * 1023 + 23))
PIECES, PIECE_STEP = 1024, 389  # an odd step visits all in a scattered order: neighbours cost alike
BLOCK = 2**16  # it and the arrays made of it fit into a cache
SAMPLE, SAMPLE_STRIDE = 2**18, 16_381  # inputs, and a prime number
SPECIAL = np.asarray(
    [0, 1, 2**23 - 1, 2**23, 2**24, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000],
    dtype=np.uint32,
)

Record = dict[str, Any]
Results = dict[str, dict[str, Record]]  # by the row's name, and by column


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
    def pieces(self) -> list[int]:
        """The numbers of the pieces, in the order of work."""
        return [0] if self.sample else [i * PIECE_STEP % PIECES for i in range(PIECES)]

    def blocks(self, piece: int) -> Iterator[NDArray[np.uint32]]:
        """Yield the bit patterns of a piece, block by block."""
        if self.sample:
            numbers = np.arange(SAMPLE, dtype=np.uint32) * np.uint32(SAMPLE_STRIDE)
            yield np.concatenate([SPECIAL, SPECIAL | np.uint32(1 << 31), numbers])
            return
        size = 2**32 // PIECES
        for start in range(piece * size, (piece + 1) * size, BLOCK):
            yield np.arange(start, start + BLOCK, dtype=np.int64).astype(np.uint32)


@cache
def _candidates(name: str, selection: Selection) -> list[tuple[str, str, Any]]:
    """Return the column, the library and the function of all candidates for a row."""
    found: list[tuple[str, str, Any]] = []
    libraries = selection.opened
    if name not in PRIMITIVES:
        ours = partial(getattr(xpnet, ROWS[name].xpnet), **ROWS[name].options)
        found += [(f"xpnet {library}", library, ours) for library in libraries]
        if "jax" in libraries:
            found.append(("xpnet jit", "jax", import_module("jax").jit(ours)))
    for call in ROWS[name].calls:
        column = call.partition(".")[0]
        library = "numpy" if column == "scipy" else column
        if library in libraries:
            found.append((column, library, resolve(call)))
    return found


class _Truth:
    """The true values of one function for some inputs."""

    def __init__(self, name: str, bits: NDArray[np.uint32], x: NDArray[np.float64]) -> None:
        row = ROWS[name]
        self.bits, self.is_subnormal = bits, np.abs(x) < SMALLEST
        self.values = row.values(x)
        self.at_zero = row.values(np.zeros(1))[0]
        self.rounded = self.values.astype(np.float32)
        exponent = self.values.view(np.uint64) & EXPONENT
        inverse = OF_INVERSE - np.maximum(exponent, OF_SMALLEST)
        self.per_ulp = inverse.view(np.float64)  # times this, an absolute error is in ULP
        # The record of a candidate that rounds every true value correctly.
        everywhere = np.arange(len(bits))
        self.best: Record = {"inputs": len(bits), "wrong": {}}
        self.best |= self._largest_errors(everywhere, self.rounded)

    def compare(self, y: NDArray[np.float32]) -> Record:
        """Return the record of a candidate from what differs from correct rounding."""
        at = np.flatnonzero(y != self.rounded)
        is_flushed = self.is_subnormal[at] & (y[at] == self.at_zero)
        at = at[~is_flushed | (np.abs(self.values[at]) < SMALLEST)]
        if not at.size:
            return self.best
        differing: Record = {"inputs": 0, "wrong": self._wrong(at, y[at])}
        return _merge(self.best, differing | self._largest_errors(at, y[at]))

    def _largest_errors(self, at: NDArray[np.intp], got: NDArray[np.float32]) -> Record:
        """Return the largest error of finite results, for normal and subnormal true values."""
        true = self.values[at]
        error, is_tiny = np.abs(got - true) * self.per_ulp[at], np.abs(true) < SMALLEST
        counts = np.isfinite(got) & np.isfinite(self.rounded[at])
        found: Record = {}
        # Below the smallest normal number one ULP is 2^-149, and the table's unit 2^-126.
        for region, mask, unit in (("normal", ~is_tiny, 1.0), ("subnormal", is_tiny, 2.0**-23)):
            if (mask & counts).any():
                i = int(np.argmax(np.where(mask & counts, error, -1.0)))
                found[region] = {"error": float(error[i]) * unit, **self._example(at, got, i)}
        return found

    def _wrong(self, at: NDArray[np.intp], got: NDArray[np.float32]) -> Record:
        """Return each kind of result that has no error in ULP: their number, and the first."""
        is_nan, rounded = np.isnan(self.values[at]), self.rounded[at]
        kinds = {
            "NaN for a number": np.isnan(got) & ~is_nan,
            "a number for NaN": ~np.isnan(got) & is_nan,
            "infinity for a finite number": np.isinf(got) & np.isfinite(rounded),
            "not the right infinity": np.isinf(rounded) & ~np.isnan(got) & (got != rounded),
        }
        counts = {kind: int(np.count_nonzero(mask)) for kind, mask in kinds.items()}
        return {
            kind: {"count": n, **self._example(at, got, int(np.argmax(kinds[kind])))}
            for kind, n in counts.items()
            if n
        }

    def _example(self, at: NDArray[np.intp], got: NDArray[np.float32], i: int) -> Record:
        bits, true = self.bits[at[i]], self.values[at[i]]
        return {"bits": int(bits), "got": float(got[i]), "true": float(true)}


def merge_results(results: Results, others: Results) -> None:
    """Add the results for other inputs."""
    for name, columns in others.items():
        mine = results.setdefault(name, {})
        for column, record in columns.items():
            mine[column] = _merge(mine[column], record) if column in mine else record


def _merge(one: Record, other: Record) -> Record:
    merged: Record = {"inputs": one["inputs"] + other["inputs"], "wrong": {}}
    for kind in sorted(one["wrong"] | other["wrong"]):  # whichever piece was finished first
        found = [each["wrong"][kind] for each in (one, other) if kind in each["wrong"]]
        first = min(found, key=lambda each: int(each["bits"]))
        merged["wrong"][kind] = {**first, "count": sum(each["count"] for each in found)}
    for region in ("normal", "subnormal"):
        found = [each[region] for each in (one, other) if region in each]
        if found:  # of equal errors, that with the smaller pattern
            merged[region] = min(found, key=lambda each: (-each["error"], each["bits"]))
    return merged


def _measure(selection: Selection, piece: int) -> Results:
    """Return the results for a piece."""
    candidates = {name: _candidates(name, selection) for name in selection.functions}
    if np.asarray([1], np.uint32).view(np.float32).astype(np.float64)[0] == 0:
        msg = "a library has made NumPy flush subnormal numbers, so the truth is lost"
        raise RuntimeError(msg)
    results: Results = {}
    devices = selection.opened
    for bits in selection.blocks(piece):
        x = bits.view(np.float32)
        arguments = {library: device.asarray(x) for library, device in devices.items()}
        for name, found in candidates.items():
            truth = _Truth(name, bits, x.astype(np.float64))
            for column, library, function in found:
                y = devices[library].to_numpy(function(arguments[library]))
                if y.dtype != np.float32 or y.shape != bits.shape:
                    msg = f"{name}, {column}: {y.dtype}{y.shape} for {bits.shape}"
                    raise TypeError(msg)
                merge_results(results, {name: {column: truth.compare(y)}})
    return results


def _set_up(devices: tuple[str, ...]) -> None:
    np.seterr(all="ignore")
    if any(word.startswith("torch") for word in devices):
        import_module("torch").set_num_threads(1)


def measure_all(selection: Selection, n_processes: int) -> Iterator[Results]:
    """Yield the results for each piece, as they are finished."""
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    context = get_context("spawn")  # a fork would break the threads of JAX and torch
    with ProcessPoolExecutor(n_processes, context, _set_up, (selection.devices,)) as pool:
        pending = [pool.submit(_measure, selection, piece) for piece in selection.pieces]
        for future in as_completed(pending):
            yield future.result()
