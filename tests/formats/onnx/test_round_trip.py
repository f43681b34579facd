"""From a network to ONNX and back: the same network."""

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.formats.load_save import read_model
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.onnx import serialize
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS
from xpnet.networks.preprocessing import arrays_of

pytest.importorskip("onnx", reason="the package onnx is not installed")

VECTOR = np.asarray([1.5, 0.1, 3.0], np.float32)
WHITEN = Whiten(VECTOR[::-1], np.asarray([[1, 2, 0], [0.1, -1, 3], [0, 0.5, 1]], np.float32))


def make(activation="relu", options=None, dtype="float32", **meaning):
    """Return a network of two layers, 3 -> 4 -> 2."""
    draw = np.random.default_rng(0).standard_normal
    first = Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), activation, options or {})
    return Network([first, Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype))], **meaning)


@pytest.fixture
def reread(tmp_path):
    """Write a network and read it."""

    def go(network):
        path = tmp_path / "model.onnx"
        xpnet.save(network, path, force=True)
        return xpnet.load(path)

    return go


def contents(network):
    """Return all that must survive of the layers, bit by bit."""
    return [
        (layer.activation_text, layer.weight.dtype, layer.weight.tobytes(), layer.bias.tobytes())
        for layer in network.layers
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_identical_bits(reread, dtype):
    network = make(dtype=dtype)
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize("activation", sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, "silu"}))
def test_every_activation(reread, activation):
    network = make(activation)
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize("activation", ["silu", "softmax", "relu6", "identity", "mish"])
def test_an_activation_at_the_end(reread, activation):
    network = Network([Dense([[0.5, 2.0]], [0.25, -1.0], activation)])
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("celu", {"alpha": 0.1}),
        ("elu", {"alpha": 0.3}),
        ("gelu", {"approximate": "tanh"}),
        ("hard_shrink", {"threshold": 0.7}),
        ("leaky_relu", {"negative_slope": 0.2}),
        ("soft_shrink", {"threshold": 0.1}),
        ("threshold", {"threshold": -0.7}),
    ],
)
def test_options(reread, activation, options):
    network = make(activation, options)
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize(
    "steps",
    [
        [Scale(1 / 256)],
        [Standardize(0.5, 2.0)],
        [Standardize(VECTOR, VECTOR)],
        [Standardize(VECTOR)],
        [Standardize(0.0, VECTOR)],
        [Standardize(0.5, VECTOR)],
        [Scale(0.5), Standardize(VECTOR, 2.0), Scale(-4.0)],
        [WHITEN],
        [Scale(0.5), WHITEN],
        [Standardize(VECTOR), WHITEN, Scale(2.0)],
        [WHITEN, Standardize(VECTOR, 2.0), WHITEN],
    ],
    ids=str,
)
def test_preprocessing(reread, steps):
    network = make(preprocessing=steps)
    again = reread(network)
    assert repr(again) == repr(network)
    for before, after in zip(network.preprocessing, again.preprocessing, strict=True):
        for name, array in arrays_of(before).items():
            assert np.array_equal(array, arrays_of(after)[name])
    x = np.random.default_rng(1).standard_normal((20, 3)).astype(np.float32)
    assert np.array_equal(again(x), network(x))


def test_a_single_input_that_is_whitened(reread):
    step = Whiten(np.float32([0.3]), np.float32([[2.0]]))
    again = reread(Network([Dense(np.float32([[0.5, 2.0]]), np.float32([0.25, -1.0]))], step))
    (found,) = again.preprocessing
    assert (found.mean.tolist(), found.matrix.tolist()) == (step.mean.tolist(), [[2.0]])


@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_what_the_outputs_mean(reread, output):
    assert reread(make(output=output)).output == output


@pytest.mark.parametrize("classes", [None, ["no", "yes"], [7, -3], ["ä\n", "\N{SNOWMAN}"]])
def test_classes(reread, classes):
    network = make(classes=classes)
    assert reread(network).classes == network.classes


def test_the_same_bytes_again(reread):
    network = make("gelu", preprocessing=Standardize(VECTOR, 2.0), classes=["a", "b"])
    assert serialize(reread(network)) == serialize(network)


def test_bytes_as_inputs(tmp_path):
    network = xpnet.load("sample")
    path = tmp_path / "model.onnx"
    path.write_bytes(serialize(network, input_dtype="uint8"))
    again = xpnet.load(path)
    assert contents(again) == contents(network)
    x = np.random.default_rng(1).integers(0, 256, (50, 784)).astype(np.uint8)
    assert np.array_equal(again(x), network(x))


def test_xpnet_knows_its_own_files(tmp_path):
    path = tmp_path / "model.onnx"
    xpnet.save(make(), path)
    found = read_model(path, LoadOptions())
    assert (found.format, found.is_own, found.notes) == ("ONNX", True, ())
