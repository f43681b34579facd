"""``xpnet parity --against`` for ONNX files, and other commands with an exact one."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Network, load, reproducible, save

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("ndonnx", reason="ndonnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Go into an empty folder."""
    monkeypatch.chdir(tmp_path)


def with_bias(network, error):
    *others, last = network.layers
    bias = last.bias + np.where(np.arange(10) == 4, np.float32(error), np.float32(0.0))
    return replace(network, layers=[*others, replace(last, bias=bias)])


@pytest.mark.parametrize("options", [{}, {"input_dtype": "uint8"}], ids=["numbers", "bytes"])
def test_the_exact_file_has_the_same_bits(xpnet, options):
    save(reproducible(load("sample")), "exact.onnx", **options)
    save(reproducible(with_bias(load("sample"), 1e-6)), "other.onnx", **options)
    words = ("parity", "--reproducible", "--against", "exact.onnx")
    report = json.loads(xpnet(*words, "--json").out)
    found = report["candidates"]["exact.onnx"]
    assert (report["in_bound"], report["rows"]) == (True, 1000)
    assert [(x["name"], x["n_results"]) for x in found["stages"]] == [("layer 3, identity", 10_000)]
    assert (found["library"], found["library_version"]) == ("onnxruntime", runtime.__version__)
    result = xpnet(*words, "--against", "other.onnx")
    assert result.code == 1
    verdict = "verdict  DIFFERENT BITS, first in layer 3, identity of other.onnx: "
    assert result.out.startswith(f"{verdict}other bits, first in row 0, unit 4 ")
    assert f"\nexact.onnx (onnxruntime {runtime.__version__}, " in result.out


@pytest.mark.parametrize("bytes_of", ["0..1", "0.1307,0.3081", "0..255"])
def test_the_original_and_what_convert_writes_are_in_bound(xpnet, bytes_of):
    save(replace(load("sample"), preprocessing=(), metadata={}), "original.onnx")
    model = onnx.load("original.onnx")
    del model.metadata_props[:]  # as if another program had written it
    onnx.save(model, "original.onnx")
    assert xpnet("convert", "original.onnx", "out.npz", "--input-range", bytes_of).code == 0
    words = ("--model", "original.onnx", "--input-range", bytes_of, "--against", "out.npz")
    result = xpnet("parity", *words, "--against", "original.onnx", "--json")
    found = json.loads(result.out)["candidates"]
    libraries = {name: candidate["library"] for name, candidate in found.items()}
    assert libraries == {"cpu": "numpy", "out.npz": "numpy", "original.onnx": "onnxruntime"}
    assert result.code == 0
    words = ("parity", "--model", "out.npz", "--against", "original.onnx")
    assert xpnet(*words).code == 0
    save(with_bias(load("out.npz"), 1e-3), "out.npz", force=True)
    assert xpnet(*words).code == 1


def test_onnx_runtime_may_round_functions_as_if_results_were_near_1(xpnet):
    np.save("rows.npy", np.linspace(-60, 20, 4001, dtype="f4")[:, None])
    save(Network([Dense(np.eye(1, dtype="f4"), [0.0], "gelu")], None, "values"), "model.onnx")
    result = xpnet("parity", "rows.npy", "--model", "model.onnx", "--against", "model.onnx")
    assert result.code == 0


def test_errors(refused, monkeypatch):
    save(reproducible(load("sample")), "exact.onnx", input_dtype="uint8")
    save(reproducible(Network([Dense(np.ones((784, 9)), np.ones(9))])), "nine.onnx")
    for words, code, text in (
        ("parity --reproducible --against nine.onnx", 4, "nine.onnx: refused by ONNX Runtime: "),
        ("evaluate --model exact.onnx", 4, "load the file of the network"),
        ("convert exact.onnx out.npz", 4, "load the file of the network"),
    ):
        found, line = refused(*words.split())
        assert (found, text in line) == (code, True), line
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found, line = refused("parity", "--rows", "5", "--against", "exact.onnx")
    assert (found, line.endswith("pip install onnxruntime\n")) == (2, True)
