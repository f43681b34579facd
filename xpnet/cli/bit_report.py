"""The report of ``xpnet parity --reproducible``, as JSON and as text."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli.parity_report import origin_text
from xpnet.cli.report import table

if TYPE_CHECKING:
    from xpnet.parity.same_bits import BitReport, StageBits

    Facts = Mapping[str, str]


def bit_facts(report: "BitReport", where: "Mapping[str, Facts]") -> dict[str, Any]:
    """Return a report, and where each candidate was computed, as numbers and strings by name."""
    return {
        "rows": report.n_rows,
        "dtype": report.dtype,
        "reproducible": True,
        "same_bits": report.same_bits,
        "hash": report.result_hash,
        "candidates": {
            name: {
                **where[name],
                "same_bits": all(stage.is_same for stage in stages),
                "first_different": next((x.name for x in stages if not x.is_same), None),
                "stages": list(map(_stage_facts, stages)),
            }
            for name, stages in report.candidates.items()
        },
    }


def _stage_facts(stage: "StageBits") -> dict[str, Any]:
    from xpnet.parity.same_bits import bits_of

    facts = {
        "name": stage.name,
        "results": stage.n_results,
        "differ": stage.n_differ,
        "row_and_unit": stage.place,
        "fault": stage.fault or None,
    }
    for name, value in {"found": stage.found, "expected": stage.expected}.items():
        facts[name] = None if value is None else float(value)
        facts[f"{name}_bits"] = None if value is None else bits_of(value)
    return facts


def bit_lines(facts: "Facts", report: "BitReport", where: "Mapping[str, Facts]") -> Iterator[str]:
    """Yield the lines of a report."""
    rows = {
        "network": facts["network"],
        "data": f"{facts['data']}, {report.n_rows:,} rows",
        "compared": f"to the bit, with reproducible results of NumPy in {report.dtype}",
        "hash": report.result_hash,
    }
    yield from table(rows)
    for name, stages in report.candidates.items():
        yield ""
        yield origin_text(name, where[name])
        width = max(len(stage.name) for stage in stages)
        yield f"  {'':{width}}     results   different"
        for stage in stages:
            counts = f"{stage.n_results:10,}  {stage.n_differ:10,}"
            yield f"  {stage.name:{width}}  {counts}  {_remark(stage)}".rstrip()
    yield ""
    yield from table({"verdict": _verdict(report)})


def _remark(stage: "StageBits") -> str:
    if stage.fault:
        return f"WRONG: {stage.fault}"
    return f"first in {stage.difference}" if stage.n_differ else ""


def _verdict(report: "BitReport") -> str:
    stages = chain.from_iterable(report.candidates.values())
    first = next((stage for stage in stages if not stage.is_same), None)
    same = "the same bits"
    return f"DIFFERENT BITS, first in {first.name}: {first.difference}" if first else same
