"""Pictures as files, in the commands that draw."""

import sys

import pytest

COMMANDS = {
    "plot": ("plot", "step", "sigmoid", "-o"),
    "plot of the book": ("plot", "-o"),
    "show": ("show", "--rows", "9", "-o"),
    "show --mistakes": ("show", "--mistakes", "-o"),
    "evaluate": ("evaluate", "--rows", "9", "--plot"),
    "train": ("train", "--rows", "9", "--epochs", "1", "-o", "model.npz", "--plot"),
}


@pytest.fixture(params=COMMANDS)
def words(request, tmp_path, monkeypatch):
    """Return the words of each command before the name of the picture, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return COMMANDS[request.param]


def test_the_suffix_chooses_the_format(xpnet, tmp_path, words):
    assert xpnet(*words, "picture.PDF").code == 0
    assert (tmp_path / "picture.PDF").read_bytes().startswith(b"%PDF")


def test_an_existing_picture_is_replaced_with_force_only(refused, xpnet, tmp_path, words):
    path = tmp_path / "picture.png"
    path.write_bytes(b"precious")
    code, line = refused(*words, path.name)
    assert (code, line.startswith("xpnet: picture.png: already exists")) == (2, True)
    assert path.read_bytes() == b"precious"
    assert xpnet(*words, path.name, "--force").code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_matplotlib(refused, tmp_path, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = "xpnet: pictures need matplotlib: pip install matplotlib\n"
    assert refused(*words, "picture.png") == (2, line)
    assert list(tmp_path.iterdir()) == []
