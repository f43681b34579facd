"""A saved network comes back with all its facts and bits, in every format."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from xpnet import Dense, Network, Scale, Standardize, WeightsError, Whiten, load, save
from xpnet.formats.load_save import read_model, serialized
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS, GATES
from xpnet.functions.activations import ACTIVATIONS

ONNX_ACTIVATIONS = sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, *GATES.values()})
ONES = np.ones((3, 4), np.float32)
NETWORK = Network([Dense(ONES, ONES[0], "relu"), Dense(ONES.T, ONES[0, :3])])


def contents(network):
    """Return all facts and bits of a network."""
    layers = [(x.activation, dict(x.options), bits(x.weight), bits(x.bias)) for x in network.layers]
    steps = [
        (type(x), *((type(y), bits(y)) for y in vars(x).values())) for x in network.preprocessing
    ]
    return layers, steps, network.output, network.classes, network.metadata


def bits(x):
    return np.asarray(x).dtype, np.shape(x), np.asarray(x).tobytes()


@pytest.fixture(scope="module", params=[".safetensors", ".npz", ".onnx"])
def suffix(request):
    if request.param == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    return str(request.param)


@pytest.fixture
def path(tmp_path, suffix):
    return tmp_path / f"model{suffix}"


def test_every_activation(path, suffix, subtests):
    names = ONNX_ACTIVATIONS if suffix == ".onnx" else sorted(ACTIVATIONS)
    options = [("elu", {"alpha": 0.3}), ("elu", {"alpha": 1e6}), ("gelu", {"approximate": "tanh"})]
    options += [("leaky_relu", {"negative_slope": number}) for number in (0.2, 0.0)]
    options += [] if suffix == ".onnx" else [("celu", {"alpha": 1 / 3})]
    for activation, numbers in [(name, {}) for name in names] + options:
        with subtests.test(activation=activation, numbers=str(numbers)):
            network = Network([Dense([[1.0]], [0.5], activation, numbers)]).astype("float32")
            save(network, path, force=True)
            assert contents(load(path)) == contents(network)


def test_ten_layers_and_more(path):
    network = Network([Dense([[1.0]], [float(i)]) for i in range(11)])
    save(network, path)
    assert contents(load(path)) == contents(network)


@st.composite
def networks(draw, suffix):
    dtype = np.dtype(draw(st.sampled_from(["float16", "float32", "float64"])))
    width = dtype.itemsize * 8
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)
    activations, factors = sorted(ACTIVATIONS), values.filter(lambda x: x != 0)
    if suffix == ".onnx":  # holds celu in float32, and factors in the dtype of the parameters
        activations, factors = [x for x in ONNX_ACTIVATIONS if x != "celu"], st.floats(1e-4, 1.0)
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    array = lambda *shape: arrays(dtype, shape, elements=values)
    layers = [
        Dense(*map(draw, (array(n_in, n_out), array(n_out), st.sampled_from(activations))))
        for n_in, n_out in pairwise(widths)
    ]
    n_in, n_classes = widths[0], max(widths[-1], 2)
    divisors = st.floats(0.125, 8.0, width=width)
    divisor = divisors | arrays(dtype, n_in, elements=divisors)
    step = st.builds(Scale, factors) | st.builds(Standardize, values | array(n_in), divisor)
    step |= st.builds(Whiten, array(n_in), array(n_in, n_in))
    output = draw(st.sampled_from(["logits", "probabilities", "values"]))
    count = {"min_size": n_classes, "max_size": n_classes}
    names = st.lists(st.text() | st.integers(), **count, unique_by=str)
    classes = None if output == "values" else draw(st.none() | names)
    metadata = draw(st.dictionaries(st.text(), st.text(), max_size=2))
    metadata.pop("inputs", None)  # has a rule
    return Network(layers, draw(st.lists(step, max_size=3)), output, classes, metadata)


@settings(derandomize=True, deadline=None, database=None, max_examples=40)
@given(drawn=st.data())
def test_any_network(drawn, suffix, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    network = drawn.draw(networks(suffix))
    save(network, path, force=True)
    found = load(path)
    assert contents(found) == contents(network)
    assert serialized(found, path) == path.read_bytes()


def test_orders_of_memory(path):
    weight = np.asfortranarray(np.arange(24.0).reshape(4, 6))[::2, ::-1]
    save(Network([Dense(weight, np.zeros(12)[::2])]), path)
    (found,) = load(path).layers
    np.testing.assert_array_equal(found.weight, weight, strict=True)
    assert not found.weight.flags.writeable


def test_all_libraries_give_the_same_bytes(suffix, xp_backend):
    pairs = [map(xp_backend.asarray, (layer.weight, layer.bias)) for layer in NETWORK.layers]
    other = Network([Dense(*pairs[0], "relu"), Dense(*pairs[1])])
    assert serialized(other, f"a{suffix}") == serialized(NETWORK, f"b{suffix}")


def test_own_files_are_complete(path):
    save(NETWORK, path)
    assert read_model(path)[1]
    with pytest.raises(WeightsError, match="activation"):
        load(path, activation="relu")
