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

COMPLETE = [".safetensors", ".npz"]  # formats that store every network
ONNX_ACTIVATIONS = sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, *GATES.values()})
DTYPES = ["float16", "float32", "float64"]
VECTOR = np.asarray([1.5, 0.1, 3.0])
WHITEN = Whiten(VECTOR[::-1], [[1.0, 2.0, 0.0], [0.1, -1.0, 3.0], [0.0, 0.5, 1.0]])


def make(dtype="float32", activation="relu", **meaning):
    """Return a network of two layers, 3 -> 4 -> 2."""
    draw = np.random.default_rng(0).standard_normal
    first = Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), activation)
    return Network([first, Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype))], **meaning)


def contents(network):
    """Return all facts and bits of a network."""
    layers = [(x.activation, dict(x.options), bits(x.weight), bits(x.bias)) for x in network.layers]
    steps = [
        (type(x), [(type(y), bits(y)) for y in vars(x).values()]) for x in network.preprocessing
    ]
    return layers, steps, network.output, network.classes, network.metadata


def bits(x):
    return np.asarray(x).dtype, np.shape(x), np.asarray(x).tobytes()


@pytest.fixture(params=[*COMPLETE, ".onnx"])
def suffix(request):
    if request.param == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    return str(request.param)


@pytest.fixture
def path(tmp_path, suffix):
    return tmp_path / f"model{suffix}"


@pytest.fixture
def reread(path):
    """Write a network and read it."""

    def go(network):
        save(network, path, force=True)
        return load(path)

    return go


def test_every_activation(reread, suffix, subtests):
    names = ONNX_ACTIVATIONS if suffix == ".onnx" else sorted(ACTIVATIONS)
    options = [("elu", {"alpha": 0.3}), ("elu", {"alpha": 1e6}), ("gelu", {"approximate": "tanh"})]
    options += [("leaky_relu", {"negative_slope": number}) for number in (0.2, 0.0)]
    options += [] if suffix == ".onnx" else [("celu", {"alpha": 1 / 3})]
    for activation, numbers in [*((name, {}) for name in names), *options]:
        with subtests.test(activation=activation, numbers=str(numbers)):
            network = Network([Dense([[1.0]], [0.5], activation, numbers)]).astype("float32")
            assert contents(reread(network)) == contents(network)


STEPS = [
    (),
    Scale(1 / 255),
    Standardize(0.5, 2.0),
    Standardize(VECTOR, VECTOR),
    Standardize(0.1, VECTOR),
    (Scale(0.5), Standardize(VECTOR, 2.0), Scale(-4.0)),
    (Standardize(VECTOR), WHITEN, Scale(2.0)),
    (WHITEN, Standardize(VECTOR, 2.0), WHITEN),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_preprocessing(reread, dtype, subtests):
    for steps in STEPS:
        with subtests.test(str(steps)):
            network = make(dtype, preprocessing=steps)
            found = reread(network)
            assert contents(found) == contents(network)
            rows = np.random.default_rng(0).integers(0, 256, (9, 3))
            assert found(rows).tobytes() == network(rows).tobytes()


@pytest.mark.parametrize(
    "meaning",
    [{"output": "probabilities"}, {"output": "values"}, {"classes": [7, -1]}, {"classes": [0, "1"]},
     {"classes": ["", "\N{SNOWMAN}\n\"'"]},
     {"metadata": {"input_range": "0..255", "": "\N{SNOWMAN}\n"}}],
    ids=ascii,
)  # fmt: skip
def test_what_the_numbers_mean(reread, suffix, meaning):
    network = make(**meaning)
    assert contents(reread(network)) == contents(network)
    assert serialized(network, f"a{suffix}") == serialized(network, f"b{suffix}")
    assert serialized(network, f"a{suffix}") != serialized(make(), f"a{suffix}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_unusual_numbers(reread, dtype):
    limits = np.finfo(dtype)
    numbers = [-0.0, limits.smallest_subnormal, -limits.tiny, limits.max, limits.min, limits.eps]
    network = Network([Dense(np.asarray([numbers], dtype), np.asarray(numbers, dtype))])
    assert contents(reread(network)) == contents(network)


def test_orders_of_memory(reread):
    weight = np.asfortranarray(np.arange(24.0).reshape(4, 6))[::2, ::-1]
    (found,) = reread(Network([Dense(weight, np.zeros(12)[::2])])).layers
    np.testing.assert_array_equal(found.weight, weight, strict=True)
    assert not found.weight.flags.writeable


def test_all_libraries_give_the_same_bytes(suffix, xp_backend):
    network = make()
    pairs = [map(xp_backend.asarray, (layer.weight, layer.bias)) for layer in network.layers]
    other = Network([Dense(*pairs[0], "relu"), Dense(*pairs[1])])
    assert serialized(other, f"a{suffix}") == serialized(network, f"a{suffix}")


@st.composite
def networks(draw, activations, smallest=0.0):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    width = dtype.itemsize * 8
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)
    divisors = st.floats(0.125, 8.0, width=width)
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers = [
        Dense(
            draw(arrays(dtype, shape, elements=values)),
            draw(arrays(dtype, shape[1], elements=values)),
            draw(st.sampled_from(activations)),
        )
        for shape in pairwise(widths)
    ]
    factors = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0)
    if smallest:  # ONNX holds factors in the dtype of the parameters
        factors = st.floats(smallest, 1.0)
    vector = arrays(dtype, widths[0], elements=values)
    divisor = divisors | arrays(dtype, widths[0], elements=divisors)
    matrix = arrays(dtype, (widths[0], widths[0]), elements=values)
    step = st.builds(Scale, factors) | st.builds(Standardize, values | vector, divisor)
    step |= st.builds(Whiten, vector, matrix)
    output = draw(st.sampled_from(["logits", "probabilities", "values"]))
    classes = None
    if output != "values" and draw(st.booleans()):
        n_classes = max(widths[-1], 2)
        names = st.text() | st.integers()
        classes = draw(st.lists(names, min_size=n_classes, max_size=n_classes, unique_by=str))
    preprocessing = draw(st.lists(step, max_size=3))
    return Network(layers, preprocessing=preprocessing, output=output, classes=classes)


ANY = settings(derandomize=True, deadline=None, database=None, max_examples=75)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["any.safetensors", "any.npz"])
@ANY
@given(network=networks(sorted(ACTIVATIONS)))
def test_any_network(network, name, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    save(network, path, force=True)
    found = load(path)
    assert contents(found) == contents(network)
    assert serialized(found, name) == path.read_bytes()


@pytest.mark.slow
@ANY
@given(network=networks([x for x in ONNX_ACTIVATIONS if x != "celu"], 1e-4))  # float32 alone
def test_any_network_that_onnx_holds(network, tmp_path_factory):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    save(network, path, force=True)
    assert contents(load(path)) == contents(network)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nonfinite_parameters_are_not_written(path, number):
    layer = Dense(np.full((1, 1), number, "f4"), np.zeros(1, "f4"))
    with pytest.raises(ValueError, match=r"layers\.0\.weight"):
        save(Network([layer]), path)
    assert list(path.parent.iterdir()) == []


def test_own_files_are_complete(path):
    save(make(), path)
    assert read_model(path)[1]
    with pytest.raises(WeightsError, match="activation"):
        load(path, activation="relu")
