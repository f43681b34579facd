"""From rows of bytes on the host to labels on the host: through xpnet, and through torch."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from peers.cases import Case

from card.cells import Stream
from card.contest import FAILED, seats, try_to
from card.machine import free_host_bytes
from card.of_torch import TORCH
from card.of_xpnet import XPNET
from card.running import Run, rates
from card.shares import SOURCES, copy_limit, share
from card.truth import clear_labels, exact_logits
from card.turns import Seat

__all__ = ["entries", "measure_streams", "rows_in_memory", "write_rows"]

# Of the free memory of the host, the rows of one source take so much: there are two, more for
# torch, and the file's; and pinned memory is given out in powers of two.
_SHARE_OF_MEMORY = 1 / 7
_SHARE_OF_TIME = 1 / 6
_LEFT_ON_DISK = 2**30
# Whom a source is compared with; nobody maps files for torch.
_RIVALS = {"pinned": "pinned", "pageable": "pageable", "file": "pageable"}


def measure_streams(run: Run) -> None:
    """Time rows from pinned memory, from pageable memory and from a file, in turns."""
    shape, block_rows = run.plan.narrow, run.plan.block_rows
    row_bytes = shape.widths[0]
    n_rows = rows_in_memory(run.plan.rows, row_bytes, free_host_bytes())
    if n_rows < run.plan.rows:
        run.document.skip("rows end to end", f"memory is enough for {n_rows:,}")
    case = Case(shape, block_rows)
    truth = clear_labels(exact_logits(case.network, case.images))
    path = run.folder / "images"
    n_in_file = _file(run, path, case.images, n_rows)
    ours = Stream(shape, n_rows, block_rows, str(path) if n_in_file else None, n_in_file)
    theirs = Stream(shape, min(n_rows, run.plan.torch_rows), block_rows)
    with seats(run, [XPNET, TORCH]) as everybody:
        opened = {XPNET: ours, TORCH: theirs}
        ways = [
            way
            for name, seat in everybody.items()
            for way in _opened(run, seat, opened[name], truth)
        ]
        _play(run, ways)
    found = entries([way.facts for way in ways], run.document.content["ceilings"], str(shape))
    run.document.content["end_to_end"] = found
    for entry in found:
        run.say(_told(entry))
    path.unlink(missing_ok=True)


def rows_in_memory(wanted: int, row_bytes: int, free_bytes: int) -> int:
    """Return how many rows are taken, of so much free memory."""
    return max(min(wanted, int(free_bytes * _SHARE_OF_MEMORY) // row_bytes), 1)


class _Way:
    """Somebody, a source of rows, and how many of them are given at a time."""

    def __init__(self, seat: Seat, source: str, n_rows: int, chunk: int | None = None) -> None:
        self.seat, self.source, self.n_rows, self.chunk = seat, source, n_rows, chunk
        self.seconds: list[float] = []

    @property
    def what(self) -> str:
        """What a note calls it."""
        return f"end to end: {self.seat.name}, {self.source}"

    def take_turn(self, run: Run) -> None:
        """Compute all rows once, and note the seconds."""
        given = [self.source] if self.chunk is None else [self.source, self.chunk]
        found = try_to(run, self.what, self.seat, "time_source", *given)
        if found is not FAILED:
            self.seconds.append(found)

    @property
    def facts(self) -> dict[str, Any]:
        """Who it is, and its rates."""
        found = {"who": self.seat.name, "source": self.source, "rows": self.n_rows}
        if self.chunk is not None:
            found["chunk"] = self.chunk
        return {**found, "rate": rates(self.seconds, self.n_rows) if self.seconds else None}


def _opened(
    run: Run, seat: Seat, stream: Stream, truth: tuple[NDArray[Any], NDArray[Any]]
) -> list[_Way]:
    """Return the ways of somebody whose labels are right."""
    sources = try_to(run, f"end to end: {seat.name}", seat, "open", stream)
    ways = []
    for source in [] if sources is FAILED else sources:
        what = f"end to end: {seat.name}, {source}"
        found = try_to(run, what, seat, "label", source, *truth)
        if found is FAILED:
            continue
        n_rows, n_wrong = found
        if n_wrong:
            run.document.skip(what, f"{n_wrong:,} wrong labels of {n_rows:,}")
            continue
        ways.append(_Way(seat, source, n_rows))
        if seat.name == TORCH:
            ways += _best_chunks(run, ways[-1])
    return ways


def _best_chunks(run: Run, plain: _Way) -> list[_Way]:
    """Return the way in chunks that was fastest in one try of each size."""
    tried: list[_Way] = []
    for size in run.plan.chunks:
        if size < plain.n_rows and (not tried or run.budget.left > 0):
            way = _Way(plain.seat, plain.source, plain.n_rows, size)
            way.take_turn(run)
            tried += [way] if way.seconds else []
    if not tried:
        return []
    best = min(tried, key=lambda way: way.seconds[0])
    return [_Way(best.seat, best.source, best.n_rows, best.chunk)]


def _play(run: Run, ways: list[_Way]) -> None:
    """Let all ways take turns."""
    for i in run.rounds("end to end"):
        shift = i % max(len(ways), 1)
        for way in [*ways[shift:], *ways[:shift]]:
            way.take_turn(run)


def _file(run: Run, path: Path, block: NDArray[Any], n_rows: int) -> int:
    """Write the rows to a file; return how many there are in it, 0 where there is no room."""
    room = shutil.disk_usage(run.folder).free - _LEFT_ON_DISK
    n_bytes = n_rows * block.shape[1]
    if room < n_bytes:
        run.document.skip("end to end: rows from a file", f"no room for {n_bytes:,} bytes")
        return 0
    limit = run.budget.left * _SHARE_OF_TIME
    start = run.budget.spent
    n_written = write_rows(path, block, n_rows, lambda: run.budget.spent - start < limit)
    if n_written < n_rows:
        run.document.skip("rows in a file", f"the disk took {n_written:,} of {n_rows:,} in time")
    return n_written


def write_rows(path: Path, block: NDArray[Any], n_rows: int, may_go_on: Callable[[], bool]) -> int:
    """Write the rows of a block over and over; return how many; at least one block, or all."""
    n_written = 0
    with path.open("wb", buffering=0) as stream:
        while n_written < n_rows and (n_written == 0 or may_go_on()):
            part = block[: n_rows - n_written]
            part.tofile(stream)
            n_written += len(part)
    return n_written


def entries(
    ways: list[dict[str, Any]], ceilings: Mapping[str, Any], network: str
) -> list[dict[str, Any]]:
    """Return xpnet's rates by source, with what they are a share of, and with torch's.

    Parameters
    ----------
    ways : list of dict
        ``who``, ``source``, ``rows`` and ``rate`` of each way; ``chunk`` where it has one.
    ceilings : mapping
        Rates of this machine.
    network : str
        Widths and activation.
    """
    row_bytes = int(network.partition("-")[0])
    timed = [way for way in ways if way["rate"] is not None]
    plain, chunked = (
        {way["source"]: way for way in timed if way["who"] == TORCH and ("chunk" in way) is kind}
        for kind in (False, True)
    )
    found = []
    for way in timed:
        if way["who"] != XPNET:
            continue
        source, rate = way["source"], way["rate"]
        rivals = {"torch": plain, "torch_in_chunks": chunked}
        against = {name: x.get(_RIVALS[source]) for name, x in rivals.items()}
        limit = copy_limit(source, ceilings, row_bytes)
        naive, in_chunks = (x and share(rate["best"], x["rate"]["best"]) for x in against.values())
        found.append(
            {
                "network": network,
                "source": source,
                "rows": way["rows"],
                "rows_per_second": rate,
                "copy_limit": limit,
                "limited_by": SOURCES[source],
                "share_of_copy_rate": share(rate["best"], limit),
                "ratio_to_torch_naive": naive,
                "ratio_to_torch_in_chunks": in_chunks,
                **against,
            }
        )
    return found


def _told(entry: Mapping[str, Any]) -> str:
    """Return an entry as a line of progress."""
    rate = entry["rows_per_second"]
    told = f"{entry['source']}: {rate['best']:,.0f} rows/s, median {rate['median']:,.0f}"
    for key, text in (
        ("share_of_copy_rate", "{:.3f} of the copy rate"),
        ("ratio_to_torch_naive", "{:.2f} times torch"),
        ("ratio_to_torch_in_chunks", "{:.2f} times torch in chunks"),
    ):
        if entry[key] is not None:
            told += f", {text.format(entry[key])}"
    return told
