"""What was found, for people and for programs."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from provenance import headline

from sweep.candidates import COLUMNS, label, origin
from sweep.records import Record, Results

LARGE = 1e4  # errors from here on are told by their magnitude


def as_json(results: Results) -> dict[str, Any]:
    """Return the results by function and column, each record with its inputs as numbers, too."""
    return {
        name: {
            "label": label(name),
            "results": {
                column: {"function": origin(name, column), **_readable(record)}
                for column, record in columns.items()
            },
        }
        for name, columns in results.items()
    }


def _readable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # which JSON cannot hold
    if not isinstance(value, dict):
        return value
    readable = {key: _readable(each) for key, each in value.items()}
    if "bits" in value:
        readable |= {"x": _readable(_input(value)), "bits": f"0x{value['bits']:08x}"}
    return readable


def as_markdown(about: dict[str, Any], results: Results) -> str:
    """Return the table, and below it what does not fit into it."""
    columns = [column for column in COLUMNS if any(column in found for found in results.values())]
    header = ["function", *(COLUMNS[column] for column in columns)]
    rows = [
        [f"`{label(name)}`", *(_cell(found.get(column)) for column in columns)]
        for name, found in results.items()
    ]
    lines = [
        f"Largest error in ULP of float32, {_extent(about)}, and where it occurs.",
        headline(about),
        "xpnet's functions run operation by operation, but for jax.jit, where XLA may fuse them.",
        "",
        *_aligned([header, *rows]),
    ]
    for title, tell in BELOW_THE_TABLE.items():
        told = [
            f"- `{label(name)}`, {COLUMNS[column]}: {text}"
            for name, found in results.items()
            for column, record in found.items()
            for text in tell(record)
        ]
        lines += ["", title, "", *(told or ["- none"])]
    return "\n".join(lines) + "\n"


def _extent(about: dict[str, Any]) -> str:
    if about["inputs"] == 2**32:
        return "all 2^32 inputs"
    if about["sample"]:
        return f"only a sample of {about['inputs']:,} inputs"
    first, last = about["pieces"]
    return f"only the {about['inputs']:,} inputs of the pieces {first}:{last}"


def _aligned(cells: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        yield f"| {' | '.join(map(str.ljust, row, widths))} |"


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    worst, n_wrong = record.get("normal"), sum(each["count"] for each in record["wrong"].values())
    text = "no normal result"
    if worst:
        text = "exact" if worst["error"] == 0 else f"{_short(worst['error'])}{_at(worst)}"
    return f"{text}; {n_wrong:,} wrong" if n_wrong else text


def _near_underflow(record: Record) -> Iterator[str]:
    found, normal = record.get("near underflow"), record.get("normal")
    if found and found["error"] > max(normal["error"] if normal else 0.0, 0.5):
        yield f"{_short(found['error'])} ULP{_at(found)}"


def _subnormal(record: Record) -> Iterator[str]:
    found = record.get("subnormal")
    if found and found["error"] > 1:
        yield f"{_short(found['error'])} times 2^-126{_at(found)}"


def _wrong(record: Record) -> Iterator[str]:
    for kind, found in record["wrong"].items():
        yield (
            f"{kind}, {found['count']:,} times, first{_at(found)}:"
            f" {found['got']:.8g} for {found['true']:.8g}"
        )


BELOW_THE_TABLE: dict[str, Callable[[Record], Iterator[str]]] = {
    "Near underflow (true values from 2^-126 to 2^-119), where the error is larger:": (
        _near_underflow
    ),
    "Below 2^-126, where the error is more than flushing to zero explains:": _subnormal,
    "Wrong, whatever the tolerance:": _wrong,
}


def _short(error: float) -> str:
    return f"{error:.2f}" if error < LARGE else f"{error:.1e}"


def _at(found: Record) -> str:
    return f" at {_input(found):.6g}"


def _input(found: Record) -> float:
    return float(np.asarray(found["bits"], np.uint32).view(np.float32))
