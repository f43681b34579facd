"""README and docs: every code block is run, and what it prints is what the page shows."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from codeop import compile_command
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pages import blocks_of

from xpnet.datasets.fetch import FILES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CHINESE = DOCS / "tutorial" / "zh"
CHINESE_README = ROOT / "README.zh-CN.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
PICTURES = DOCS / "pictures"
NEEDS = re.compile(r"^<!-- needs: (.*) -->$", re.MULTILINE)
LARGEST_PICTURE = 60_000  # bytes
# Pages whose code takes more than a second, and more than five.
SLOW = "gpu-certificate scikit-learn test-array-code your-own-images reproducible-results testing "
SLOW += "write-a-function large-data 06-mnist 07-batches 08-preprocessing 10-gpu"
LONG = "bring-a-network"


def name_of(page):
    return str(page.relative_to(ROOT))


def needs_of(page):
    """Return what a page needs: modules, or "mnist", which makes it long."""
    found = NEEDS.search(page.read_text("utf-8"))
    return found[1].split(", ") if found else []


def parameters():
    for page in PAGES:
        blocks = [] if CHINESE in page.parents else blocks_of(page)
        if any(block.kind in {"python", "bash"} and not block.reason for block in blocks):
            is_long = "mnist" in needs_of(page) or page.stem == LONG
            marks = [pytest.mark.slow] if page.stem in SLOW.split() else []
            marks = [pytest.mark.long] if is_long else marks
            yield pytest.param(page, id=name_of(page), marks=marks)


class Runner:
    """The blocks of one page run in one folder, those of Python in one namespace."""

    def __init__(self, folder):
        self.folder, self.namespace = folder, {"__name__": "__main__"}

    def run(self, block):
        """Run a block, or write its file; return what it prints."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
            return ""
        return self.run_python(block) if block.kind == "python" else self.run_shell(block)

    def run_python(self, block):
        """Run Python in this process."""
        code = compile("\n" * block.line + block.text, "page", "exec")
        output = io.StringIO()
        # NumPy warns, as in a new process: a test of interrupts may have left its errors ignored.
        new = np.errstate(all="warn", under="ignore")
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(output), new:
            exec(code, self.namespace)
        return output.getvalue()

    def run_shell(self, block):
        """Run commands with the Python that runs this test.

        A page that shows an error ends its command with `; echo "exit code $?"`.
        """
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Images in text are drawn with blocks.
        env = os.environ | {"PATH": path, "COLUMNS": "100", "PYTHONUTF8": "1"}
        fails = "; echo" in block.text
        command = ["bash", *["-e"] * (not fails), "-c", block.text]
        errors = subprocess.STDOUT if fails else subprocess.PIPE
        options = {"cwd": self.folder, "env": env, "encoding": "utf-8"}
        found = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=errors, **options
        )
        assert fails or found.returncode == 0, found.stdout + found.stderr
        return found.stdout


@pytest.fixture
def mnist(request, tmp_path_factory, monkeypatch):
    """Put MNIST's training images into the cache; its test images are not here, so empty files."""
    folder = tmp_path_factory.mktemp("cache") / "mnist"
    folder.mkdir()
    monkeypatch.setenv("XPNET_CACHE", str(folder.parent))
    for name in FILES:
        if name.startswith("train"):
            (folder / name).symlink_to(request.getfixturevalue("shared_data") / "mnist" / name)
        else:
            (folder / name).touch()


@pytest.mark.parametrize("page", list(parameters()))
def test_a_page_does_what_it_says(page, tmp_path, request):
    for need in needs_of(page):
        if need == "mnist":
            request.getfixturevalue("mnist")
        elif importlib.util.find_spec(need) is None:
            pytest.skip(f"{name_of(page)} needs {need}")
    runner = Runner(tmp_path)
    for block, after in pairwise([*blocks_of(page), None]):
        if block.kind not in {"python", "bash", "toml"} or block.reason:
            continue
        printed = runner.run(block)
        if after and after.kind == "text" and not after.reason:
            assert after.matches(printed), f"line {block.line} prints\n{printed}"
        elif block.kind == "python":
            assert not printed, f"line {block.line} prints\n{printed}"
    for drawn in tmp_path.glob("*.png"):
        check_picture(drawn)


@pytest.mark.parametrize("page", sorted(CHINESE.parent.glob("[01]*.md")), ids=name_of)
def test_a_block_of_a_lesson_can_be_pasted_at_the_prompt(page):
    for block in blocks_of(page):
        lines = []
        for line in [*block.text.splitlines(), ""] if block.kind == "python" else []:
            lines.append(line)
            if compile_command("\n".join(lines)):
                lines = []


def check_picture(drawn):
    """Compare a picture with the committed one, or write that if XPNET_WRITE_PICTURES is set."""
    committed = PICTURES / drawn.name
    if "XPNET_WRITE_PICTURES" in os.environ:
        from PIL import Image

        with Image.open(drawn) as picture:
            picture.convert("RGB").quantize(64).save(committed, optimize=True)
    assert committed.stat().st_size <= LARGEST_PICTURE
    # Width and height, in the header of a PNG; digits of a timing, and fonts, may differ.
    sizes = [np.frombuffer(path.read_bytes()[16:24], ">u4") for path in (drawn, committed)]
    np.testing.assert_allclose(*sizes, rtol=0.1)


@pytest.mark.parametrize("page", [CHINESE_README, *sorted(CHINESE.glob("*.md"))], ids=name_of)
def test_a_chinese_page_has_the_same_blocks_and_a_link(page):
    def contents(path):
        return [(block.kind, block.text, block.note) for block in blocks_of(path)]

    english = ROOT / "README.md" if page == CHINESE_README else CHINESE.parent / page.name
    assert contents(page) == contents(english)
    for this, other in ((page, english), (english, page)):
        assert f"]({os.path.relpath(other, this.parent)})" in this.read_text("utf-8")
