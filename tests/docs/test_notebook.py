"""The notebook is what its script writes from the pages, and it runs."""

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
from make_notebook import NOTEBOOK, PAGES, notebook_of  # noqa: E402 - needs nbformat

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

The end.
"""
CELLS = [
    "# A page\n\nText, and [a link](01-perceptron.md).",
    'figure = 1\nfigure.savefig("one.png")\nfigure',
    "![two](../pictures/two.png)",
    "%%bash\nxpnet evaluate",
    "```bash\nxpnet doctor\n```\n\n```text\ngpu\n```",
    "%%writefile net.py\n# net.py\nx = 1",
    "The end.",
]


def test_cells_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    book = nbformat.reads(notebook_of([page]), as_version=4)
    nbformat.validate(book)
    assert [cell.source for cell in book.cells[2:]] == CELLS


def test_the_notebook_is_that_of_the_pages():
    assert NOTEBOOK.read_text("utf-8") == notebook_of(PAGES), "run python docs/make_notebook.py"


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    book = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, resources=resources).execute()
