"""The notebook is what its script writes from the pages; its outputs are those of the pages."""

from itertools import pairwise

import pytest
from pages import blocks_of

nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
from make_notebook import NOTEBOOK, PAGES, notebook_of, run, source_of  # noqa: E402 - needs nbformat

PAGE = """\
# A page
<!-- needs: torch -->

Text, and [a link](01-perceptron.md).

```python
figure = 1
figure.savefig("one.png")
```

![one](../pictures/one.png)
![two](../pictures/two.png)

```bash
xpnet evaluate
```

<!-- numbers differ -->
```text
accuracy 1
```

<!-- not run: needs a GPU -->
```bash
xpnet doctor
```

```text
gpu
```

```python
# net.py
x = 1
```

<details>

```python
x = 2
```

</details>

The end.
"""
CELLS = [
    "# A page\n\nText, and [a link](01-perceptron.md).",
    'figure = 1\nfigure.savefig("one.png")\nfigure',
    "![two](../pictures/two.png)",
    "%%bash\nxpnet evaluate",
    "```bash\nxpnet doctor\n```\n\n```text\ngpu\n```",
    "%%writefile net.py\n# net.py\nx = 1",
    "<details>\n\n```python\nx = 2\n```\n\n</details>\n\nThe end.",
]


LARGEST_NOTEBOOK = 1_500_000  # bytes


def test_cells_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    book = notebook_of([page])
    nbformat.validate(book)
    assert [cell.source for cell in book.cells[2:]] == CELLS


def test_the_notebook_is_that_of_the_pages():
    def contents(book):
        return [(cell.id, cell.cell_type, cell.source) for cell in book.cells]

    book = nbformat.read(NOTEBOOK, as_version=4)
    assert contents(book) == contents(notebook_of(PAGES)), "run python docs/make_notebook.py"
    assert NOTEBOOK.stat().st_size <= LARGEST_NOTEBOOK
    check_outputs(book)


@pytest.mark.long
@pytest.mark.usefixtures("mnist")
def test_the_notebook_runs():
    pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    book = notebook_of(PAGES)
    run(book)
    check_outputs(book)


def check_outputs(book):
    """Compare what each cell prints with the page, and count pictures."""
    pairs = [pair for page in PAGES for pair in pairwise([*blocks_of(page), None])]
    pairs = [(block, after) for block, after in pairs if source_of(block)]
    _, *cells = [cell for cell in book.cells if cell.cell_type == "code"]
    for cell, (block, after) in zip(cells, pairs, strict=True):
        printed = printed_by(cell, with_errors="; echo" in block.text)
        if after and after.kind == "text" and not after.reason:
            assert after.matches(printed), f"{cell.source}\nprints\n{printed}"
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(pictures) == (".savefig(" in cell.source), cell.source


def printed_by(cell, *, with_errors):
    """Return what a cell prints, errors first if the page shows them."""
    texts = {"stderr": "", "stdout": ""}
    for output in cell.outputs:
        assert output.output_type != "error"
        if output.output_type == "stream":
            texts[output.name] += output.text
    return texts["stderr"] * with_errors + texts["stdout"]
