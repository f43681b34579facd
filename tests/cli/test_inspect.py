"""``xpnet inspect``: summaries of files of weights and images."""

import gzip
import json

import numpy as np
import pytest

from xpnet import load, save


def test_npz_of_weights(xpnet, tmp_path):
    path = tmp_path / "x.npz"
    save(load("sample"), path)
    found = json.loads(xpnet("inspect", path, "--json").out)
    assert ["W1", "float32", [784, 50]] in found["arrays"]
    assert found["bytes"] == path.stat().st_size


def test_onnx(xpnet, tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "x.onnx"
    save(load("sample"), path)
    lines = xpnet("inspect", path).out.splitlines()
    assert "inputs          input (batch x 784)" in lines
    assert "operators       Mul 1, Gemm 3, Sigmoid 2" in lines
    assert "  layers.2.weight  FLOAT  100 x 10" in lines


def test_long_columns_are_not_read(xpnet, tmp_path):
    path = tmp_path / "x.npy.gz"
    with gzip.open(path, "wb", 1) as file:
        np.save(file, np.zeros((700_000, 2, 3), order="F"))
    out = xpnet("inspect", path).out
    assert "images  700,000\nshape   2 x 3\ndtype   float64\nrange   not read" in out


def test_how_much_is_held_at_once_is_limited(xpnet, refused, tmp_path):
    path = tmp_path / "x.npz.gz"
    np.savez(tmp_path / "x.npz", images=np.zeros((50, 2, 3), np.uint8))
    path.write_bytes(gzip.compress((tmp_path / "x.npz").read_bytes()))
    code, line = refused("inspect", path, "--max-data-bytes", "300")
    assert (code, "expected at most 300, --max-data-bytes" in line) == (3, True)
    assert "images  50\n" in xpnet("inspect", path, "--max-data-bytes", "3000").out


def test_many_arrays_are_counted(xpnet, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **{f"a{i}": np.zeros(2) for i in range(50)})
    assert xpnet("inspect", path).out.endswith("  ... and 10 more arrays\n")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "file is empty"),
        (b"%PDF-1.7", "it is PDF; save its pages as PNG"),
        (b"PK\x03\x04" + bytes(40), "corrupt or truncated npz"),
        (b"\x10" + bytes(7) + b"{", "not valid safetensors"),
    ],
    ids=str,
)
def test_files_that_are_nothing(refused, tmp_path, content, text):
    path = tmp_path / "x"
    path.write_bytes(content)
    code, line = refused("inspect", path)
    assert code in {3, 4}
    assert text in line
