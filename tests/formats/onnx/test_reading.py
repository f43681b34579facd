"""ONNX files: damage, places of values, labels, and files of xpnet itself."""

import json
import os

import numpy as np
import pytest

import xpnet
from xpnet import DataWarning, Dense, Network, Scale, WeightsError
from xpnet.formats.onnx import serialize

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

TWO_LAYERS = "Gemm x W b -> h; Gemm h V c -> y"
_draw = np.random.default_rng(0).standard_normal
LAYERS = [Dense(_draw((3, 4)), _draw(4), "relu"), Dense(_draw((4, 2)), _draw(2), "softmax")]
MEANING = Scale(1 / 255), "probabilities", ["no", "yes"], {"author": "me"}
NETWORK = Network(LAYERS, *MEANING).astype("float32")
GOOD = serialize(NETWORK)


def test_files_that_are_none(error):
    without_graph, empty_graph = b"\x08\x09", b"\x08\x09\x3a\0"
    damaged = GOOD[:-9], GOOD.replace(b"Relu", b"R\xff\n.")
    for content in (without_graph, empty_graph, *damaged):
        assert "ONNX" in error(content)


def test_a_name_is_escaped(error, model_of):
    model = model_of("Conv x W -> y")
    model.graph.node[0].name = "a\nb\x1b"
    assert r"Conv ('a\nb\x1b')" in error(model)


CONSTANTS = "Constant(value_floats=[1.0, 2.0, 3.0, 4.0]) -> d; Constant(value_ints=[-1, 3]) -> to"


def test_numbers_in_a_node(opened, model_of, numbers):
    value = onnx.numpy_helper.from_array(numbers["W"].astype("f4"))
    model = model_of(f"{CONSTANTS}; Reshape x to -> r; Gemm r w d -> y")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=value))
    (layer,) = opened(model).layers
    assert np.array_equal(layer.weight, numbers["W"].astype("f4"))
    assert np.array_equal(layer.bias, [1, 2, 3, 4])


def test_numbers_that_are_listed_as_inputs(opened, model_of):
    model = model_of(TWO_LAYERS)
    for tensor in model.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.insert(0, info)
    assert opened(model).n_out == 2


def test_tensors_that_do_not_fit(error, model_of):
    model = model_of(TWO_LAYERS)
    tensor = next(x for x in model.graph.initializer if x.name == "W")
    for dims in ([3, 5], [12], [4, 3]):
        tensor.dims[:] = dims
        error(model)
    tensor.dims[:] = [3, 4]
    for kind in (1000, 0, 8, 14, 19, 22):  # unknown, or strings, COMPLEX64, FLOAT8E5M2, INT4
        tensor.data_type = kind
        error(model)


@pytest.fixture
def external(tmp_path, model_of, numbers):
    """Read a model in the folder "own" that has its first weight, of 48 bytes, in another file."""
    own = tmp_path / "own"
    (own / "in").mkdir(parents=True)
    for path in (own / "w.bin", own / "in" / "w.bin", tmp_path / "secret.bin"):
        path.write_bytes(b"12345678" + numbers["W"].astype("<f4").tobytes())
    (own / "link.bin").symlink_to(tmp_path / "secret.bin")
    (own / "link").symlink_to(tmp_path)
    os.link(tmp_path / "secret.bin", own / "hard.bin")

    def go(**entries):
        model = model_of("Gemm x W b -> y")
        tensor = next(x for x in model.graph.initializer if x.name == "W")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": "w.bin", "offset": "8", **entries}.items():
            tensor.external_data.add(key=key, value=value.format(folder=own))
        (own / "model.onnx").write_bytes(model.SerializeToString())
        return xpnet.load(own / "model.onnx")

    return go


def test_weights_in_another_file(external, numbers):
    for location in ("w.bin", "in/w.bin"):
        weight = external(location=location).layers[0].weight
        assert np.array_equal(weight, numbers["W"].astype("f4"))


OUTSIDE = ["../secret.bin", "in/../../secret.bin", "{folder}/w.bin", "link.bin", "link/secret.bin"]
OTHERS = [{"offset": "9"}, {"offset": "-8"}, {"offset": "eight"}, {"length": str(1 << 62)}]
OTHERS += [{"location": x} for x in (*OUTSIDE, "hard.bin", "missing.bin", "in", "")]


@pytest.mark.parametrize("entries", OTHERS, ids=str)
def test_weights_that_onnx_does_not_read(external, entries):
    with pytest.raises(WeightsError, match=r"model\.onnx: "):
        external(**entries)


# As skl2onnx has an MLPClassifier behind a StandardScaler.
CLASSIFIER = (
    "outputs=label+y | ai.onnx.ml:Scaler(offset=[0.5, 1.0, -2.0], scale=[0.3, 4.0, 0.1]) x -> s;"
    " Cast(to=1) s -> f; MatMul f W -> m; Add m b -> h; Softmax h -> y; ArgMax(axis=1) y -> a;"
    " ai.onnx.ml:ArrayFeatureExtractor classes a -> names; Reshape names int:-1 -> label"
)


def test_labels_are_not_read(opened, model_of, check_agreement):
    model = model_of(CLASSIFIER, constants={"classes": np.asarray([3, 5, 7, 9])})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.warns(DataWarning, match="label"):
        network = opened(model)
    assert "4 softmax; Standardize(3 means, 3 scales); probabilities" in repr(network)
    model.graph.output.reverse()
    check_agreement(network, model)


def assert_same(network):
    x = _draw((5, 3)).astype("f4")
    assert (network.classes, network.metadata) == (NETWORK.classes, NETWORK.metadata)
    np.testing.assert_allclose(network(x), NETWORK(x), rtol=1e-5)


CHANGES = [
    {"activations": ["tanh", "softmax"]},
    {"activations": ["relu", "identity"]},
    {"preprocessing": []},
    {"preprocessing": [{"step": "standardize", "mean": 0.0, "scale": 2.0}]},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_graph_counts_if_the_description_is_another(opened, change):
    model = onnx.ModelProto.FromString(GOOD)
    (entry,) = model.metadata_props
    entry.value = json.dumps({**json.loads(entry.value), **change})
    assert_same(opened(model))


def test_the_graph_counts_if_its_constants_were_renamed(opened):
    model = onnx.ModelProto.FromString(GOOD)
    for x in model.graph.initializer:
        x.name = f"renamed.{x.name}"
    for node in model.graph.node:
        node.input[1:] = [f"renamed.{name}" for name in node.input[1:]]
    assert_same(opened(model))


def test_an_own_file_without_its_metadata(opened):
    model = onnx.ModelProto.FromString(serialize(NETWORK, input_dtype="uint8"))
    del model.metadata_props[:]
    network = opened(model)
    assert network.layers[0].weight.tobytes() == NETWORK.layers[0].weight.tobytes()
    assert network.metadata == {"input_range": "0..255"}


REFUSED = """{
[1]
{"version": 2}
{"version": 1, "classes": "ab", "output": "logits"}
{"version": 1, "classes": ["a"], "output": "logits"}
{"version": 1, "classes": null, "output": "words"}"""


def test_metadata_that_are_refused(error):
    model = onnx.ModelProto.FromString(GOOD)
    for text in REFUSED.splitlines():
        model.metadata_props[0].value = text
        error(model)
