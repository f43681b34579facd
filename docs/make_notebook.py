"""Write the ten pages of the tutorial as one notebook: `python docs/make_notebook.py`.

The notebook is run for its outputs. This needs MNIST: `xpnet fetch mnist`.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nbformat import v4, writes
from pages import Block, blocks_of

__all__ = ["NOTEBOOK", "PAGES", "notebook_of", "run", "source_of"]

TUTORIAL = Path(__file__).parent / "tutorial"
PAGES = sorted(TUTORIAL.glob("[01][0-9]-*.md"))
NOTEBOOK = TUTORIAL / "tutorial.ipynb"
_TITLE = """\
# The tutorial of xpnet

The [ten pages of the tutorial](index.md) in one notebook. In the folder that contains
`pyproject.toml`, in a virtual environment, install what it needs, download MNIST (12 MB), and start
Jupyter:

```bash
pip install notebook '.[plot,fetch,testing]'
xpnet fetch mnist
jupyter notebook docs/tutorial/tutorial.ipynb
```"""
# An empty folder: xpnet does not replace the files of an earlier run.
_START = """\
%matplotlib inline
import os
import tempfile

os.chdir(tempfile.mkdtemp())  # files are written to a new folder"""
_SAVED = re.compile(r'^(?P<figure>\w+)\.savefig\("(?P<file>[^"]+)".*\)$')


def notebook_of(pages: Iterable[Path]) -> Any:
    """Return the notebook of some pages, without outputs."""
    cells = [v4.new_markdown_cell(_TITLE), v4.new_code_cell(_START)]
    for page in pages:
        cells += cells_of(page)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # nbformat's are random
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": spec})


def run(book: Any) -> None:
    """Run a notebook in a new folder, and keep its outputs."""
    from nbclient import NotebookClient

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "COLUMNS": "100", "PYTHONUTF8": "1"}
    metadata = {**book.metadata}
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"resources": {"metadata": {"path": folder}}}
        options |= {"record_timing": False}  # times differ in each run
        NotebookClient(book, timeout=600, coalesce_streams=True, **options).execute(env=env)
    book.metadata = metadata  # without the version of Python


def cells_of(page: Path) -> Iterator[Any]:
    """Yield the cells of a page: the blocks that are run, and the text between them."""
    lines = page.read_text("utf-8").splitlines()
    start, text, is_output, drawn = 0, "", False, ""
    for block in blocks_of(page):
        end = block.line + bool(block.note) + block.text.count("\n") + 1
        text += "\n".join(lines[start : block.line - 1]) + "\n"
        start = end
        source = source_of(block)
        if source:
            yield from markdown(text, drawn)
            code, drawn = shown(source) if block.kind == "python" else (source, "")
            text = ""
            yield v4.new_code_cell(code)
        elif not (is_output and block.kind == "text"):
            text += "\n".join(lines[block.line - 1 : end]) + "\n"
        is_output = bool(source)
    yield from markdown(text + "\n".join(lines[start:]), drawn)


def source_of(block: Block) -> str:
    """Return the source of the cell of a block, or "" if the block is not run."""
    if block.reason or block.is_folded:  # what is folded stays in one cell
        return ""
    magic = {"python": "", "bash": "%%bash\n"}.get(block.kind)
    if block.file:
        magic = f"%%writefile {block.file}\n"
    return "" if magic is None else magic + block.text.rstrip("\n")


def shown(source: str) -> tuple[str, str]:
    """Return code that also shows the figure that it saves, and the name of the saved picture."""
    found = _SAVED.match(source.splitlines()[-1])
    if not found:
        return source, ""
    is_shown = "plt." in source  # Jupyter shows the figures of pyplot
    return source if is_shown else f"{source}\n{found['figure']}", found["file"]


def markdown(text: str, drawn: str) -> Iterator[Any]:
    """Yield a cell of text, without comments and without the picture that the code above draws."""
    text = re.sub(r"^<!-- .*? -->\n", "", text, flags=re.MULTILINE)
    if drawn:
        text = re.sub(rf"^!\[[^\]]*\]\([^)]*\b{re.escape(drawn)}\)\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    if text:
        yield v4.new_markdown_cell(text)


if __name__ == "__main__":
    notebook = notebook_of(PAGES)
    run(notebook)
    NOTEBOOK.write_text(writes(notebook) + "\n", "utf-8")
