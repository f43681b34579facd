"""``xpnet plot``: curves of activation functions in a file."""

import sys
from pathlib import Path
from typing import Any

import pytest

from xpnet.functions.activations import ACTIVATIONS

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
NAMES = sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise)


@pytest.mark.parametrize("suffix", [*MAGIC, ".PNG"])
def test_a_picture(xpnet: Any, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"curves{suffix}"
    result = xpnet("plot", "step", "sigmoid", "-o", output)
    assert (result.code, result.out, result.err) == (0, f"wrote {output}\n", "")
    assert output.read_bytes().startswith(MAGIC[suffix.lower()])


def test_all_functions(xpnet: Any, tmp_path: Path) -> None:
    assert xpnet("plot", *NAMES, "-o", tmp_path / "curves.svg").code == 0


@pytest.mark.parametrize(
    "names", [["bogus"], ["relu", "bogus"], ["RELU"], ["softmax"]], ids=" ".join
)
def test_an_unknown_function(refused: Any, tmp_path: Path, names: list[str]) -> None:
    code, line = refused("plot", *names, "-o", tmp_path / "curves.png")
    assert code == 2
    assert f"must be among {', '.join(NAMES)}; got '{names[-1]}'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["-o", "x.png"], ["relu"]], ids=" ".join)
def test_required_arguments(refused: Any, words: list[str]) -> None:
    code, line = refused("plot", *words)
    assert code == 2
    assert "the following arguments are required" in line


@pytest.mark.parametrize("name", ["curves.jpg", "curves"])
def test_another_suffix(refused: Any, tmp_path: Path, name: str) -> None:
    code, line = refused("plot", "relu", "-o", tmp_path / name)
    assert code == 2
    assert "must end in .png, .svg, .pdf" in line


def test_an_existing_file_stays(refused: Any, tmp_path: Path) -> None:
    output = tmp_path / "curves.png"
    output.write_bytes(b"precious")
    code, line = refused("plot", "relu", "-o", output)
    assert code == 2
    assert "curves.png: exists already" in line
    assert output.read_bytes() == b"precious"


def test_force_replaces_it(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "curves.png"
    output.write_bytes(b"precious")
    assert xpnet("plot", "relu", "-o", output, "--force").code == 0
    assert output.read_bytes().startswith(MAGIC[".png"])


def test_a_folder_that_is_not_there(refused: Any, tmp_path: Path) -> None:
    code, line = refused("plot", "relu", "-o", tmp_path / "no-such-folder" / "curves.png")
    assert code == 3
    assert "curves.png" in line


def test_without_matplotlib(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, line = refused("plot", "relu", "-o", tmp_path / "curves.png")
    assert (code, line) == (2, 'xpnet: pictures need matplotlib: pip install "xpnet[plot]"\n')
    assert list(tmp_path.iterdir()) == []
