"""What is refused: an exit code, one line that names the file and the cause, and no output.

The transcripts hold more of them, with all their words.
"""

import gzip
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from array_files import idx

from xpnet import Dense, Network, Standardize, init_network, load, sample, save
from xpnet.cli.main import main

IMAGES, LABELS = (x[:20] for x in sample())
RANDOM = np.random.default_rng(0).random
ARRAYS = {
    "fewer.npz": [LABELS[:15]],
    "overflow.npz": [np.where(np.arange(20) == 13, 1e300, IMAGES.T).T, LABELS],
    "eight.npz": [IMAGES[:, :8, :8], LABELS],
    "four.npz": [np.ones((20, 4)), LABELS],
    "eleven.npz": [IMAGES, np.where(np.arange(20) == 7, 10, LABELS)],
    "large.npz": [RANDOM((20, 4)) * 1e200, LABELS],
    "pixels.npz": [RANDOM((20, 64)) * 1e39, LABELS],
    "images.npz": [RANDOM((20, 3))],
    "measured.npz": [RANDOM((20, 3)), 3.75 + np.arange(20) / 2],
}
DIGITS = load("sample")
FIRST, *OTHERS = DIGITS.layers
HUGE = replace(FIRST, weight=FIRST.weight * np.float32(1e37), activation="relu")
NETWORKS = {
    "half.npz": DIGITS.astype("float16"),
    "huge.npz": replace(DIGITS, layers=[HUGE, *OTHERS]),
    "nine.npz": Network([Dense(np.ones((784, 9)), np.ones(9))]),
    "4-2.npz": init_network([4, 2]),
    "64-2.npz": init_network([64, 2]),
    "steps.npz": init_network([4, 2], preprocessing=Standardize(np.full(4, 99.0), np.ones(4))),
    "log_sigmoid.npz": init_network([4, 3, 2], activation="log_sigmoid"),
}


def csv(value, column=100):
    """Return a table of digits whose line 6 has another value."""
    rows = np.column_stack((LABELS, IMAGES.reshape(20, -1))).astype("U8")
    rows[4, column] = value
    header = ["label", *(f"pixel{i}" for i in range(784))]
    return "".join(f"{','.join(row)}\n" for row in (header, *rows)).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of files that are no good for something."""
    folder = tmp_path_factory.mktemp("refused")
    for name, arrays in ARRAYS.items():
        np.savez(folder / name, **dict(zip("xy", arrays, strict=False)))
    for name, network in NETWORKS.items():
        save(network, folder / name)
    np.savez(folder / "bare.npz", **{"1.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))})
    for name, content in {
        "nan.csv": csv("nan"),
        "ten.csv": csv("10", 0),
        "none.csv": csv("", 0),
        "cut.csv.gz": gzip.compress(csv("1"))[:3000],
        "bomb.gz": gzip.compress(idx(IMAGES) + b"\0" * 2**27),
        "labels.idx": idx(LABELS),
        "picture.png": b"\x89PNG\r\n\x1a\n",
        "random": b"not weights",
        "measured.csv": b"a,y\n" + b"".join(b"%d,%d.5\n" % (i * i, i) for i in range(20)),
        "y.csv": b"".join(b"%d.5\n" % i for i in range(20)),
    }.items():
        (folder / name).write_bytes(content)
    assert main(["parity", "--rows", "30", "--record", str(folder / "cpu.npz")]) == 0
    (folder / "cut.npz").write_bytes((folder / "cpu.npz").read_bytes()[:-40])
    return folder


FLOAT16 = "--reproducible --precision float16"
REFUSED = [
    # Images.
    ("evaluate nan.csv", 3, "nan.csv:6:101: "),
    ("predict cut.csv.gz", 3, "cut.csv.gz: damaged gzip"),
    ("evaluate bomb.gz", 3, "15,696"),
    ("predict labels.idx", 3, "labels?"),
    ("predict overflow.npz -o x.csv", 3, "overflow.npz: row 13 "),
    ("evaluate eight.npz", 3, "eight.npz: `images` must be rows of 784 values"),
    ("bench four.npz", 3, "must be rows of 784 values"),
    ("show four.npz --model 4-2.npz", 3, "four.npz: no pictures to show"),
    ("show --rows 101 -o x.png", 2, "at most 100"),
    ("show --rows=-1 --mistakes", 2, "at least 1"),
    ("train large.npz --standardize -o x.npz", 3, "large.npz: "),
    ("train pixels.npz -o x.npz", 3, "pixels.npz: "),
    ("train --float -o x.npz", 3, "leave out --label, --drop, --float"),
    # Labels.
    (
        "evaluate ten.csv",
        3,
        "ten.csv: `labels` must be classes of the network, 0 to 9; got '10' at",
    ),
    ("evaluate none.csv", 3, "none.csv:6:1: value must be an integer"),
    ("evaluate ten.csv --labels fewer.npz", 3, "15 labels"),
    ("evaluate ten.csv --labels eleven.npz", 3, "eleven.npz: `labels` must be classes"),
    ("show eleven.npz --mistakes", 3, "eleven.npz: `labels` must be classes"),
    ("train measured.csv --label y -o x.npz", 3, "measured.csv:2:2: "),
    ("train measured.npz -o x.npz", 3, "xpnet.MLPRegressor().fit(x, y)"),
    ("train images.npz --labels y.csv -o x.npz", 3, "y.csv:1:1: "),
    # Networks.
    ("evaluate --model ./random", 4, "random: the name of a file of weights must end in"),
    ("evaluate --model missing", 4, "missing: No such file or directory"),
    ("inspect bare.npz", 4, "activation"),
    ("inspect sample --activation relu", 4, "activation"),
    ("inspect sample --input-range 0..1", 2, "left out for a network with Scale"),
    ("evaluate --precision bfloat16", 2, "bfloat16"),
    ("evaluate --model huge.npz", 3, "sample: row "),
    ("predict --model huge.npz", 3, "layer 1"),
    ("evaluate --model huge.npz --device array-api-strict:device1", 3, "layer 1"),
    ("evaluate --model huge.npz --precision float16", 2, "float16"),
    (f"evaluate missing.csv {FLOAT16}", 2, "must be of float32 or float64; got float16"),
    (f"predict missing.csv {FLOAT16}", 2, "got float16"),  # before data are read
    ("predict --model half.npz --reproducible", 2, "got float16"),
    ("convert steps.npz x.onnx --uint8", 2, "the inputs of the network are no bytes"),
    ("convert 64-2.npz x.onnx --uint8 --input-range none", 2, "are no bytes"),
    ("convert sample x.npz --input-range 0..1", 2, "left out for a network with Scale"),
    ("convert log_sigmoid.npz x.onnx", 2, "no operator for"),
    ("train --activation log_sigmoid -o x.onnx", 2, "log_sigmoid"),  # before the first epoch
    # Options of one command.
    ("train --validation 0 --patience 2 -o x.npz", 2, "`patience` needs held-out images"),
    ("train --standardize --validation 2 -o x.npz", 2, "`validation` must be a share"),
    ("train --learning-rate 1e39 -o x.npz", 3, "diverged in epoch 1: a lower learning rate may"),
    ("bench --batch-sizes 9999999999", 2, "no batch of 9,999,999,999 images fits"),
    # Agreement.
    ("parity --rows 29 --check cpu.npz", 3, "cpu.npz: recorded with another input"),
    ("parity --rows 30 --check cpu.npz --reproducible", 3, "recorded without --reproducible"),
    ("parity --check cut.npz", 3, "cut.npz: "),
    ("parity --against missing.npz", 4, "missing.npz: No such file"),
    ("parity --against nine.npz", 4, "nine.npz: not the same network"),
    ("parity --reproducible --against half.npz", 2, "got float16"),
    (f"parity missing.csv {FLOAT16}", 2, "got float16"),
    ("parity missing.csv --devices cpu,gpu:x", 2, "got 'gpu:x'"),
    # Outputs, before anything is read.
    ("predict missing -o x.npz", 2, "-o must end in .csv; got 'x.npz'"),
    ("predict missing -o .", 3, ".: must be a file"),
    ("train missing -o x", 2, "must end in .safetensors, .npz, .onnx; got 'x'"),
    ("train missing -o x.npz --plot x.npz", 2, ".png, .svg, .pdf; got 'x.npz'"),
    ("convert missing x.pkl", 2, "must end in .safetensors, .npz, .onnx; got 'x.pkl'"),
    ("plot -o /dev/stdout", 2, ".png, .svg, .pdf; got '/dev/stdout'"),
    ("evaluate missing --plot=-", 2, ".png, .svg, .pdf; got '-'"),
    ("evaluate missing --plot nan.csv/x.png", 3, "cannot be written: no such folder"),
]


@pytest.mark.parametrize(("words", "code", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused(refused, folder, monkeypatch, *, words, code, text):
    if ".onnx" in words:
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    found, line = refused(*words.split())
    assert (found, text in line) == (code, True), line
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("words", "package"),
    [
        ("fetch mnist", "pooch"),
        ("evaluate picture.png", "Pillow"),
        ("plot step -o x.PNG", "matplotlib"),
        ("show -o x.PNG", "matplotlib"),
        ("evaluate --plot x.PNG", "matplotlib"),
        ("train -o x.npz --plot x.PNG", "matplotlib"),
    ],
)
def test_a_package_that_is_missing(refused, folder, monkeypatch, words, package):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XPNET_CACHE", "no-such-folder")
    monkeypatch.setitem(sys.modules, "PIL" if package == "Pillow" else package, None)
    code, line = refused(*words.split())
    assert (code, line.endswith(f": pip install {package}\n")) == (2, True)
    assert list(folder.glob("x.*")) == []


def test_what_is_not_refused(xpnet, folder, monkeypatch):
    """Labels that are not read, and float16 that is not computed in."""
    monkeypatch.chdir(folder)
    half = f"predict --rows 5 --model half.npz {FLOAT16.replace('16', '32')}"
    for words in ("predict ten.csv", "predict none.csv", half):
        assert xpnet(*words.split()).code == 0
