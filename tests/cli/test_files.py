"""Outputs replace no input, and other files only with --force; they are checked before any work."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from xpnet import load, sample, save

LABELS = "labels.csv"


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path, monkeypatch, labelled):
    """Go into a folder of inputs of several kinds; at its end it must be as before."""
    monkeypatch.chdir(tmp_path)
    labelled.rename(LABELS)
    images, labels = sample()
    np.savez("data.npz", images=images[:5], labels=labels[:5])
    save(load("sample"), "model.npz")
    for name in ("pictures/0.png", "pictures/old.csv", "t10k-images-idx3-ubyte"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("this is not read")
    shutil.copy(LABELS, "t10k-labels-idx1-ubyte")
    Path("link.csv").symlink_to(LABELS)
    shutil.copy(LABELS, "-.csv")
    before = files_in(tmp_path)
    yield tmp_path
    assert files_in(tmp_path) == before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("predict labels.csv -o", LABELS),
        ("predict labels.csv -o", "pictures/../labels.csv"),
        ("predict labels.csv -o", "link.csv"),
        ("predict link.csv -o", LABELS),
        ("predict ./-.csv", "--output=-.csv"),
        ("predict sample --model=-.csv", "--output=-.csv"),
        ("predict pictures -o", "pictures/old.csv"),
        ("predict . -o", "pictures/old.csv"),
        ("predict t10k-images-idx3-ubyte -o", "t10k-labels-idx1-ubyte"),
        ("evaluate pictures --plot", "pictures/0.png"),
        ("show pictures -o", "pictures/0.png"),
        ("train data.npz -o", "data.npz"),
        ("train --labels data.npz -o", "data.npz"),
        ("convert model.npz", "model.npz"),
        ("parity --model model.npz --record", "model.npz"),
        ("parity --against data.npz --against model.npz --record", "model.npz"),
        ("parity --check data.npz --record", "data.npz"),
    ],
)
def test_an_input_is_never_replaced(refused, words, target):
    name = target.removeprefix("--output=")
    line = f"xpnet: {name} would be replaced, but it is read as well: name another file\n"
    assert refused(*words.split(), target, "--force") == (2, line)
    code, line = refused(*words.split(), target)
    assert (code, "already exists (--force or force=True replaces it)" in line) == (2, True)


COMMANDS = (
    *("predict --rows 2 -o x.csv", "evaluate --rows 9 --plot x.svg", "show --rows 1 -o x.png"),
    *("plot relu -o x.pdf", "convert sample x.onnx", "parity --rows 5 --record x.npz"),
    "train --rows 50 --epochs 1 -o x.safetensors",
    "train --rows 50 --epochs 1 -o y.npz --plot x.svg",
)


@pytest.mark.parametrize("line", COMMANDS)
def test_another_file_is_replaced_with_force(xpnet, refused, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    *_, target = words = line.split()
    assert xpnet(*words).code == 0
    content = Path(target).read_bytes()
    Path(target).write_text("old")
    code, text = refused(*words)
    assert (code, "already exists" in text, Path(target).read_text()) == (2, True, "old")
    assert xpnet(*words, "--force").code == 0
    assert len(content) > 9
    assert abs(len(Path(target).read_bytes()) - len(content)) < 99  # seconds, dates
    assert list(tmp_path.glob(".*")) == []


def test_standard_output_by_name(xpnet, refused):
    printed = xpnet("predict", "--rows", "3")
    assert xpnet("predict", "--rows", "3", "-o", "-") == printed
    assert xpnet("predict", "--rows", "3", "-o", "/dev/stdout") == printed
    code, line = refused("predict", "-o", os.devnull)
    assert (code, "device" in line) == (3, True)
