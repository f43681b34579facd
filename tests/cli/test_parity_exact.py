"""``xpnet parity --against`` for exact ONNX files, and other commands with such a file."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Network, load, reproducible, save

pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("ndonnx", reason="ndonnx is not installed")

WORDS = ("parity", "--reproducible", "--rows", "50")


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture
def written(tmp_path):
    """Return a function that writes the exact file of a network."""

    def write(network, **options):
        path = tmp_path / "exact.onnx"
        save(reproducible(network), path, force=True, **options)
        return path

    return write


@pytest.mark.parametrize("options", [{}, {"input_dtype": "uint8"}])
def test_the_same_bits(xpnet, written, runtime, options):
    path = written(load("sample"), **options)
    result = xpnet("parity", "--reproducible", "--against", path, "--json")
    report = json.loads(result.out)
    assert (result.code, report["in_bound"], report["rows"]) == (0, True, 1000)
    found = report["candidates"][str(path)]
    assert [stage["name"] for stage in found["stages"]] == ["layer 3, identity"]
    assert found["stages"][0]["results"] == 10_000
    origin = {"device": "cpu", "library": "onnxruntime", "library_version": runtime.__version__}
    assert origin.items() <= found.items()
    text = xpnet("parity", "--reproducible", "--against", path).out
    assert f"\n{path} (onnxruntime {runtime.__version__}, " in text
    assert text.startswith("verdict  the same bits\n")


@pytest.mark.usefixtures("runtime")
def test_more_rows_than_one_chunk(xpnet, written, monkeypatch):
    monkeypatch.setattr("xpnet.parity.original_runtimes._ROWS_TOGETHER", 7)
    assert xpnet(*WORDS, "--against", written(load("sample"))).code == 0


@pytest.mark.usefixtures("runtime")
def test_another_network(xpnet, written):
    network = load("sample")
    *others, last = network.layers
    bias = last.bias + np.where(np.arange(10) == 4, np.float32(1e-3), np.float32(0.0))
    path = written(replace(network, layers=[*others, replace(last, bias=bias)]))
    result = xpnet(*WORDS, "--against", path)
    assert result.code == 1
    verdict = f"verdict  DIFFERENT BITS, first in layer 3, identity of {path}: row 0, unit 4: "
    assert result.out.startswith(verdict)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(("n_in", "n_out"), [(784, 9), (3, 10)])
def test_other_shapes(refused, written, n_in, n_out):
    network = Network([Dense(np.ones((n_in, n_out)), np.ones(n_out))])
    code, line = refused(*WORDS, "--against", written(network))
    assert code == 4
    assert "not the same network, or its inputs do not hold the numbers of the rows" in line
    assert line.endswith(", expected 784 inputs for uint8 and 10 outputs\n")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(("dtype", "number"), [("uint8", 99.5), ("float32", 99.1)])
def test_rows_that_the_file_does_not_take(refused, written, tmp_path, dtype, number):
    np.save(tmp_path / "rows.npy", np.full((3, 784), number))
    path = written(load("sample"), input_dtype=dtype)
    code, line = refused("parity", tmp_path / "rows.npy", "--reproducible", "--against", path)
    assert (code, "expected 784 inputs for float64 and 10 outputs" in line) == (4, True)


def test_without_reproducible(refused, written):
    code, line = refused("parity", "--rows", "5", "--against", written(load("sample")))
    assert code == 2
    assert "an exact ONNX file is compared to the bit: add --reproducible" in line


def test_without_onnx_runtime(refused, written, monkeypatch):
    path = written(load("sample"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, line = refused(*WORDS, "--against", path)
    assert code == 2
    assert line.endswith("run by the package onnxruntime: pip install onnxruntime\n")


@pytest.mark.parametrize("words", [("evaluate", "--model"), ("convert",)])
def test_commands_that_need_a_network(refused, written, tmp_path, words):
    path = written(load("sample"))
    target = [tmp_path / "out.npz"] * (words == ("convert",))
    code, line = refused(*words, path, *target)
    assert code == 4
    assert "load the file of the network instead" in line


def test_inspect(xpnet, written):
    result = xpnet("inspect", written(load("sample")))
    assert result.code == 0
    assert "metadata xpnet_hash     9189-73c3-8a45-d0ab\n" in result.out
