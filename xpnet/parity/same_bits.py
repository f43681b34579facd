"""Comparison of the reproducible results of networks, bit by bit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.inference.result_hash import ResultHash
from xpnet.networks.network import Network
from xpnet.networks.reproducible import reproducible_network
from xpnet.parity.bounds.error_bound import row_chunks
from xpnet.parity.candidates import Candidate, candidate_results, results_on_device

__all__ = ["BitReport", "StageBits", "bits_of", "compare_bits"]


@dataclass(frozen=True)
class StageBits:
    """Differences of one stage of a candidate from the reproducible results.

    Attributes
    ----------
    name : str
        As in `xpnet.parity.ErrorBound`.
    n_results : int
        Number of compared results.
    n_differ : int
        Number of results with other bits.
    place : tuple of int, or None
        Row and unit of the first of them; None if no bit differs.
    found, expected : NumPy scalar or None
        The candidate's result at this place, and the reproducible one.
    fault : str
        A wrong library, device, dtype or shape of the results; empty if all are right.
    """

    name: str
    n_results: int = 0
    n_differ: int = 0
    place: tuple[int, int] | None = None
    found: Any = None
    expected: Any = None
    fault: str = ""

    @property
    def is_same(self) -> bool:
        """True if no bit differs and nothing else is wrong."""
        return not self.n_differ and not self.fault

    @property
    def difference(self) -> str:
        """The fault, or the first result that differs, in words; empty if all bits are the same."""
        if self.fault or self.place is None:
            return self.fault
        row, unit = self.place
        found, expected = (f"{x!s} ({bits_of(x)})" for x in (self.found, self.expected))
        return f"row {row}, unit {unit}: {found} instead of {expected}"


@dataclass(frozen=True)
class BitReport:
    """Result of `compare_bits`.

    Attributes
    ----------
    n_rows : int
    dtype : str
        The dtype of the results.
    result_hash : str
        That of the reproducible outputs; see `xpnet.result_hash`.
    candidates : mapping of str to tuple of StageBits
        The compared stages of each candidate. A network with its preprocessing folded into the
        weights has no preprocessed inputs to compare.
    """

    n_rows: int
    dtype: str
    result_hash: str
    candidates: Mapping[str, tuple[StageBits, ...]]

    @property
    def same_bits(self) -> bool:
        """True if every stage of every candidate has the same bits."""
        return all(stage.is_same for stages in self.candidates.values() for stage in stages)


def compare_bits(
    network: Network,
    x: Any,
    candidates: Mapping[str, Candidate],
    /,
    *,
    outputs_only: bool = False,
    progress: Callable[[int], object] | None = None,
) -> BitReport:
    """Compare reproducible results, bit by bit, with those of NumPy on this machine.

    Parameters
    ----------
    network : Network
        The reference, of float32 or float64. It is computed by NumPy, whatever its device.
    x : array of shape (n, n_in)
        At least one row.
    candidates : mapping of str to Network or sequence of arrays
        As for `compare`: networks, whose reproducible results are computed where they are, or such
        results of all stages, as ``stage_results(..., reproducible=True)`` returns them.
    outputs_only, progress
        As for `compare`.

    Returns
    -------
    BitReport

    Raises
    ------
    TypeError
        As `compare`; and if the network or a candidate is neither of float32 nor of float64, or its
        device has no float64.
    ValueError
        As `compare`.

    Examples
    --------
    >>> import xpnet
    >>> network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    >>> compare_bits(network, images[:50], {"cpu": network}).same_bits
    True
    """
    rows, others = candidate_results(
        network, x, candidates, outputs_only=outputs_only, reproducible=True
    )
    reference, digest = reproducible_network(network).map_arrays(to_numpy), ResultHash()
    found: dict[str, list[StageBits]] = {
        name: [StageBits(other.names[i]) for i in other.compared] for name, other in others.items()
    }
    for start, chunk in row_chunks(rows):
        expected = results_on_device(reference, chunk)
        digest.update(expected[-1])
        for name, other in others.items():
            results, faults = other.compute(chunk, start)
            for j, i in enumerate(other.compared):
                # From the end: a candidate with other layers has only the last stage in common.
                k = i - len(expected)
                part = _compare_stage(results[k], expected[k], faults[k], start)
                found[name][j] = _merged(found[name][j], part)
        if progress is not None:
            progress(len(chunk))
    by_name = {name: tuple(stages) for name, stages in found.items()}
    return BitReport(len(rows), reference.dtype.name, digest.text(), by_name)


def bits_of(x: Any, /) -> str:
    """Return the bits of a NumPy scalar in hexadecimal, such as "0x3f800000" for 1.0."""
    size = x.dtype.itemsize
    return f"0x{int(x.view(f'u{size}')):0{2 * size}x}"


def _compare_stage(
    results: NDArray[Any], expected: NDArray[Any], fault: str, first_row: int
) -> StageBits:
    """Return the differences of some rows of a stage; the name is empty."""
    for what in ("dtype", "shape"):
        x, y = getattr(results, what), getattr(expected, what)
        if x != y and not fault:
            fault = f"{what} {x} instead of {y}"
    if fault:
        return StageBits("", fault=fault)
    differs = _bits(results) != _bits(expected)
    n_differ = int(np.count_nonzero(differs))
    if not n_differ:
        return StageBits("", differs.size)
    row, unit = divmod(int(np.argmax(differs)), differs.shape[1])
    place, pair = (first_row + row, unit), (results[row, unit], expected[row, unit])
    return StageBits("", differs.size, n_differ, place, *pair)


def _bits(x: NDArray[Any]) -> NDArray[Any]:
    """Return the bits of floating-point numbers as integers."""
    return np.ascontiguousarray(x).view(f"u{x.itemsize}")


def _merged(a: StageBits, b: StageBits) -> StageBits:
    """Return the differences of two sets of rows under the name of the first one."""
    first = b if a.is_same else a
    return replace(
        first,
        name=a.name,
        n_results=a.n_results + b.n_results,
        n_differ=a.n_differ + b.n_differ,
        fault=a.fault or b.fault,
    )
