"""How far results are from the true values, on one block of inputs after another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from truth.formulas import Inputs
from truth.table import ROWS

from sweep.candidates import COLUMNS, Candidate, to_library
from sweep.records import Record, Results, merge, merge_results
from sweep.selection import Selection

F64 = NDArray[np.float64]

SMALLEST = 2.0**-126
NEAR_UNDERFLOW = 2.0**-119
# The exponent field of float64: of 2^-126, and of the number whose exponent cancels another's.
EXPONENT = np.uint64(0x7FF << 52)
EXPONENT_OF_SMALLEST = np.uint64((1023 - 126) << 52)
EXPONENT_OF_INVERSE = np.uint64((2 * 1023 + 23) << 52)


class Block:
    """Some inputs, as every function and every library takes them.

    Parameters
    ----------
    bits : array of uint32
        Their bit patterns.
    libraries : set of str
        Those whose arrays are needed.
    """

    def __init__(self, bits: NDArray[np.uint32], libraries: set[str]) -> None:
        x = bits.view(np.float32)
        self.bits = bits
        self.inputs = Inputs(x.astype(np.float64))
        self.all_finite = bool(np.isfinite(x).all())
        subnormal = np.abs(x) < SMALLEST
        self.subnormal = subnormal if subnormal.any() else None
        self.arguments = {library: to_library(x, library) for library in libraries}


class Truth:
    """The true values of one function on one block, which its candidates are held against."""

    def __init__(self, name: str, block: Block) -> None:
        row, self.block = ROWS[name], block
        self.values = row.values(block.inputs, all_finite=block.all_finite)
        self.at_zero = row.values(Inputs(np.zeros(1)), all_finite=True)[0]
        self.rounded = self.values.astype(np.float32)
        exponent = self.values.view(np.uint64) & EXPONENT
        inverse = EXPONENT_OF_INVERSE - np.maximum(exponent, EXPONENT_OF_SMALLEST)
        self.per_ulp = inverse.view(np.float64)  # times this, an absolute error is in ULP
        # What a candidate is found to be that rounds every true value correctly.
        self.best: Record = {"inputs": len(block.bits), "misrounded": 0, "flushed": 0, "wrong": {}}
        everywhere = np.ones(len(block.bits), np.bool)
        self.best |= self.find_worst(slice(None), self.rounded, everywhere)

    def compare(self, y: NDArray[np.float32]) -> Record:
        """Return the record of a candidate, by what differs from correct rounding."""
        at = np.flatnonzero(y != self.rounded)
        if not at.size:
            return self.best
        n_flushed = 0
        if self.block.subnormal is not None:
            flushed = self.block.subnormal[at] & (y[at] == self.at_zero)
            flushed &= ~(np.abs(self.values[at]) < SMALLEST)
            n_flushed = int(np.count_nonzero(flushed))
            at = at[~flushed]
        got, size = y[at], np.abs(self.values[at])
        finite = np.isfinite(got)
        misrounded = finite & (size >= SMALLEST) & np.isfinite(self.rounded[at])
        differing: Record = {
            "inputs": 0,
            "misrounded": int(np.count_nonzero(misrounded)),
            "flushed": n_flushed,
            "wrong": self.find_wrong(at, got),
        }
        return merge(self.best, differing | self.find_worst(at, got, finite))

    def find_worst(self, at: Any, got: NDArray[np.float32], counting: Any) -> Record:
        """Return the largest error of each region among the results that count."""
        true, size = self.values[at], np.abs(self.values[at])
        error = np.abs(got - true) * self.per_ulp[at]
        tiny, small = size < SMALLEST, size < NEAR_UNDERFLOW
        regions = {
            "normal": ~small & np.isfinite(self.rounded[at]) & counting,
            "near underflow": small & ~tiny & counting,
            "subnormal": tiny & counting,
        }
        worst: Record = {}
        for region, mask in regions.items():
            if not mask.any():
                continue
            i = int(np.argmax(np.where(mask, error, -1.0)))
            # Below the smallest normal number one ULP is 2^-149, and the unit of the table 2^-126.
            unit = 2.0**-23 if region == "subnormal" else 1.0
            example = _example(self.block.bits[at], got, true, i)
            worst[region] = {"error": float(error[i]) * unit, **example}
        return worst

    def find_wrong(self, at: Any, got: NDArray[np.float32]) -> Record:
        """Return each kind of result that no number of ULP can tell: how many, and the first."""
        true, rounded, bits = self.values[at], self.rounded[at], self.block.bits[at]
        is_nan, finite = np.isnan(true), np.isfinite(rounded)
        if finite.all() and np.isfinite(got).all():
            return {}
        kinds = {
            "NaN for a number": np.isnan(got) & ~is_nan,
            "a number for NaN": ~np.isnan(got) & is_nan,
            "infinity for a finite number": np.isinf(got) & finite,
            "not the right infinity": np.isinf(rounded) & ~np.isnan(got) & (got != rounded),
        }
        return {
            kind: {
                "count": int(np.count_nonzero(mask)),
                **_example(bits, got, true, int(np.argmax(mask))),
            }
            for kind, mask in kinds.items()
            if mask.any()
        }


def _example(bits: NDArray[np.uint32], got: NDArray[np.float32], true: F64, i: int) -> Record:
    return {"bits": int(bits[i]), "got": float(got[i]), "true": float(true[i])}


def measure(selection: Selection, piece: int, candidates: dict[str, list[Candidate]]) -> Results:
    """Measure one piece.

    Raises
    ------
    TypeError
        If a function gives another dtype or shape than it is given.
    RuntimeError
        If a library has spoiled the arithmetic of the true values.
    """
    if np.asarray([1], np.uint32).view(np.float32).astype(np.float64)[0] == 0:
        msg = "a library has made NumPy flush subnormal numbers, so the truth is lost"
        raise RuntimeError(msg)
    results: Results = {}
    libraries = {each.library for found in candidates.values() for each in found}
    for bits in selection.blocks(piece):
        block = Block(bits, libraries)
        for name, found in candidates.items():
            truth = Truth(name, block)
            records = {}
            for each in found:
                y = np.asarray(each.function(block.arguments[each.library]))
                if y.dtype != np.float32 or y.shape != bits.shape:
                    msg = f"{name}, {COLUMNS[each.column]}: {y.dtype}{y.shape} for {bits.shape}"
                    raise TypeError(msg)
                records[each.column] = truth.compare(y)
            merge_results(results, {name: records})
    return results
