"""The table, printed, and as it stands in README."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance import headline

from peers.runtimes import LIMITS, PEERS

__all__ = ["OURS", "print_cell", "print_summary", "ratio", "replace_between", "replace_table"]

OURS = "xpnet, prepared"


def print_cell(cell: Mapping[str, Any]) -> None:
    """Print everybody's times of a cell."""
    print(f"\n{cell['network']}, {cell['rows']:,} rows, {cell['threads']} threads")
    print(f"  {'':<22} {'plainly, microsec':>20} {'to xpnet':>9} {'best way':>20} {'to xpnet':>9}")
    for name, found in cell["seconds"].items():
        way = found["best way"]
        chunk = "all at once" if way["chunk"] is None else f"{way['chunk']} rows"
        print(
            f"  {name:<22} {times(found['plain']):>20} {ratio(cell, name, 'plain'):>9.2f}"
            f" {times(way):>20} {ratio(cell, name, 'best way'):>9.2f}"
            f"  {chunk}{', shared out' * way['shared']}"
        )
    for name, why in cell["unable"].items():
        print(f"  {name:<22} {why}")


def times(found: Mapping[str, float]) -> str:
    """Return the best and the median time."""
    return f"{1e6 * found['best']:,.1f} ({1e6 * found['median']:,.1f})"


def ratio(cell: Mapping[str, Any], name: str, way: str, of: str = "best") -> float:
    """Return how many times as long as xpnet somebody takes."""
    return float(cell["seconds"][name][way][of] / cell["seconds"][OURS]["plain"][of])


def products_rate(cell: Mapping[str, Any]) -> float:
    """Return xpnet's rate as a share of the rate of the products alone, at their best."""
    return min(ratio(cell, name, "best way") for name in LIMITS)


def print_summary(result: Mapping[str, Any]) -> None:
    """Print the table of README."""
    print()
    for line in markdown(result):
        print(line)


def replace_table(path: Path, result: Mapping[str, Any]) -> None:
    """Put the table between its marks in a file."""
    said = f"{headline(result['about'])} Best of {result['rounds']} rounds."
    replace_between(path, "inference.py", [said, "", *markdown(result)])


def replace_between(path: Path, script: str, lines: Sequence[str]) -> None:
    """Put lines between the marks that a file has for the table of a script.

    Raises
    ------
    ValueError
        If there are no marks.
    """
    start, end = f"<!-- table of benchmarks/{script} -->", "<!-- end of the table -->"
    text = path.read_text(encoding="utf-8")
    if start not in text:
        msg = f"{path} must have a line {start}"
        raise ValueError(msg)
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    table = "\n".join([start, "", *lines, "", end])
    path.write_text(before + table + after, encoding="utf-8")


def markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table: how many times as long as xpnet everybody takes."""
    names = [name for name in PEERS if any(name in cell["seconds"] for cell in result["cells"])]
    names.remove(OURS)
    lines = [
        f"| network, rows, threads | xpnet, µs | of products | {' | '.join(names)} |",
        f"| --- | ---: | ---: |{' ---: |' * len(names)}",
    ]
    for cell in result["cells"]:
        ours = f"{1e6 * cell['seconds'][OURS]['plain']['best']:,.0f}"
        if cell["rows"] == 1:
            ours = f"{1e6 * cell['seconds'][OURS]['plain']['best']:,.1f}"
        each = " | ".join(entry(cell, name) for name in names)
        label = f"{cell['network'].replace(':', ' ')}, {cell['rows']:,}, {cell['threads']}"
        lines.append(f"| {label} | {ours} | {products_rate(cell):.0%} | {each} |")
    return lines


def entry(cell: Mapping[str, Any], name: str) -> str:
    """Return a peer's ratios: called plainly, and at its best, where that is another one."""
    if name not in cell["seconds"]:
        return "-"
    plain, best = ratio(cell, name, "plain"), ratio(cell, name, "best way")
    texts = [f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in (plain, best)]
    return texts[0] if texts[0] == texts[1] else " / ".join(texts)
