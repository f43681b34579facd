"""The tables of README: which GPUs xpnet was run on, and how fast it was there."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from card.plan import MANY, NARROW, WIDE
from card.shares import entry_of

__all__ = ["NOTHING", "markdown", "read_results"]

Result = Mapping[str, Any]

NOTHING = "Run on: no GPU yet. Not yet run on: every GPU. So no speed on a GPU is claimed."


def read_results(folder: Path) -> tuple[list[Result], dict[str, str]]:
    """Return the results of cards in a folder, and why other files there do not count."""
    found: list[Result] = []
    ignored = {}
    for path in sorted(folder.glob("gpu-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("rehearsal", True):
            ignored[path.name] = "a rehearsal, which measures no card"
        elif result.get("quick", True):
            ignored[path.name] = "a quick run, which is too short"
        else:
            found.append(result)
    return sorted(found, key=lambda result: (result["card"], result["date"])), ignored


def markdown(results: Sequence[Result]) -> list[str]:
    """Return the lines of both tables; one sentence where there are no results."""
    if not results:
        return [NOTHING]
    return [*_devices(results), "", *_speeds(results)]


def _devices(results: Sequence[Result]) -> list[str]:
    lines = [
        "| run on | driver | CUDA | CuPy | date | commit | checks |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for x in results:
        versions = x["versions"]
        # What is written into a table must not end its cell.
        cells = [x["card"], x["driver"], versions["cuda"], versions["cupy"], x["date"]]
        texts = [str(cell).replace("|", "/") for cell in [*cells, x["commit"]]]
        lines.append(f"| {' | '.join(texts)} | {_checks(x)} |")
    return [*lines, "", "Not yet run on: every other GPU."]


def _checks(result: Result) -> str:
    each = result["checks"]["each"]
    n_passed = sum(check["passed"] for check in each)
    return "not run" if not each else f"{n_passed} of {len(each)} passed"


def _speeds(results: Sequence[Result]) -> list[str]:
    said = (
        "Million rows per second, best of all rounds, from bytes on the host to labels on the host"
        f" through {_plain(NARROW)}; in brackets, the share of what copying alone allows. And for"
        f" {MANY:,} rows of float32 on the device, how many times as long as xpnet torch.compile"
        " takes, everybody in float32 without TF32; and xpnet's share of the rate of a large"
        " matrix product."
    )
    names = (
        *("card", "pinned", "pageable", "file", "times torch, pageable"),
        *(f"times torch.compile, {_plain(shape)}" for shape in (NARROW, WIDE)),
        *("of products", "bars reached"),
    )
    marks = f"| --- |{' ---: |' * (len(names) - 1)}"
    return [said, "", f"| {' | '.join(names)} |", marks, *map(_speed, results)]


def _speed(result: Result) -> str:
    ends = {entry["source"]: entry for entry in result["end_to_end"]}
    narrow, wide = (entry_of(result["resident"], str(shape)) for shape in (NARROW, WIDE))
    cells = [
        str(result["card"]).replace("|", "/"),
        *(_rate(ends.get(source)) for source in ("pinned", "pageable", "file")),
        _number(ends.get("pageable"), "ratio_to_torch_naive", "{:.1f}"),
        _number(narrow, "ratio_to_torch_compile", "{:.2f}"),
        _number(wide, "ratio_to_torch_compile", "{:.2f}"),
        _number(wide, "share_of_product_rate", "{:.0%}"),
        f"{sum(bar['reached'] for bar in result['bar'])} of {len(result['bar'])}",
    ]
    return f"| {' | '.join(cells)} |"


def _rate(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "-"
    rate = f"{entry['rows_per_second']['best'] / 1e6:.1f}"
    return f"{rate} ({_number(entry, 'share_of_copy_rate', '{:.0%}')})"


def _number(entry: Mapping[str, Any] | None, key: str, form: str) -> str:
    value = None if entry is None else entry.get(key)
    return "-" if value is None else form.format(value)


def _plain(shape: object) -> str:
    return str(shape).replace(":", " ")
