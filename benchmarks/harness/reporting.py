"""Tables in Markdown files."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def show_table(path: str | os.PathLike[str] | None, script: str, lines: Sequence[str]) -> None:
    """Print a script's table; in a file, if given, replace the lines between the table's marks."""
    print("\n".join(lines))
    if path is None:
        return
    start, end = f"<!-- table of benchmarks/{script} -->", "<!-- end of the table -->"
    before, mark, rest = Path(path).read_text(encoding="utf-8").partition(start)
    if not mark:
        msg = f"{path} must have a line {start}"
        raise ValueError(msg)
    table = "\n".join([start, "", *lines, "", end])
    Path(path).write_text(before + table + rest.partition(end)[2], encoding="utf-8")


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1
) -> list[str]:
    """Return the lines of a table: `left` columns aligned left, the others right."""
    marks = ["---" if i < left else "---:" for i in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]
