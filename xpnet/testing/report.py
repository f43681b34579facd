"""Reports of tests on all backends: a table for documentation, and its content as plain values."""

from collections import defaultdict
from typing import Any, Final

from xpnet.testing.outcomes import Call

__all__ = ["markdown", "rows_of"]

_TITLES: Final = "Failures", "Not tested", "Lines where errors arose"


def rows_of(call: Call) -> list[dict[str, Any]]:
    """Return the outcome of a call on each backend, as plain values."""
    common = {"name": call.name, "variant": call.variant}
    plain = ("backend", "faults", "skipped", "checks", "escaped")
    return [{**common, **{x: getattr(y, x) for x in plain}} for y in call.outcomes.values()]


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a table of functions by backends in Markdown, and lists of reasons below it."""
    by_name = {row["name"]: defaultdict[str, list[Any]](list) for row in rows}
    lists = {title: defaultdict[str, list[str]](list) for title in _TITLES}
    failures, skips, escapes = lists.values()
    for row in rows:
        name, backend = row["name"], row["backend"]
        if row["skipped"] is not None:
            skips[f"{backend}: {row['skipped']}"].append(name)
            continue
        by_name[name][backend].append(row)
        for fault in row["faults"]:
            failures[f"`{name}`: {fault}"].append(f"{backend} {row['variant']}".strip())
        if row["escaped"]:
            escapes[row["escaped"]].append(f"{name} on {backend}")
    backends = list(dict.fromkeys(x for found in by_name.values() for x in found))
    header = ["function", *backends, "variants"]
    table = [header, ["---"] * len(header)]
    for name, found in by_name.items():
        passed, _ = _variants([row for x in found.values() for row in x])
        table.append([f"`{name}`", *(_cell(found[x]) for x in backends), ", ".join(passed)])
    lines = ["| " + " | ".join(x.replace("|", r"\|") for x in line) + " |" for line in table]
    for title, reasons in lists.items():
        lines += ["", f"**{title}**", ""] if reasons else []
        for reason, places in sorted(reasons.items(), key=lambda item: -len(item[1])):
            words = " ".join(reason.split())
            lines.append(f"- {len(places)} x {words} ({'; '.join(dict.fromkeys(places))})")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "not tested"
    _, failed = _variants(rows)
    checks = [x for row in rows if row["variant"] not in failed for x in row["checks"]]
    parts = [", ".join(dict.fromkeys(checks))] if checks else []
    if failed:
        variants = ", ".join(x or "as given" for x in failed)
        parts.append("**fails**" if variants == "as given" else f"**fails**: {variants}")
    return "; ".join(parts)


def _variants(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the variants that passed, except "" (arguments as given), and those that failed."""
    failed = list(dict.fromkeys(row["variant"] for row in rows if row["faults"]))
    names = dict.fromkeys(row["variant"] for row in rows)
    return [x for x in names if x and x not in failed], failed
