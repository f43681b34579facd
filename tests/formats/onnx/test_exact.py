"""Exact ONNX files: inputs and outputs, metadata, and what is rejected."""

import sys

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, WeightsError, reproducible
from xpnet.formats.description import describe
from xpnet.formats.load_save import serialized

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("ndonnx", reason="ndonnx is not installed")


def network_of(activation="identity", options=None, *, bias=0.5, **meaning):
    layer = Dense([[1.0], [2.0], [3.0]], [bias], activation, options or {})
    return reproducible(Network([layer], **meaning))


@pytest.mark.parametrize(("dtype", "kind"), [(None, "float"), ("uint8", "uint8")])
def test_inputs_and_outputs(path, dtype, kind):
    network = xpnet.load("sample")
    xpnet.save(reproducible(network), path, input_dtype=dtype)
    model = onnx.load(path)
    ends = f"({kind}[batch,784] input) => (float[batch,10] logits)"
    assert ends in onnx.printer.to_text(model.graph)
    assert {x.key: x.value for x in model.metadata_props} == {"xpnet_exact": describe(network)}
    with pytest.raises(WeightsError, match=r"model\.onnx: .* exact forward pass"):
        xpnet.load(path)


DROPPED = {
    "1.000000001 .* 1.0": network_of("elu", {"alpha": 1.0 + 1e-9}),
    "1e-50 .* 0.0": network_of(bias=1e-50),
    "1e-60 .* 0.0": network_of(bias=0.0, preprocessing=Standardize(1e-60)),
    "0.999999999 .* 1.0": network_of(preprocessing=(Scale(1.0 - 1e-9), Standardize(1.0))),
}


@pytest.mark.parametrize("numbers", DROPPED)
def test_constants_that_onnx_runtime_drops(numbers, path):
    with pytest.raises(ValueError, match=numbers):
        xpnet.save(DROPPED[numbers], path)


OPTIONS = {"leaky_relu": ("negative_slope", 1e-20), "celu": ("alpha", 0.3), "elu": ("alpha", 0.3)}


@pytest.mark.parametrize("activation", OPTIONS)
def test_constants_that_onnx_runtime_keeps(activation, path, run):
    meaning = {"preprocessing": Standardize(1e-40, 1.0 + 1e-9), "output": "values"}
    network = network_of(activation, dict([OPTIONS[activation]]), bias=1e-40, **meaning)
    xpnet.save(network, path)
    assert onnx.load(path).graph.output[0].name == "values"
    rows = np.random.default_rng(0).standard_normal((1000, 3))
    assert run(path.read_bytes(), rows).tobytes() == network(rows).tobytes()


def test_parameters_of_another_library(path):
    network = network_of()
    assert serialized(network.to("array-api-strict"), path) == serialized(network, path)


def test_ndonnx_is_missing(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ndonnx", None)
    with pytest.raises(ModuleNotFoundError, match="pip install ndonnx"):
        xpnet.save(network_of(), path)
    xpnet.save(network_of().ordinary, path)


def test_other_dtypes_of_inputs(path):
    for dtype in ("complex64", "str", "longdouble"):
        with pytest.raises(TypeError, match="input_dtype"):
            xpnet.save(network_of(), path, input_dtype=dtype)
