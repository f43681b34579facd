"""Time from rows of bytes on the host to labels on the host: xpnet beside torch.

Rows come from pinned memory, pageable memory and a file. torch computes all rows at once, as most
would write it, and in the chunks that are best for it. All are timed in turn, round by round.
Shares of the copy rate need the ceilings, which benchmarks/gpu.py measures before.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.measuring import rates, turns
from harness.processes import Worker
from harness.provenance import free_host_bytes
from harness.session import FAILED, Session
from harness.workload import Workload
from numpy.typing import NDArray

XPNET, TORCH = "xpnet", "torch"
# The slowest of these copies limits the rows from a source.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "pinned": ("pinned_to_device",),
    "pageable": ("pinned_to_device", "pageable_to_pinned"),
    "file": ("pinned_to_device", "file_to_pinned"),
}
# torch's source to compare with; few map files for torch.
TORCH_SOURCES = {"pinned": "pinned", "pageable": "pageable", "file": "pageable"}
# Of the host's free memory, for one source: there are two, more for torch, and the file's; and
# pinned memory is allocated in powers of two.
SHARE_OF_MEMORY = 1 / 7
RATIOS = ("share_of_copy_rate", "ratio_to_torch_naive", "ratio_to_torch_in_chunks")
LEFT_ON_DISK = 2**30


@dataclass
class Stream:
    """A rival, a source of rows, and the number of rows at a time."""

    name: str
    worker: Worker
    source: str
    n_rows: int
    chunk: int | None = None
    seconds: list[float] = field(default_factory=list)

    def measure(self, session: Session) -> None:
        """Compute all rows once."""
        what = f"end to end: {self.name}, {self.source}"
        found = session.ask(what, self.worker, "time_source", self.source, self.chunk)
        if found is not FAILED:
            self.seconds.append(found)

    @property
    def facts(self) -> dict[str, Any]:
        """Names, sizes and rates."""
        found = {"who": self.name, "source": self.source, "rows": self.n_rows, "chunk": self.chunk}
        return found | {"rate": rates(self.seconds, self.n_rows) if self.seconds else None}


def measure_streams(session: Session) -> None:
    """Time rows from all sources."""
    block = Workload(session.plan.narrow, session.plan.block_rows)
    n_rows = rows_in_memory(session.plan.rows, block.shape.widths[0], free_host_bytes())
    if n_rows < session.plan.rows:
        session.skip("rows end to end", f"memory is enough for {n_rows:,}")
    few_rows = min(n_rows, session.plan.few_rows)
    path = write_rows(session, block.images, few_rows)
    given = {XPNET: (n_rows, path), TORCH: (few_rows, None)}
    with session.workers([[XPNET], [TORCH]]) as workers:
        streams: list[Stream] = []
        for name, worker in workers.items():
            streams += _opened(session, name, worker, (block, *given[name]))
        for _, stream in turns(session.rounds("end to end"), streams):
            stream.measure(session)
    facts = [stream.facts for stream in streams]
    found = entries(facts, session.content["ceilings"], str(block.shape))
    session.content["end_to_end"] = found
    for entry in found:
        rate = entry["rows_per_second"]
        ratios = ", ".join(f"{key} {entry[key]:.3f}" for key in RATIOS if entry[key] is not None)
        session.log(f"{entry['source']}: {rate['best']:,.0f} rows/s, {ratios}")
    if path is not None:
        path.unlink()


def rows_in_memory(wanted: int, row_bytes: int, free_bytes: int) -> int:
    """Return the number of rows for this much free memory."""
    return max(min(wanted, int(free_bytes * SHARE_OF_MEMORY) // row_bytes), 1)


def _opened(
    session: Session, name: str, worker: Worker, given: tuple[Workload, int, Path | None]
) -> list[Stream]:
    """Return the streams of a rival whose labels are right; for torch, the best chunks as well."""
    sources = session.ask(f"end to end: {name}", worker, "open", *given)
    streams: list[Stream] = []
    for source in [] if sources is FAILED else sources:
        what = f"end to end: {name}, {source}"
        found = session.ask(what, worker, "label", source, *given[0].truth)
        if found is FAILED:
            continue
        n_rows, n_wrong = found
        if n_wrong:
            session.skip(what, f"{n_wrong:,} wrong labels of {n_rows:,}")
            continue
        streams.append(Stream(name, worker, source, n_rows))
        # Each size is tried once.
        tried = [Stream(name, worker, source, n_rows, size) for size in session.plan.chunks]
        for i, stream in enumerate(tried if name == TORCH else []):
            if stream.chunk and stream.chunk < n_rows and (i == 0 or session.budget.left > 0):
                stream.measure(session)
        best = min(tried, key=lambda stream: min(stream.seconds, default=float("inf")))
        if best.seconds:
            streams.append(Stream(name, worker, source, n_rows, best.chunk))
    return streams


def write_rows(session: Session, block: NDArray[Any], n_rows: int) -> Path | None:
    """Return a file with the rows of a block, repeated; None if there is no room."""
    n_bytes = n_rows * block.shape[1]
    if shutil.disk_usage(session.folder).free - LEFT_ON_DISK < n_bytes:
        session.skip("end to end: rows from a file", f"no room for {n_bytes:,} bytes")
        return None
    path = session.folder / "images"
    with path.open("wb") as stream:
        for start in range(0, n_rows, len(block)):
            block[: n_rows - start].tofile(stream)
    return path


def copy_limit(source: str, ceilings: Mapping[str, Any], row_bytes: int) -> float | None:
    """Return the rows per second that copying allows; None if that was not measured."""
    if any(name not in ceilings for name in SOURCES[source]):
        return None
    return float(min(ceilings[name]["best"] for name in SOURCES[source])) / row_bytes


def entries(
    streams: Sequence[Mapping[str, Any]], ceilings: Mapping[str, Any], network: str
) -> list[dict[str, Any]]:
    """Return xpnet's rates by source, as shares of the copy rate and as multiples of torch's."""
    timed = [x for x in streams if x["rate"] is not None]
    plain = {x["source"]: x for x in timed if x["who"] == TORCH and x["chunk"] is None}
    chunked = {x["source"]: x for x in timed if x["who"] == TORCH and x["chunk"] is not None}
    found = []
    for entry in (x for x in timed if x["who"] == XPNET):
        source, best = entry["source"], entry["rate"]["best"]
        naive, in_chunks = (each.get(TORCH_SOURCES[source]) for each in (plain, chunked))
        limit = copy_limit(source, ceilings, int(network.partition("-")[0]))
        found.append(
            {
                "network": network,
                "source": source,
                "rows": entry["rows"],
                "rows_per_second": entry["rate"],
                "copy_limit": limit,
                "limited_by": SOURCES[source],
                "share_of_copy_rate": limit and best / limit,
                "ratio_to_torch_naive": naive and best / naive["rate"]["best"],
                "ratio_to_torch_in_chunks": in_chunks and best / in_chunks["rate"]["best"],
                "torch": naive,
                "torch_in_chunks": in_chunks,
            }
        )
    return found
