"""Pictures as files, in the commands that draw."""

import sys

import pytest

from xpnet.functions.activations import ACTIVATIONS

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
COMMANDS = {
    "plot": ("plot", "step", "sigmoid", "-o"),
    "plot of the book": ("plot", "-o"),
    "show": ("show", "--rows", "9", "-o"),
    "show --mistakes": ("show", "--mistakes", "-o"),
    "show --weights": ("show", "--weights", "-o"),
    "show --activations": ("show", "--activations", "--rows", "9", "-o"),
    "bench": ("bench", "--rows", "9", "--batch-sizes", "9", "--rounds", "1", "-o"),
    "evaluate": ("evaluate", "--rows", "9", "--plot"),
    "parity": ("parity", "--rows", "9", "--plot"),
    "train": ("train", "--rows", "9", "--epochs", "1", "-o", "model.npz", "--plot"),
}


@pytest.fixture(params=COMMANDS)
def words(request, tmp_path, monkeypatch):
    """Return the words of each command before the name of the picture, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return COMMANDS[request.param]


@pytest.mark.parametrize("suffix", [*MAGIC, ".PNG"])
def test_suffixes_choose_the_format(xpnet, tmp_path, words, suffix):
    result = xpnet(*words, f"picture{suffix}")
    assert result.code == 0
    assert (tmp_path / f"picture{suffix}").read_bytes().startswith(MAGIC[suffix.lower()])


def test_an_existing_picture_is_replaced_with_force_only(refused, xpnet, tmp_path, words):
    path = tmp_path / "picture.png"
    path.write_bytes(b"precious")
    code, line = refused(*words, path.name)
    assert (code, line.startswith("xpnet: picture.png: already exists")) == (2, True)
    assert path.read_bytes() == b"precious"
    assert xpnet(*words, path.name, "--force").code == 0
    assert path.read_bytes().startswith(MAGIC[".png"])


def test_a_picture_without_matplotlib(refused, tmp_path, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = "xpnet: pictures need matplotlib: pip install matplotlib\n"
    assert refused(*words, "picture.png") == (2, line)
    assert list(tmp_path.iterdir()) == []


def test_curves_of_all_functions(xpnet, tmp_path):
    assert xpnet("plot", *ACTIVATIONS, "-o", tmp_path / "curves.svg").code == 0
