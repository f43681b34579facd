"""The report of ``xpnet parity``, as JSON and as text."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xpnet.cli.report import plural

if TYPE_CHECKING:
    from xpnet.parity.report import Report, StageAgreement

    Facts = Mapping[str, Any]

# From here on a number of ULP is written in powers of ten.
_LONG = 1e6


def report_facts(report: "Report", origins: "Mapping[str, Facts]") -> dict[str, Any]:
    """Return a report, stages with their attributes, and where each candidate was computed."""
    return {
        "verdict": report.verdict,
        "rows": report.n_rows,
        "dtype": report.dtype,
        "reproducible": report.result_hash is not None,
        "confidence": report.confidence,
        "in_bound": report.is_in_bound,
        "could_differ": report.n_could_differ,
        "disagree": report.n_disagree,
        "hash": report.result_hash,
        "candidates": {
            name: {
                **origins[name],
                "in_bound": found.is_judged and found.first_out is None,
                "judged": found.is_judged,
                "first_out": found.first_out,
                "differ": found.n_differ,
                "unjudged": found.n_unjudged,
                "stages": list(map(asdict, found.stages)),
            }
            for name, found in report.candidates.items()
        },
    }


def report_rows(facts: "Facts", report: "Report") -> dict[str, str | None]:
    """Return the verdict and the circumstances as rows."""
    if report.result_hash is not None:
        rule = f"0: the same bits as reproducible results of NumPy in {report.dtype}"
    else:
        rule = f"{report.dtype}: no correct result is out of bound, confidence {report.confidence}"
    return {
        "verdict": report.verdict,
        "predictions": _predictions(report),
        "inputs": facts["inputs"],
        "network": facts["network"],
        "data": f"{facts['data']}, {plural(report.n_rows, 'row')}",
        "bounds": rule,
        "hash": report.result_hash,
    }


def report_lines(report: "Report", origins: "Mapping[str, Facts]") -> Iterator[str]:
    """Yield a table of stages for each candidate."""
    for name, found in report.candidates.items():
        origin = origins[name]
        library = f"{origin['library']} {origin['library_version']}"
        facts = [library, origin["hardware"], origin["compute_type"], origin.get("recorded")]
        yield from ("", f"{name} ({', '.join(filter(None, facts))})")
        width = max(len(stage.name) for stage in found.stages)
        yield f"  {'':{width}}  difference         ULP    of bound  layer alone"
        for stage in found.stages:
            ulp = f"{stage.ulp:,.1f}" if stage.ulp < _LONG else f"{stage.ulp:.3g}"
            alone = f"{stage.alone.share:.3g}" if stage.alone else ""
            numbers = f"{stage.difference:10.3g}  {ulp:>10}  {stage.share:10.3g}  {alone:>11}"
            yield f"  {stage.name:{width}}  {numbers}  {_remark(stage)}".rstrip()


def _remark(stage: "StageAgreement") -> str:
    if stage.fault:
        return f"WRONG: {stage.fault}"
    remarks = [] if stage.is_in_bound else [f"OUT: {stage.distance}"]
    if stage.n_unbounded:
        remarks.append(f"no bound for {stage.n_unbounded:,} of {stage.n_results:,}")
    return "; ".join(remarks)


def _predictions(report: "Report") -> str | None:
    """Return a text about predictions that rounding can change, or None without such."""
    if report.n_could_differ is None or report.result_hash is not None:
        return None
    differ = max(found.n_differ or 0 for found in report.candidates.values())
    text = f"{report.n_could_differ:,} of {report.n_rows:,} can change by rounding"
    text += f"; {differ:,} differ from float64"
    if len(report.candidates) > 1:
        text += f", {report.n_disagree:,} between the candidates"
    return text
