"""Rows that lie on the device already, to logits that stay there: xpnet beside others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from card.cells import N_CHECKED, Cell, network_of
from card.contest import CONTESTANTS, FAILED, seats, try_to
from card.of_jax import JAX
from card.of_torch import COMPILED, TORCH
from card.of_xpnet import NOT_FUSED, XPNET
from card.plan import Plan
from card.running import Run, spread
from card.truth import clear_labels, exact_logits
from card.turns import Seat

__all__ = ["cells_of", "compared", "measure_resident"]


@dataclass(frozen=True)
class _Way:
    """A way to compute a cell, and the process that does it."""

    name: str
    seat: Seat


def cells_of(plan: Plan) -> Iterator[Cell]:
    """Yield what is computed, the most important first."""
    for i, n_rows in enumerate(plan.resident_rows):
        for shape in (plan.narrow, plan.wide):
            yield Cell(shape, n_rows, "float32", "float32")
        yield Cell(plan.wide, n_rows, "float32", "tf32")
        if i == 0:
            yield from (Cell(s, n_rows, "uint8", "float32") for s in (plan.narrow, plan.wide))
    for n_rows in plan.resident_rows[1:]:
        yield from (Cell(s, n_rows, "uint8", "float32") for s in (plan.narrow, plan.wide))


def measure_resident(run: Run) -> None:
    """Time everybody on each cell, in turns."""
    with seats(run, list(CONTESTANTS)) as everybody:
        ways = list(_ways(run, everybody))
        for cell in cells_of(run.plan):
            if run.budget.left <= 0:
                run.document.skip(f"resident: {cell}", "out of time")
                continue
            if cell.precision == "tf32" and run.is_rehearsal:
                run.document.skip(f"resident: {cell}", "a host has no TF32")
                continue
            entry = _entry(run, cell, ways)
            if entry is not None:
                run.document.content["resident"].append(entry)
                run.say(_told(entry))
                run.document.write()


def _ways(run: Run, everybody: Mapping[str, Seat]) -> Iterator[_Way]:
    """Yield the ways that can be timed; the others are noted."""
    for name, seat in everybody.items():
        found = try_to(run, f"resident: {name}", seat, "ways")
        for way, lack in ({} if found is FAILED else found).items():
            if lack:
                run.document.skip(f"resident: {way}", lack)
            else:
                yield _Way(way, seat)


def _entry(run: Run, cell: Cell, ways: list[_Way]) -> dict[str, Any] | None:
    """Return what a cell took everybody; None where nobody of xpnet can compute it."""
    seconds = {name: spread(each) for name, each in _timed(run, cell, ways).items()}
    if XPNET not in seconds:
        return None
    ceiling = run.document.content["ceilings"].get(f"product_{cell.precision}")
    return {
        "network": str(cell.shape),
        "rows": cell.n_rows,
        "dtype": cell.dtype,
        "precision": cell.precision,
        "seconds": seconds,
        **compared(seconds),
        "share_of_product_rate": ceiling
        and cell.shape.operations * cell.n_rows / seconds[XPNET]["best"] / ceiling["best"],
    }


def compared(seconds: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Return how many times as long as xpnet others take; None where they were not timed.

    Of the ways of torch.compile, the fastest counts.
    """

    def ratio(*names: str) -> float | None:
        found = [seconds[name]["best"] for name in names if name in seconds]
        return min(found) / seconds[XPNET]["best"] if found else None

    return {
        "ratio_to_torch_compile": ratio(*COMPILED),
        "ratio_to_torch": ratio(TORCH),
        "ratio_to_jax": ratio(JAX),
        "ratio_to_not_fused": ratio(NOT_FUSED),
    }


def _timed(run: Run, cell: Cell, ways: list[_Way]) -> dict[str, list[float]]:
    """Return everybody's seconds, round by round; of those whose labels are right."""
    ready = [way for way in _begun(run, cell, ways) if _is_right(run, cell, way)]
    seconds: dict[str, list[float]] = {way.name: [] for way in ready}
    for i in run.rounds(f"resident: {cell}"):
        shift = i % max(len(ready), 1)  # nobody always follows the same one
        for way in [*ready[shift:], *ready[:shift]]:
            what = f"resident: {way.name}, {cell}"
            found = try_to(run, what, way.seat, "time", way.name, run.plan.turn)
            if found is not FAILED:
                seconds[way.name].append(found)
    return {name: each for name, each in seconds.items() if each}


def _begun(run: Run, cell: Cell, ways: list[_Way]) -> list[_Way]:
    """Let each process take the rows of a cell; return the ways of those that could."""
    able = [
        seat
        for seat in dict.fromkeys(way.seat for way in ways)
        if try_to(run, f"resident: {seat.name}, {cell}", seat, "begin", cell) is not FAILED
    ]
    return [way for way in ways if way.seat in able]


def _is_right(run: Run, cell: Cell, way: _Way) -> bool:
    """Make a way ready; tell whether its labels are the true ones, where these are clear."""
    what = f"resident: {way.name}, {cell}"
    found = try_to(run, what, way.seat, "prepare", way.name)
    if found is FAILED:
        return False
    labels, is_clear = _truth(cell)
    n_wrong = int(np.count_nonzero((found != labels) & is_clear))
    if n_wrong:
        run.document.skip(what, f"{n_wrong} wrong labels of {len(labels)}")
    return n_wrong == 0


@cache
def _truth(cell: Cell) -> tuple[NDArray[Any], NDArray[Any]]:
    logits = exact_logits(network_of(cell.shape), cell.rows[:N_CHECKED])
    return clear_labels(logits, cell.precision)


def _told(entry: Mapping[str, Any]) -> str:
    """Return an entry as a line of progress."""
    each = ", ".join(f"{n} {1e6 * x['best']:,.1f}" for n, x in entry["seconds"].items())
    kind = f"{entry['rows']:,} rows of {entry['dtype']}, {entry['precision']}"
    return f"{entry['network']}, {kind}, best microseconds: {each}"
