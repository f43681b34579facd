"""Figures as files: names, formats and atomic writing."""

import sys
from pathlib import Path

import pytest

from xpnet.pictures.saving import SUFFIXES, check_picture, new_figure, save_figure

MAGIC = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


@pytest.mark.parametrize("name", ["a.png", "a.b.svg", "folder.x/a.pdf", "A.PNG"])
def test_names_of_pictures(name: str) -> None:
    check_picture(name)
    check_picture(Path(name))


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "a.png/b", "png", ""])
def test_other_names(name: str) -> None:
    with pytest.raises(ValueError, match=rf"must end in \.png, \.svg, \.pdf; got '{name}'"):
        check_picture(name)


def test_the_size_of_a_figure() -> None:
    assert new_figure(3.0, 2.0).get_size_inches().tolist() == [3.0, 2.0]


def test_matplotlib_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"need matplotlib: pip install matplotlib$"
    ) as caught:
        new_figure(1.0, 1.0)
    assert caught.value.name == "matplotlib.figure"


def test_every_suffix_has_its_test() -> None:
    assert set(MAGIC) == set(SUFFIXES)


@pytest.mark.parametrize("suffix", [*MAGIC, ".PNG"])
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"figure{suffix}"
    save_figure(new_figure(1.0, 1.0), path)
    assert path.read_bytes().startswith(MAGIC[suffix.lower()])
    assert list(tmp_path.iterdir()) == [path]


def test_a_bitmap_opens(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    save_figure(new_figure(2.0, 1.0), tmp_path / "figure.png")
    with image.open(tmp_path / "figure.png") as picture:
        assert picture.size == (300, 150)


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="--force"):
        save_figure(new_figure(1.0, 1.0), path)
    assert path.read_bytes() == b"precious"


def test_force_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"precious")
    save_figure(new_figure(1.0, 1.0), path, force=True)
    assert path.read_bytes().startswith(MAGIC[".png"])


def test_another_suffix_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must end in"):
        save_figure(new_figure(1.0, 1.0), tmp_path / "figure.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_drawn_leaves_no_file(tmp_path: Path) -> None:
    figure = new_figure(1.0, 1.0)
    figure.text(0.5, 0.5, r"$\nosuchcommand$")
    with pytest.raises(ValueError, match="nosuchcommand"):
        save_figure(figure, tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []
