"""ONNX files: damage, unusual storage of values, metadata and notes."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import xpnet
from xpnet import Dense, Network, Scale
from xpnet.files.errors import DataWarning, WeightsError
from xpnet.formats.load_save import read_model
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.onnx import serialize
from xpnet.formats.onnx.parsing import METADATA_KEY

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

FIRST, LAST = "Gemm x W b -> h; ", "Gemm h V c -> y"
_draw = np.random.default_rng(0).standard_normal
GOOD = serialize(
    Network(
        [
            Dense(_draw((3, 4)).astype("f4"), _draw(4).astype("f4"), "relu"),
            Dense(_draw((4, 2)).astype("f4"), _draw(2).astype("f4"), "softmax"),
        ],
        preprocessing=Scale(1 / 255),
        output="probabilities",
        classes=["no", "yes"],
    )
)
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=150)


def test_the_good_file(opened):
    assert repr(opened(GOOD)).startswith("Network(3 -> 4 relu -> 2 softmax; Scale(")


@repeatable
@given(content=st.binary(max_size=200))
def test_any_bytes(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "bytes.onnx"
    path.write_bytes(b"\x08\x09" + content)
    with pytest.raises(WeightsError, match=r"bytes\.onnx: "):
        xpnet.load(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a file of weights that xpnet reads, found an empty file"),
        (b"a text", "not a file of weights that xpnet reads"),
        (b"\x08\x09", "ONNX without a graph"),
        (b"\x08\x09\x3a\x00", "ONNX without a graph"),
        (b"\x08\x09a text", "not valid ONNX, or truncated"),
        (GOOD.replace(b"relu_", b"rel\xff_"), "not valid ONNX, or truncated"),
    ],
)
def test_files_that_are_none(refusal, content, text):
    assert text in refusal(content)


def test_a_limit(opened, refusal):
    assert isinstance(opened(GOOD, max_bytes=len(GOOD)), Network)
    size = len(GOOD)
    text = f"ONNX files are too large, found {size:,} bytes, expected at most {size - 1:,}, --max"
    assert text in refusal(GOOD, max_bytes=len(GOOD) - 1)


@pytest.fixture
def tensor_of(model_of):
    """Return a valid model and its first weight, to be changed."""
    model = model_of(FIRST + LAST)
    return model, next(x for x in model.graph.initializer if x.name == "W")


def test_numbers_in_a_field_of_their_own(opened, tensor_of, numbers):
    model, tensor = tensor_of
    tensor.ClearField("raw_data")
    tensor.float_data.extend(numbers["W"].reshape(-1))
    assert np.array_equal(opened(model).layers[0].weight, numbers["W"].astype("f4"))


def test_numbers_in_a_node(opened, model_of, numbers):
    value = onnx.numpy_helper.from_array(numbers["W"].astype("f4"))
    model = model_of(
        "Constant(value_floats=[1.0, 2.0, 3.0, 4.0]) -> d; Constant(value_ints=[-1, 3]) -> to;"
        " Reshape x to -> r; Gemm r w d -> y"
    )
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=value))
    (layer,) = opened(model).layers
    assert np.array_equal(layer.weight, numbers["W"].astype("f4"))
    assert np.array_equal(layer.bias, [1, 2, 3, 4])


def test_numbers_that_are_listed_as_inputs(opened, model_of):
    model = model_of(FIRST + LAST)
    for tensor in model.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.insert(0, info)
    assert "Network(3 -> 4 identity -> 2 identity" in repr(opened(model))


@pytest.mark.parametrize(
    ("dims", "text"),
    [
        ([3, 5], "tensor 'W' must have 60 bytes; got 48"),
        ([1 << 40, 1 << 40], "tensor 'W' must have 4835703278458516698824704 bytes; got 48"),
        ([-3, -4], "tensor 'W' must have lengths of 0 and more; got [-3, -4]"),
        ([-1, 4], "tensor 'W' must have lengths of 0 and more; got [-1, 4]"),
        ([0, 4], "tensor 'W' must have 0 bytes; got 48"),
        ([12], "its weight must be a matrix; got the shape (12,)"),
        ([4, 3], "its weight for 4 values does not fit the shape of the input 'x'"),
        ([3, 4, 1], "its weight must be a matrix; got the shape (3, 4, 1)"),
        ([1] * 100 + [3, 4], "tensor 'W' must have values for the shape [1, 1, 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_lengths_that_do_not_fit(refusal, tensor_of, dims, text):
    model, tensor = tensor_of
    tensor.dims[:] = dims
    assert text in refusal(model)


def test_too_few_numbers_in_a_field_of_their_own(refusal, tensor_of):
    model, tensor = tensor_of
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0, 2.0])
    assert "tensor 'W' must have values for the shape [3, 4]" in refusal(model)


@pytest.mark.parametrize("kind", ["STRING", "COMPLEX64", "FLOAT8E5M2", "INT4", "UNDEFINED"])
def test_tensors_that_are_no_numbers(refusal, tensor_of, kind):
    model, tensor = tensor_of
    tensor.data_type = onnx.TensorProto.DataType.Value(kind)
    assert f"tensor 'W' must hold numbers; got type {kind}" in refusal(model)


def test_a_type_that_is_none(refusal, tensor_of):
    model, tensor = tensor_of
    tensor.data_type = 1000
    assert "tensor 'W' must hold numbers; got type 1000" in refusal(model)


@pytest.mark.parametrize("kind", ["STRING", "UNDEFINED", "COMPLEX64"])
def test_inputs_that_are_no_numbers(refusal, model_of, kind):
    model = model_of(FIRST + LAST)
    tensor_type = model.graph.input[0].type.tensor_type
    tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind)
    assert f"input 'x' must hold numbers; got type {kind}" in refusal(model)


def test_sparse_weights(refusal, model_of):
    model = model_of(FIRST + LAST)
    model.graph.sparse_initializer.add().values.name = "W"
    assert "ONNX must have dense weights; got sparse ones" in refusal(model)


def test_a_weight_that_is_given_twice(refusal, tensor_of):
    model, tensor = tensor_of
    model.graph.initializer.add().CopyFrom(tensor)
    assert "ONNX must produce each value once; got 'W' twice" in refusal(model)


@pytest.mark.parametrize(("name", "place"), [("W", "layers.0.weight"), ("c", "layers.1.bias")])
def test_numbers_that_are_not_finite(opened, model_of, numbers, name, place):
    damaged = numbers[name].astype("f4")
    for number in (np.nan, np.inf, -np.inf):
        damaged.flat[-1] = number
        model = model_of(FIRST + LAST, constants={name: damaged})
        assert f"{place} must be finite; got 1 values" in str(opened(model))
        assert isinstance(opened(model, allow_nonfinite=True), Network)


@pytest.mark.parametrize("factor", [1e30, 1e39])
def test_numbers_that_a_factor_makes_infinite(refusal, model_of, factor):
    constants = {"W": np.full((3, 4), 1e20, "f4")}
    model = model_of(f"Gemm(alpha={factor}) x W b -> y", constants=constants)
    assert "layers.0.weight must be finite; got 12 values" in refusal(model)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "xpnet's entry in the metadata must be of version 1"),
        ('{"version": 2}', "xpnet's entry in the metadata must be of version 1"),
        ('{"version": 1}', "KeyError: 'classes'"),
        ('{"version": 1, "classes": null}', "KeyError: 'output'"),
        ('{"version": 1, "classes": "ab", "output": "logits"}', "must be a list"),
        ('{"version": 1, "classes": {"a": 1}, "output": "logits"}', "must be a list"),
        ('{"version": 1, "classes": ["a"], "output": "logits"}', "must be 2 different names"),
        ('{"version": 1, "classes": null, "output": "words"}', "`output` must be one of "),
        ('{"version": 1, "classes": null, "output": []}', "`output` must be one of "),
        ("[" * 100_000, "invalid network"),
    ],
    ids=lambda value: value[:60],
)
def test_metadata_that_is_refused(refusal, text, said):
    model = onnx.ModelProto.FromString(GOOD)
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    entry.value = text
    assert said in refusal(model)


def test_metadata_that_is_there_twice(refusal):
    model = onnx.ModelProto.FromString(GOOD)
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    model.metadata_props.append(entry)
    assert f"ONNX must have one entry {METADATA_KEY!r} in the metadata; got 2" in refusal(model)


@pytest.fixture
def notes(tmp_path):
    """Return the notes on a model."""

    def go(model):
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return read_model(path, LoadOptions()).notes

    return go


def test_notes(notes, model_of):
    nodes = f"{FIRST}ArgMax(axis=1) h -> y"
    assert notes(model_of(nodes)) == ("the final ArgMax is omitted: the network returns its input",)
    assert notes(model_of(nodes, shape=(5, 3)))[0] == "the fixed batch of 5 is lifted"
    assert notes(model_of("Gemm x W b -> h", outputs="h")) == ()


def test_a_column_is_no_batch(notes, model_of):
    assert notes(model_of("3,1 | MatMul WT x -> y")) == ()


def test_a_note_of_labels_that_are_left_out(notes, model_of):
    model = model_of(f"outputs=h+label | {FIRST}TopK h int:1 -> values label")
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    text = "the output 'label' is omitted: it holds labels, not values"
    with pytest.warns(
        DataWarning, match=r"the labels are lost, .*: ONNX operator TopK \('values'\)"
    ):
        assert notes(model) == (text,)


def test_the_name_of_a_node_in_a_message(refusal, model_of):
    model = model_of("Conv x W -> y")
    model.graph.node[0].name = "a\nb\x1b" + "c" * 1000
    assert r"ONNX operator Conv ('a\nb\x1bccc" in refusal(model)


NETWORKS = [
    "ffnnSIGMOID__Point_6x200",
    "marabou_fc1",
    "marabou_fc2",
    "marabou_fc_2-2sigmoids-3",
    "marabou_gemm",
    "marabou_matmul",
    "mnist-net_256x2",
    "mnist2x10",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_others(shared_data, check_agreement, name):
    path = shared_data / "weights" / f"{name}.onnx"
    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    (given,) = [x for x in model.graph.input if x.name not in constants]
    dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
    if name == "marabou_fc2":  # flattens all rows to one
        dims[0] = 1
    check_agreement(xpnet.load(path), model, n_rows=dims[0] or 7, shape=dims[1:])
