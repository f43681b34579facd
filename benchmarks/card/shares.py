"""What a rate is a share of, and whether the bars are reached."""

from collections.abc import Mapping, Sequence
from typing import Any

from card.plan import MANY, NARROW, WIDE

__all__ = ["SOURCES", "bars", "copy_limit", "entry_of", "share"]

# What rows from a source cannot be faster than: the slowest of these.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "pinned": ("pinned_to_device",),
    "pageable": ("pinned_to_device", "pageable_to_pinned"),
    "file": ("pinned_to_device", "file_to_pinned"),
}


def copy_limit(source: str, ceilings: Mapping[str, Any], row_bytes: int) -> float | None:
    """Return the rows per second that copying allows; None where that was not measured.

    Examples
    --------
    >>> copy_limit("pinned", {"pinned_to_device": {"best": 78_400.0}}, 784)
    100.0
    """
    if any(name not in ceilings for name in SOURCES[source]):
        return None
    return float(min(ceilings[name]["best"] for name in SOURCES[source])) / row_bytes


def share(part: float | None, whole: float | None) -> float | None:
    """Return part / whole; None where one of them is not known."""
    return None if part is None or whole is None else part / whole


def bars(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is wanted, what was found, and whether that is enough.

    What was not measured is not reached, and its value is None.
    """
    ends = {entry["source"]: entry for entry in content["end_to_end"]}
    narrow, wide = (entry_of(content["resident"], str(shape)) for shape in (NARROW, WIDE))
    rows = f"{MANY:,} rows on the device"
    ratio = "ratio_to_torch_compile"
    found = [
        _bar("pinned rows, share of the copy rate", ends.get("pinned"), "share_of_copy_rate", 0.92),
        _bar(
            "pageable rows, share of the copy rate", ends.get("pageable"), "share_of_copy_rate", 0.8
        ),
        _bar("pageable rows, times torch", ends.get("pageable"), "ratio_to_torch_naive", 3.0),
        _bar(f"{rows}, {NARROW}, times torch.compile", narrow, ratio, 0.95),
        _bar(f"{rows}, {WIDE}, times torch.compile", wide, ratio, 0.95),
        _bar(f"{rows}, {WIDE}, share of the products", wide, "share_of_product_rate", 0.9),
    ]
    passed = content["checks"]["passed"]
    checks = {"name": "checks passed", "value": passed, "wanted": True, "reached": passed is True}
    return [*found, checks]


def entry_of(resident: Sequence[Mapping[str, Any]], network: str) -> Mapping[str, Any] | None:
    """Return the entry of a network that its bars are for."""
    wanted = {"network": network, "rows": MANY, "dtype": "float32", "precision": "float32"}
    return next((x for x in resident if wanted.items() <= x.items()), None)


def _bar(name: str, entry: Mapping[str, Any] | None, key: str, wanted: float) -> dict[str, Any]:
    value = None if entry is None else entry.get(key)
    return {
        "name": name,
        "value": value,
        "wanted": wanted,
        "reached": value is not None and value >= wanted,
    }
