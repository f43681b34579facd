"""Curves of ``xpnet plot``, and pictures as files of the commands that draw."""

import sys

import pytest

COMMANDS = {
    "plot": ("plot", "step", "sigmoid", "-o"),
    "show": ("show", "--rows", "9", "-o"),
    "evaluate": ("evaluate", "--rows", "9", "--plot"),
    "train": ("train", "--rows", "9", "--epochs", "1", "-o", "model.npz", "--plot"),
}


def test_curves_in_the_terminal(xpnet):
    result = xpnet("plot")
    lines = result.out.splitlines()
    assert (result.code, result.err, max(map(len, lines)) <= 80) == (0, "", True)
    assert lines[2].split() == ["step", "sigmoid", "relu"]
    limits = ("y from 0.00 to 1.00", "y from 0.01 to 0.99", "y from 0.00 to 5.00")
    assert lines[3].split() == " ".join(limits).split()
    rows = xpnet("plot", "identity").out.rstrip().splitlines()[4:]
    places = [row.index("▄█" if "▄█" in row else "█") for row in rows if "█" in row]
    assert (places, len(places)) == (sorted(places, reverse=True), 12)


@pytest.mark.parametrize("more", [[], ["-o", "a.png"]], ids=["text", "picture"])
def test_other_functions(refused, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    for word, part in (("softmax", "elementwise"), ("sigmiod", "did you mean sigmoid?")):
        code, line = refused("plot", "relu", word, *more)
        assert (code, part in line, list(tmp_path.iterdir())) == (2, True, [])


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_picture_is_written_with_matplotlib_and_replaced_with_force(
    refused, xpnet, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib", None)
        line = "xpnet: pictures need matplotlib: pip install matplotlib\n"
        assert refused(*words, "picture.PNG") == (2, line)
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "picture.PNG"
    path.write_bytes(b"precious")
    code, line = refused(*words, path.name)
    assert (code, line.startswith("xpnet: picture.PNG: already exists")) == (2, True)
    assert path.read_bytes() == b"precious"
    assert xpnet(*words, path.name, "--force").code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
