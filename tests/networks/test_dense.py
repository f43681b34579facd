"""Dense layers on every backend, and inputs of any number of axes."""

import copy
import pickle
import re

import numpy as np
import pytest

import xpnet

CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]]
GATES = {
    "and": ([0.5, 0.5], -0.7, [0, 0, 0, 1]),
    "or": ([0.5, 0.5], -0.2, [0, 1, 1, 1]),
    "nand": ([-0.5, -0.5], 0.7, [1, 1, 1, 0]),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_perceptron_is_a_gate_and_three_are_exclusive_or(xp_backend, gate):
    weight, bias, expected = GATES[gate]
    layer = xpnet.Dense(
        xp_backend.asarray(np.reshape(weight, (2, 1))), xp_backend.asarray([bias]), "step"
    )
    y = xpnet.forward(xpnet.Network([layer]), xp_backend.asarray(CORNERS))
    values = xp_backend.check(y, dtype="float32", shape=(4, 1))
    np.testing.assert_array_equal(values[:, 0], expected)
    hidden = xpnet.Dense(
        xp_backend.asarray([[0.5, -0.5], [0.5, -0.5]]), xp_backend.asarray([-0.2, 0.7]), "step"
    )  # OR and NAND
    if gate == "and":
        y = xpnet.Network([hidden, layer])(xp_backend.asarray(CORNERS))
        assert xp_backend.check(y, dtype="float32", shape=(4, 1))[:, 0].tolist() == [0, 1, 1, 0]


def book_layer(xp_backend, activation="sigmoid"):
    """Return the first layer of the book's worked example."""
    weight = xp_backend.asarray([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
    return xpnet.Dense(weight, xp_backend.asarray([0.1, 0.2, 0.3]), activation)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 2), (2, 3, 2), (0, 2)])
def test_the_books_signals(xp_backend, shape):
    layer = book_layer(xp_backend)
    x = xp_backend.asarray(np.broadcast_to([1.0, 0.5], shape))
    expected = (*shape[:-1], 3)
    a1 = xp_backend.check(layer.linear(x), dtype="float32", shape=expected)
    z1 = xp_backend.check(layer(x), dtype="float32", shape=expected)
    np.testing.assert_allclose(a1, np.broadcast_to([0.3, 0.7, 1.1], expected), rtol=1e-6)
    values = [0.57444252, 0.66818777, 0.75026011]
    np.testing.assert_allclose(z1, np.broadcast_to(values, expected), rtol=1e-6)


def test_inputs_are_cast_to_the_dtype_of_the_weight(xp_backend):
    layer = book_layer(xp_backend, "identity")
    x = xp_backend.asarray([[10, 5]], "uint8")
    for y in (layer(x), layer.linear(x)):
        values = xp_backend.check(y, dtype="float32", shape=(1, 3))
        np.testing.assert_allclose(values, [[2.1, 5.2, 8.3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((3, 5)), ValueError, r"\(..., 2\); got \(3, 5\)"),
        (np.float64(1), ValueError, r"\(\)"),
        (np.zeros((3, 2), complex), TypeError, "complex128"),
        (np.asarray([["a", "b"]]), TypeError, "<U1"),
        ("ab", TypeError, "`x`"),
    ],
)
def test_inputs_that_do_not_fit(x, error, message):
    layer = xpnet.Dense([[1.0], [2.0]], [0.5], "relu")
    for function in (layer, layer.linear, xpnet.Network([layer])):
        with pytest.raises(error, match=message):
            function(x)


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        (([1.0], [1.0]), ValueError, r"`weight` .*\(n_in, n_out\)"),
        ((np.zeros((0, 2)), [0, 0]), ValueError, r"\(0, 2\)"),
        (([[1.0, 2.0]], [1.0]), ValueError, r"\(2,\); got \(1,\).*transposed"),
        (([[1.0, 2.0]], [1.0] * 3), ValueError, r"\(3,\)$"),
        (([[1.0]], 1.0), ValueError, r"`bias` .*\(1,\); got \(\)"),
        (([[1j]], [1.0]), TypeError, "`weight`"),
        (([[1.0]], np.float32([1])), TypeError, "float64; got float32"),
        (("W1", [1.0]), TypeError, "`weight`"),
        (([[1.0]], [1.0], "qqq"), ValueError, "known are"),
        (([[1.0]], [1.0], "Sigmoid"), ValueError, "mean sigmoid"),
        (([[1.0]], [1.0], xpnet.relu), TypeError, "function"),
    ],
    ids=range(11),
)
def test_invalid_layers(arguments, error, word):
    with pytest.raises(error, match=word):
        xpnet.Dense(*arguments)


def test_properties_and_lists(xp_backend):
    layer = xpnet.Dense(xp_backend.asarray(np.zeros((6, 2))), [1, 2.5], "relu")
    assert (layer.n_in, layer.n_out, repr(layer)) == (6, 2, "Dense(6 -> 2, relu)")
    bias = xp_backend.check(layer.bias, dtype="float32", shape=(2,))
    np.testing.assert_array_equal(bias, [1, 2.5])
    layer = xpnet.Dense([[1, 2]], [3, 4])
    assert (layer.weight.dtype, layer.bias.dtype) == (np.float64, np.float64)


def test_later_changes_of_arrays_have_no_effect(tmp_path):
    weight, bias = np.ones((784, 3), "f4"), np.ones(3, "f4")
    view = weight[:]
    view.flags.writeable = False
    np.save(tmp_path / "weight.npy", weight)
    mapped = np.load(tmp_path / "weight.npy", mmap_mode="r")
    networks = [xpnet.Network([xpnet.Dense(x, bias)]) for x in (weight, view, mapped)]
    x = np.ones((2, 784), "f4")
    for network in (*networks, networks[0].map_arrays(lambda x: x.__imul__(1))):  # copies, too
        before = network(x)
        weight[...], bias[...] = 99, 99
        np.load(tmp_path / "weight.npy", mmap_mode="r+")[...] = 99
        np.testing.assert_array_equal(network(x), before)
        for array in (network.layers[0].weight, network.layers[0].bias):
            assert type(array) is np.ndarray
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_torch_gets_copies_without_a_warning():
    torch = pytest.importorskip("torch")
    network = xpnet.init_network([784, 10], preprocessing=xpnet.Standardize(np.ones(784), 2.0))
    x, there = np.ones((2, 784), "f4"), network.map_arrays(torch.from_numpy)
    before = network(x)
    for y in (there.layers[0].weight, there.layers[0].bias, there.preprocessing[0].mean):
        y.zero_()
    np.testing.assert_array_equal(network(x), before)


@pytest.mark.parametrize(
    ("activation", "given", "options", "text"),
    [
        ("linear", {}, {}, "linear"),
        ("elu", {}, {"alpha": 1.0}, "elu(alpha=1.0)"),
        ("elu", {"alpha": 2}, {"alpha": 2.0}, "elu(alpha=2.0)"),
        ("gelu", {"approximate": "tanh"}, {"approximate": "tanh"}, "gelu(approximate=tanh)"),
    ],
)
def test_options_are_kept_with_the_defaults(activation, given, options, text):
    layer = xpnet.Dense([[1.0, 2.0]], [0.0, 0.0], activation, given)
    assert layer.options == options
    assert repr(layer) == f"Dense(1 -> 2, {text})"
    network = xpnet.Network([layer])
    assert repr(network) == f"Network(1 -> 2 {text}; logits; float64, numpy)"


def test_options_cannot_be_changed():
    given = {"alpha": 2.0}
    layer = xpnet.Dense([[1.0]], [0.0], "elu", given)
    given["alpha"] = 3.0
    assert layer.options == {"alpha": 2.0}
    with pytest.raises(TypeError, match="assignment"):
        layer.options["alpha"] = 3.0
    with pytest.raises(AttributeError, match="options"):
        layer.options = {}


@pytest.mark.parametrize("activation", ["relu", "elu"])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_a_layer_can_be_copied(activation, copied):
    layer = xpnet.Dense([[1.0]], [0.5], activation)
    other = copied(layer)
    assert (other.activation, other.options) == (activation, layer.options)
    np.testing.assert_array_equal(other.weight, layer.weight)


@pytest.mark.parametrize(
    ("n_in", "shape", "suggested"),
    [
        (784, (28, 28), (784,)),
        (784, (5, 28, 28), (5, 784)),
        (784, (5, 1, 28, 28), (5, 1, 784)),
        (784, (5, 28, 28, 1), (5, 784)),
        (784, (0, 28, 28), (0, 784)),
        (1, (5,), (5, 1)),
        (1, (), (1,)),
        (784, (783,), None),
        (784, (5, 28, 27), None),
        (784, (784, 5), None),
        (784, (), None),
    ],
)
def test_axes_that_hold_a_row_are_to_be_joined(n_in, shape, suggested):
    network = xpnet.init_network([n_in, 2])
    text = f"`x` must have the shape (..., {n_in}); got {shape}"
    if suggested is not None:
        text += f". Reshape it to {suggested}"
        assert network(np.zeros(shape).reshape(suggested)).shape == (*suggested[:-1], 2)
    for function in (network, network.layers[0], network.layers[0].linear):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            function(np.zeros(shape))


def test_another_library_is_rejected_with_the_remedy(xp_backend):
    network = xpnet.init_network([3, 2])
    x = xp_backend.asarray([[1.0, 2.0, 3.0]], "float32")
    converted = network.map_arrays(xp_backend.asarray)
    assert converted(x).shape == (1, 2)
    for function in (network, network.layers[0]):
        if xp_backend.name == "numpy" or (xp_backend.name == "dask" and function is network):
            assert function(x).shape == (1, 2)
            continue
        remedy = r"; give xpnet\.Device\('cpu'\)\.asarray\(x\), or use network\.to\(\.\.\.\)$"
        with pytest.raises(TypeError, match=f"^all arrays must belong to one library; .*{remedy}"):
            function(x)
