"""Pictures as files, in the commands that draw."""

import sys

import pytest

COMMANDS = {
    "plot": ("plot", "step", "sigmoid", "-o"),
    "show": ("show", "--rows", "9", "-o"),
    "show --mistakes": ("show", "--mistakes", "-o"),
    "evaluate": ("evaluate", "--rows", "9", "--plot"),
    "train": ("train", "--rows", "9", "--epochs", "1", "-o", "model.npz", "--plot"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_an_existing_picture_is_replaced_with_force_only(
    refused, xpnet, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "picture.PNG"
    path.write_bytes(b"precious")
    code, line = refused(*words, path.name)
    assert (code, line.startswith("xpnet: picture.PNG: already exists")) == (2, True)
    assert path.read_bytes() == b"precious"
    assert xpnet(*words, path.name, "--force").code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_picture_without_matplotlib(refused, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = "xpnet: pictures need matplotlib: pip install matplotlib\n"
    assert refused(*words, "picture.png") == (2, line)
    assert list(tmp_path.iterdir()) == []
