"""``xpnet show``: a picture of digits, of what is right and what is not."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the picture was made of, once it is made."""
    from xpnet.pictures import images

    arguments: dict[str, Any] = {}

    def draw(*given: Any) -> Any:
        arguments.update(zip(("images", "labels", "predictions"), given, strict=True))
        return original(*given)

    original = images.draw_images
    monkeypatch.setattr(images, "draw_images", draw)
    return arguments


@pytest.mark.parametrize("suffix", MAGIC)
def test_a_picture(xpnet: Any, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"digits{suffix}"
    result = xpnet("show", "--rows", "9", "-o", output)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"wrote {output} (9 images)\n"
    assert output.read_bytes().startswith(MAGIC[suffix])


def test_25_images_by_default(xpnet: Any, tmp_path: Path, drawn: dict[str, Any]) -> None:
    assert xpnet("show", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (25, 28, 28)
    assert drawn["labels"] == [str(i % 10) for i in range(25)]
    assert drawn["predictions"] == drawn["labels"]


def test_predictions_that_differ(xpnet: Any, tmp_path: Path, drawn: dict[str, Any]) -> None:
    xpnet("show", "--model", "random", "-o", tmp_path / "digits.png")
    assert drawn["labels"] == [str(i % 10) for i in range(25)]
    assert drawn["predictions"] != drawn["labels"]


def test_rows_of_a_file(
    xpnet: Any, tmp_path: Path, unlabelled: Path, drawn: dict[str, Any]
) -> None:
    assert xpnet("show", unlabelled, "--rows", "4", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (4, 28, 28)
    assert drawn["labels"] is None
    assert drawn["predictions"] == ["0", "1", "2", "3"]


def test_named_classes(
    xpnet: Any, tmp_path: Path, save_network: Callable[..., Path], drawn: dict[str, Any]
) -> None:
    names = [f"name {i}" for i in range(10)]
    model = save_network(10, classes=names)
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert set(drawn["predictions"]) <= set(names)


def test_a_regression_has_no_predictions_to_show(
    xpnet: Any, tmp_path: Path, save_network: Callable[..., Path], drawn: dict[str, Any]
) -> None:
    model = save_network(2, output="values")
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert drawn["predictions"] is None


def test_no_images(xpnet: Any, tmp_path: Path) -> None:
    result = xpnet("show", "--rows", "0", "-o", tmp_path / "digits.png")
    assert result.code == 0
    assert result.err == "xpnet: sample holds no images: an empty picture\n"


def test_too_many_images(refused: Any, tmp_path: Path, save_network: Callable[..., Path]) -> None:
    np.save(tmp_path / "many.npy", np.zeros((3000, 1), np.uint8))
    model = save_network(2, n_in=1)
    words = (tmp_path / "many.npy", "--rows", "2600", "--model", model)
    code, line = refused("show", *words, "-o", tmp_path / "digits.png")
    assert code == 2
    assert "a picture holds at most 2,500 images; got 2,600 (see --rows)" in line


def test_images_that_are_not_square(
    refused: Any, tmp_path: Path, save_network: Callable[..., Path]
) -> None:
    np.save(tmp_path / "lines.npy", np.zeros((3, 7), np.uint8))
    model = save_network(2, n_in=7)
    code, line = refused("show", tmp_path / "lines.npy", "--model", model, "-o", tmp_path / "x.png")
    assert code == 3
    assert "lines.npy: `images` must be square to be shown; got the shape (3, 7)" in line


def test_an_existing_file_stays(refused: Any, tmp_path: Path) -> None:
    output = tmp_path / "digits.png"
    output.write_bytes(b"precious")
    code, line = refused("show", "-o", output)
    assert code == 2
    assert "digits.png: exists already" in line
    assert output.read_bytes() == b"precious"


def test_force_replaces_it(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "digits.png"
    output.write_bytes(b"precious")
    assert xpnet("show", "-o", output, "--force").code == 0
    assert output.read_bytes().startswith(MAGIC[".png"])


@pytest.mark.parametrize("name", ["digits.jpg", "digits", "png"])
def test_another_suffix(refused: Any, tmp_path: Path, name: str) -> None:
    code, line = refused("show", "-o", tmp_path / name)
    assert code == 2
    assert "must end in .png, .svg, .pdf" in line


def test_without_matplotlib(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, line = refused("show", "-o", tmp_path / "digits.png")
    assert (code, line) == (2, 'xpnet: pictures need matplotlib: pip install "xpnet[plot]"\n')
    assert list(tmp_path.iterdir()) == []
