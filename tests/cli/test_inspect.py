"""``xpnet inspect``: summaries of files of weights."""

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


def test_many_arrays_are_counted(xpnet, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **{f"a{i}": np.zeros(2) for i in range(50)})
    assert xpnet("inspect", path).out.endswith("  ... and 10 more arrays\n")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "an empty file"),
        (b"label,pixel0,pixel1\n7,0,9\n", "xpnet show DATA"),
        (b"\x93NUMPY", "xpnet show DATA"),
        (b"\0\0\x08\x03", "xpnet show DATA"),
        (b"PK\x03\x04" + bytes(40), "corrupt or truncated npz"),
        (b"\x10" + bytes(7) + b"{", "not valid safetensors"),
    ],
    ids=str,
)
def test_files_without_weights(refused, tmp_path, content, text):
    path = tmp_path / "x"
    path.write_bytes(content)
    code, line = refused("inspect", path)
    assert (code, text in line) == (4, True)


def test_images_are_shown_by_another_command(refused, tmp_path):
    for name in ("mnist", tmp_path):
        code, line = refused("inspect", name)
        assert (code, f"xpnet show {name}" in line) == (4, True)
