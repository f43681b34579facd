"""``xpnet parity --against`` for ONNX files, and other commands with an exact one."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Network, load, reproducible, save

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
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
def test_another_network(xpnet, written):
    network = load("sample")
    *others, last = network.layers
    bias = last.bias + np.where(np.arange(10) == 4, np.float32(1e-3), np.float32(0.0))
    path = written(replace(network, layers=[*others, replace(last, bias=bias)]))
    result = xpnet(*WORDS, "--against", path)
    assert result.code == 1
    verdict = f"verdict  DIFFERENT BITS, first in layer 3, identity of {path}: "
    assert result.out.startswith(verdict)
    assert "row 0, unit 4" in result.out


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(("n_in", "n_out"), [(784, 9), (3, 10)])
def test_other_shapes(refused, written, n_in, n_out):
    path = written(Network([Dense(np.ones((n_in, n_out)), np.ones(n_out))]))
    code, line = refused(*WORDS, "--against", path)
    assert (code, str(path) in line) == (4, True)


@pytest.mark.usefixtures("runtime")
def test_rows_that_the_file_does_not_take(refused, written, tmp_path):
    np.save(tmp_path / "rows.npy", np.full((3, 784), 99.5))
    path = written(load("sample"), input_dtype="uint8")
    code, line = refused("parity", tmp_path / "rows.npy", "--reproducible", "--against", path)
    assert (code, "uint8" in line) == (4, True)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("bytes_of", ["0..1", "0.1307,0.3081", "0..255"])
def test_the_original_and_what_convert_writes_are_in_bound(xpnet, tmp_path, bytes_of):
    original, target = tmp_path / "original.onnx", tmp_path / "out.npz"
    save(replace(load("sample"), preprocessing=(), metadata={}), original)
    model = onnx.load(original)
    del model.metadata_props[:]  # as if another program had written it
    onnx.save(model, original)
    assert xpnet("convert", original, target, "--input-range", bytes_of).code == 0
    words = ("parity", "--model", original, "--input-range", bytes_of, "--json")
    words += ("--against", target, "--against", original)
    result = xpnet(*words)
    candidates = json.loads(result.out)["candidates"]
    assert (result.code, list(candidates)) == (0, ["cpu", str(target), str(original)])
    assert candidates[str(original)]["library"] == "onnxruntime"
    assert xpnet("parity", "--model", target, "--against", original).code == 0
    network = load(target)
    bias = network.layers[2].bias + np.float32(1e-3)
    layers = (*network.layers[:2], replace(network.layers[2], bias=bias))
    save(replace(network, layers=layers), target, force=True)
    assert xpnet("parity", "--model", target, "--against", original).code == 1


def test_without_onnx_runtime(refused, written, monkeypatch):
    path = written(load("sample"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, line = refused(*WORDS, "--against", path)
    assert code == 2
    assert line.endswith("pip install onnxruntime\n")


@pytest.mark.parametrize("words", [("evaluate", "--model"), ("convert",), ("inspect",)])
def test_commands_that_need_a_network(refused, written, tmp_path, words):
    path = written(load("sample"))
    target = [tmp_path / "out.npz"] * (words == ("convert",))
    code, line = refused(*words, path, *target)
    assert code == 4
    assert "load the file of the network" in line
