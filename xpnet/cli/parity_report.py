"""What ``xpnet parity`` says, for people and for programs."""

import argparse
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xpnet.cli.report import network_text, print_line, print_table

if TYPE_CHECKING:
    from xpnet.networks.network import Network
    from xpnet.parity.report import Report
    from xpnet.parity.stage_statistics import Agreement, StageAgreement

__all__ = ["print_batches", "print_report", "report_as_json"]

# From here on a number of ULP is written in powers of ten.
_LONG = 1e6
# Equal terms and units, whose errors are not independent, have been seen to exceed it by less.
_LITTLE = 10.0


def report_as_json(
    args: argparse.Namespace,
    network: "Network",
    report: "Report",
    facts: Mapping[str, Mapping[str, str]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return a report as JSON knows it; null stands for infinite."""
    return {
        "data": args.data,
        "model": args.model,
        "network": repr(network),
        "rows": report.n_rows,
        "dtype": report.dtype,
        "worst_case": report.confidence == 1.0,
        "confidence": report.confidence,
        "in_bound": report.is_in_bound,
        "could_differ": report.n_could_differ,
        "disagree": report.n_disagree,
        "candidates": {
            name: {
                **facts[name],
                "in_bound": found.is_judged and found.first_out is None,
                "judged": found.is_judged,
                "first_out": found.first_out,
                "differ": found.n_differ,
                "unjudged": found.n_unjudged,
                "stages": [_stage_as_json(stage) for stage in found.stages],
            }
            for name, found in report.candidates.items()
        },
        "seconds": dict(seconds),
    }


def _stage_as_json(stage: "StageAgreement") -> dict[str, Any]:
    return {
        "name": stage.name,
        "results": stage.n_results,
        "difference": _finite(stage.difference),
        "ulp": _finite(stage.ulp),
        "share_of_bound": _finite(stage.share),
        "row_and_unit": stage.place,
        "out_of_bound": stage.n_out,
        "no_bound": stage.n_unbounded,
        "fault": stage.fault or None,
        "layer_alone": _stage_as_json(stage.alone) if stage.alone else None,
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def print_report(
    args: argparse.Namespace,
    network: "Network",
    report: "Report",
    facts: Mapping[str, Mapping[str, str]],
) -> None:
    """Print a report for people."""
    if report.confidence == 1.0:
        rule = f"worst case of {report.dtype}: a correct computation cannot be out of bound"
    else:
        rule = f"{report.dtype}: no correct result is out of bound, confidence {report.confidence}"
    print_table(
        {
            "network": network_text(repr(network)),
            "data": f"{args.data}, {report.n_rows:,} rows",
            "bounds": rule,
        }
    )
    for name, found in report.candidates.items():
        print_line("")
        print_line(f"{name} ({', '.join(_origin(facts[name]))})")
        for line in _table(found):
            print_line(f"  {line}")
    print_line("")
    print_table({**_predictions(report), "verdict": _verdict(report)})


def _verdict(report: "Report") -> str:
    for found in report.candidates.values():
        for stage in found.stages:
            if not stage.is_in_bound:
                return f"OUT OF BOUND, first in {stage.name}{_advice(report, stage)}"
    for found in report.candidates.values():
        if not found.is_judged:
            return f"NOT JUDGED: {_lack_of_bounds(found)}"
    return "in bound"


def _lack_of_bounds(found: "Agreement") -> str:
    outputs = found.stages[-1]
    if not outputs.is_judged:
        return "no output has a bound"
    share = outputs.n_unbounded / outputs.n_results
    text = f"no bound for {outputs.n_unbounded:,} of {outputs.n_results:,} outputs ({share:.1%})"
    if found.n_differ is None:
        return text
    return f"{text}; of their predictions, {found.n_unjudged:,} differ"


def _advice(report: "Report", stage: "StageAgreement") -> str:
    if report.confidence == 1.0 or (stage.largest_share or 0.0) > _LITTLE:
        return ""
    return " by little: where many terms or units are equal, --worst-case is the fair bound"


def _origin(facts: Mapping[str, str]) -> Iterator[str]:
    yield f"{facts['library']} {facts['library_version']}"
    yield facts.get("hardware") or f"device {facts['device']}"
    yield facts["compute_type"]
    if "recorded" in facts:
        yield facts["recorded"]


def _table(found: "Agreement") -> Iterator[str]:
    """Yield the lines of one candidate's stages."""
    width = max(len(stage.name) for stage in found.stages)
    yield f"{'':{width}}  difference         ULP    of bound  layer alone"
    for stage in found.stages:
        ulp = f"{stage.ulp:,.1f}" if stage.ulp < _LONG else f"{stage.ulp:.3g}"
        alone = f"{stage.alone.share:.3g}" if stage.alone else ""
        numbers = f"{stage.difference:10.3g}  {ulp:>10}  {stage.share:10.3g}  {alone:>11}"
        yield f"{stage.name:{width}}  {numbers}  {_remark(stage)}".rstrip()


def _remark(stage: "StageAgreement") -> str:
    if stage.fault:
        return f"WRONG: {stage.fault}"
    remarks = []
    out = stage if stage.n_out else stage.alone
    if out is not None and out.n_out:
        row, unit = out.place or (0, 0)
        of_all = f"{out.n_out:,} of {out.n_results:,}"
        remarks.append(f"OUT OF BOUND: {of_all}, the most in row {row}, unit {unit}")
    if stage.n_unbounded:
        remarks.append(f"no bound for {stage.n_unbounded:,} of {stage.n_results:,}")
    return "; ".join(remarks)


def _predictions(report: "Report") -> dict[str, str]:
    """Return the rows of text that say what it means for the predictions."""
    if report.n_could_differ is None:
        return {}
    differ = max(found.n_differ or 0 for found in report.candidates.values())
    text = f"{report.n_could_differ:,} of {report.n_rows:,} can change by rounding"
    text += f"; {differ:,} differ from float64"
    if len(report.candidates) > 1:
        text += f", {report.n_disagree:,} between the candidates"
    return {"predictions": text}


def print_batches(result: Mapping[str, Any]) -> None:
    """Print how far an image's result moves with what is computed beside it."""
    n_in_tile = result["n_in_tile"]
    rows = {
        "network": network_text(result["network"]),
        "sizes": _movement(result["sizes"], "batch sizes"),
        "places": _movement(result["places"], f"places among {n_in_tile:,}"),
        "invariant": _movement(result["invariant_sizes"], "batch sizes")
        + "; "
        + _movement(result["invariant_places"], "places"),
        "verdict": "batch_invariant=True gives the same bits"
        if result["is_invariant"]
        else "batch_invariant=True does NOT give the same bits",
    }
    print_table(rows)


def _movement(moved: Mapping[str, Any], over: str) -> str:
    found = f"{moved['results']:,} different results over {moved['computations']:,} {over}"
    if moved["results"] == 1:
        return found.replace("results", "result")
    largest = f"{moved['largest_difference']:.3g}, {moved['largest_ulp']:,.1f} ULP"
    return f"{found}, up to {largest} apart"
