"""Outputs replace no input, and other files only with --force; they are checked before any work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xpnet import load, sample, save

# With -P the working directory is not searched: what is tested is the package, not the checkout.
PROCESS = (sys.executable, "-P", "-W", "error", "-m", "xpnet")
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


def test_standard_input_is_never_replaced(folder):
    words = [*PROCESS, "predict", "-", "-o", LABELS, "--force"]
    with Path(LABELS).open() as stdin:
        done = subprocess.run(words, stdin=stdin, capture_output=True, check=False, cwd=folder)
    line = b"xpnet: labels.csv would be replaced, but it is read as well: name another file\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", line)


COMMANDS = {
    "predict": ("predict --rows 2 -o", "x.csv"),
    "evaluate": ("evaluate --rows 9 --plot", "x.svg"),
    "show": ("show --rows 1 -o", "x.png"),
    "plot": ("plot relu -o", "x.pdf"),
    "train": ("train --rows 50 --epochs 1 -o", "x.safetensors"),
    "curve": ("train --rows 50 --epochs 1 -o y.npz --plot", "x.svg"),
    "convert": ("convert sample", "x.onnx"),
    "parity": ("parity --rows 5 --record", "x.npz"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_another_file_is_replaced_with_force(xpnet, refused, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    words, target = COMMANDS[name]
    assert xpnet(*words.split(), target).code == 0
    content = Path(target).read_bytes()
    Path(target).write_text("old")
    code, line = refused(*words.split(), target)
    assert (code, "already exists" in line, Path(target).read_text()) == (2, True, "old")
    assert xpnet(*words.split(), target, "--force").code == 0
    assert len(content) > 9
    assert abs(len(Path(target).read_bytes()) - len(content)) < 99  # seconds, dates
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("predict missing -o x.npz", 2, "-o must end in .csv; got 'x.npz'"),
        ("train missing -o x", 2, "must end in .safetensors, .npz, .onnx; got 'x'"),
        ("train missing -o x.npz --plot x.npz", 2, ".png, .svg, .pdf; got 'x.npz'"),
        ("convert missing x.pkl", 2, "must end in .safetensors, .npz, .onnx; got 'x.pkl'"),
        ("evaluate missing --plot=-", 2, ".png, .svg, .pdf; got '-'"),
        ("plot -o /dev/stdout", 2, ".png, .svg, .pdf; got '/dev/stdout'"),
        ("show missing -o x.jpg", 2, ".png, .svg, .pdf; got 'x.jpg'"),
        ("predict missing -o pictures", 3, "pictures: Is a directory"),
        ("evaluate missing --plot labels.csv/x.png", 3, "cannot be written: no such folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_any_work(refused, words, code, text):
    found, line = refused(*words.split())
    assert (found, text in line) == (code, True)


def test_a_device_needs_no_force(xpnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = xpnet("predict", "--rows", "3")
    assert xpnet("predict", "--rows", "3", "-o", "-") == printed
    assert xpnet("predict", "--rows", "3", "-o", "/dev/stdout") == printed
    assert xpnet("predict", "--rows", "3", "-o", os.devnull).out.startswith("wrote ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names of Unicode")
@pytest.mark.usefixtures("utf8_names")
def test_a_file_name_that_is_not_utf8(tmp_path, labelled):
    images, output = (tmp_path / os.fsdecode(name) for name in (b"\xff.csv", b"\xfe.csv"))
    labelled.rename(images)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    words = [*PROCESS, "predict", images, "-o", output]
    done = subprocess.run(words, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xfe.csv\n" in done.stdout
    assert len(output.read_text().splitlines()) == 41
