"""Exact ONNX files: inputs and outputs, metadata, and what is rejected."""

import hashlib
import sys

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, WeightsError, reproducible, result_hash
from xpnet.formats.load_save import summarize
from xpnet.formats.model_file import LoadOptions

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("ndonnx", reason="ndonnx is not installed")

ROWS = np.arange(12.0).reshape(4, 3) - 5.0


def network_of(activation="identity", options=None, *, bias=0.5, dtype="float64", **meaning):
    weight = np.asarray([[1.0], [2.0], [3.0]], dtype)
    layer = Dense(weight, np.full(1, bias, dtype), activation, options or {})
    return reproducible(Network([layer], **meaning))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "exact.onnx"


def metadata_of(path):
    return summarize(path, LoadOptions())["metadata"]


@pytest.mark.parametrize(("dtype", "kind"), [(None, "FLOAT"), ("uint8", "UINT8")])
def test_inputs_and_outputs(path, dtype, kind):
    xpnet.save(reproducible(xpnet.load("sample")), path, input_dtype=dtype)
    facts = summarize(path, LoadOptions())
    assert facts["inputs"] == [["input", ["batch", 784]]]
    assert facts["outputs"] == [["logits", ["batch", 10]]]
    assert (facts["format"], facts["producer"]) == ("ONNX", "xpnet")
    model = onnx.load(path)
    types = [x.type.tensor_type.elem_type for x in (*model.graph.input, *model.graph.output)]
    assert types == [onnx.TensorProto.DataType.Value(name) for name in (kind, "FLOAT")]
    assert "rounded as in IEEE 754" in model.doc_string


def test_the_name_of_the_output(path):
    xpnet.save(network_of(output="values"), path)
    assert summarize(path, LoadOptions())["outputs"] == [["values", ["batch", 1]]]


def test_the_hash_of_the_digits(path):
    network = xpnet.load("sample")
    xpnet.save(reproducible(network), path, input_dtype="uint8")
    found = metadata_of(path)
    assert found["xpnet_hash"] == result_hash(network, xpnet.sample()[0])
    assert "1000 rows of uint8, the digits of xpnet.sample()" in found["xpnet_hash_of"]
    assert '"step": "scale"' in found["xpnet_exact"]


def test_the_text_tells_how_to_compute_the_hash(path, run):
    xpnet.save(network_of(), path, rows=ROWS)
    found = metadata_of(path)
    (outputs,) = run(path.read_bytes(), ROWS)

    def digits(x, line):
        assert x.dtype == "<f8"
        text = hashlib.sha256(x.tobytes() + f"{line}\n".encode()).hexdigest()
        return "-".join(text[i : i + 4] for i in range(0, 16, 4))

    assert found["xpnet_hash"] == digits(outputs, "float64 4 x 1")
    assert found["xpnet_hash_of"] == (
        "The first 16 hexadecimal digits of the SHA-256 of the outputs, row by row as little-endian"
        " float64, and of the line 'float64 4 x 1' with a line feed. The inputs are 4 rows of"
        " float64, the author's rows: their hash by the same rule is"
        f" {digits(ROWS, 'float64 4 x 3')}."
    )


def test_many_rows_are_hashed_in_parts(path):
    rows = np.arange(7500, dtype="uint8").reshape(2500, 3)
    xpnet.save(network_of(), path, rows=rows, input_dtype="uint8")
    assert metadata_of(path)["xpnet_hash"] == result_hash(network_of(), rows)


def test_rows_are_hashed_instead_of_the_digits(path):
    network, images = xpnet.load("sample"), xpnet.sample()[0][:7]
    xpnet.save(reproducible(network), path, rows=images)
    assert metadata_of(path)["xpnet_hash"] == result_hash(network, images)
    assert "7 rows of float32, the author's rows" in metadata_of(path)["xpnet_hash_of"]


def test_no_hash_without_rows(path):
    xpnet.save(network_of(), path)
    assert list(metadata_of(path)) == ["xpnet_exact"]


@pytest.mark.parametrize(
    ("rows", "dtype"), [(ROWS, "uint8"), (ROWS + 0.1, "float32"), (ROWS * 1e300, "float32")]
)
def test_rows_that_the_inputs_do_not_hold(path, rows, dtype):
    with pytest.raises(
        ValueError, match=f"^`rows` must be numbers that {dtype} holds, the dtype of the"
    ):
        xpnet.save(network_of(), path, rows=rows, input_dtype=dtype)
    assert not path.exists()


@pytest.mark.parametrize(
    ("network", "name", "message"),
    [
        (network_of().ordinary, "x.onnx", "^`rows` are for a reproducible network, whose file"),
        (network_of(), "x.npz", "^`rows` is for ONNX: `path` must end in .onnx; got .*x.npz'$"),
    ],
)
@pytest.mark.filterwarnings("ignore:a .npz file does not keep")
def test_rows_for_other_files(network, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        xpnet.save(network, tmp_path / name, rows=ROWS)


@pytest.mark.parametrize(
    ("network", "numbers", "size"),
    [
        (network_of("elu", {"alpha": 1.0 + 1e-9}), ("1.000000001", "1.0"), 1.0),
        (network_of(bias=1e-50), ("1e-50", "0.0"), 1e-40),
        (network_of(bias=0.0, preprocessing=Standardize(1e-60)), ("1e-60", "0.0"), 1e-59),
        (
            network_of(preprocessing=(Scale(1.0 - 1e-9), Standardize(1.0))),
            ("0.999999999", "1.0"),
            1.0,
        ),
    ],
    ids=["option", "bias", "mean", "factor"],
)
def test_constants_that_onnx_runtime_drops(network, numbers, size, path, *, run, monkeypatch):
    number, taken = numbers
    message = f"^ONNX Runtime would take the number {number} of the network for {taken}: save"
    with pytest.raises(ValueError, match=message):
        xpnet.save(network, path)
    monkeypatch.setattr("xpnet.formats.onnx.exact._check_constants", lambda *_: None)
    xpnet.save(network, path)
    rows = np.random.default_rng(0).standard_normal((1000, 3)) * size
    assert run(path.read_bytes(), rows)[0].tobytes() != network(rows).tobytes()


def test_constants_that_onnx_runtime_keeps(path, run):
    steps = Standardize(1e-40, 1.0 + 1e-9)
    network = network_of("leaky_relu", {"negative_slope": 1e-20}, bias=1e-40, preprocessing=steps)
    xpnet.save(network, path)
    rows = np.random.default_rng(0).standard_normal((1000, 3))
    assert run(path.read_bytes(), rows)[0].tobytes() == network(rows).tobytes()


def test_parameters_of_another_library(path):
    network = reproducible(xpnet.load("sample", device="array-api-strict"))
    xpnet.save(network, path)
    xpnet.save(reproducible(xpnet.load("sample")), path.with_name("numpy.onnx"))
    assert metadata_of(path) == metadata_of(path.with_name("numpy.onnx"))


def test_load_rejects_it(path):
    xpnet.save(network_of(), path)
    message = (
        "no network can be read from the ONNX file of an exact forward pass, load the file of the"
    )
    with pytest.raises(WeightsError, match=message) as caught:
        xpnet.load(path)
    assert caught.value.file == str(path)


def test_ndonnx_is_missing(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ndonnx", None)
    message = "^exact ONNX files need the package ndonnx: pip install ndonnx$"
    with pytest.raises(ModuleNotFoundError, match=message):
        xpnet.save(network_of(), path)
    xpnet.save(network_of().ordinary, path)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (4, 2), ()])
def test_rows_of_another_shape(shape, path):
    with pytest.raises(ValueError, match=r"^`rows` must be one or more rows of 3 values; got the "):
        xpnet.save(network_of(), path, rows=np.ones(shape))


def test_rows_that_float64_rounds(path):
    with pytest.raises(ValueError, match=r"^`rows` must be numbers that float64 holds"):
        xpnet.save(network_of(), path, rows=np.full((1, 3), 2**63 - 1))


@pytest.mark.parametrize("dtype", ["complex64", "str", "longdouble"])
def test_other_dtypes_of_inputs(dtype, path):
    with pytest.raises(TypeError, match=r"^`input_dtype` must be a boolean, integer or floating"):
        xpnet.save(network_of(), path, input_dtype=dtype)


def test_inputs_that_hold_no_digits(path):
    xpnet.save(reproducible(xpnet.load("sample")), path, input_dtype="int8")
    assert list(metadata_of(path)) == ["xpnet_exact"]


@pytest.mark.parametrize(
    ("activation", "option"),
    [("celu", "alpha"), ("elu", "alpha"), ("leaky_relu", "negative_slope")],
)
def test_options_in_a_layer_of_one_unit(activation, option, path, run):
    network = network_of(activation, {option: 0.3})
    xpnet.save(network, path)
    assert run(path.read_bytes(), ROWS)[0].tobytes() == network(ROWS).tobytes()
