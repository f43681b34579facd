"""Dense layers on every backend, and inputs of any number of axes."""

import numpy as np
import pytest

import xpnet


def book_layer(xp_backend, activation="sigmoid"):
    """Return the first layer of the book's worked example."""
    weight = xp_backend.asarray([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
    return xpnet.Dense(weight, xp_backend.asarray([0.1, 0.2, 0.3]), activation)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 2), (2, 3, 2), (0, 2), (0, 3, 2)])
def test_the_books_signals(xp_backend, shape):
    layer = book_layer(xp_backend)
    x = xp_backend.asarray(np.broadcast_to([1.0, 0.5], shape))
    a1, z1 = [0.3, 0.7, 1.1], [0.57444252, 0.66818777, 0.75026011]
    for function, signals in ((layer.linear, a1), (layer, z1), (xpnet.Network([layer]), z1)):
        found = xp_backend.check(function(x), dtype="float32", shape=(*shape[:-1], 3))
        np.testing.assert_allclose(found, np.broadcast_to(signals, found.shape), rtol=1e-6)


def test_inputs_are_cast_to_the_dtype_of_the_weight(xp_backend):
    layer = book_layer(xp_backend, "identity")
    x = xp_backend.asarray([[10, 5]], "uint8")
    for y in (layer(x), layer.linear(x)):
        values = xp_backend.check(y, dtype="float32", shape=(1, 3))
        np.testing.assert_allclose(values, [[2.1, 5.2, 8.3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("n_in", "x", "error", "word"),
    [
        (2, np.zeros((3, 2), complex), TypeError, "complex128"),
        (2, np.asarray([["a", "b"]]), TypeError, "<U1"),
        (2, "ab", TypeError, "`x`"),
        (2, np.zeros((3, 5)), ValueError, r"\(..., 2\); got \(3, 5\)$"),
        (2, np.float64(1), ValueError, r"got \(\)$"),
        (784, np.zeros((784, 5)), ValueError, r"got \(784, 5\)$"),
        # Other axes may be joined to one.
        (1, np.float64(1), ValueError, r"Reshape it to \(1,\)$"),
        (1, np.zeros(5), ValueError, r"to \(5, 1\)$"),
        (784, np.zeros((28, 28)), ValueError, r"to \(784,\)$"),
        (784, np.zeros((5, 28, 28)), ValueError, r"to \(5, 784\)$"),
        (784, np.zeros((5, 1, 28, 28)), ValueError, r"to \(5, 1, 784\)$"),
        (784, np.zeros((5, 28, 28, 1)), ValueError, r"to \(5, 784\)$"),
        (784, np.zeros((0, 28, 28)), ValueError, r"to \(0, 784\)$"),
    ],
    ids=range(13),
)
def test_inputs_that_do_not_fit(n_in, x, error, word):
    network = xpnet.init_network([n_in, 2])
    for function in (network, network.layers[0], network.layers[0].linear):
        with pytest.raises(error, match=word):
            function(x)


def test_another_library_is_rejected_with_the_remedy(xp_backend):
    network = xpnet.init_network([3, 2])
    x = xp_backend.asarray([[1.0, 2.0, 3.0]], "float32")
    for function in (network, network.layers[0]):
        if xp_backend.name == "numpy" or (xp_backend.name == "dask" and function is network):
            assert function(x).shape == (1, 2)
            continue
        remedy = r"; give xpnet\.Device\('cpu'\)\.asarray\(x\), or use network\.to\("
        with pytest.raises(TypeError, match=remedy):
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
        (([[1.0]], [1.0], "Sigmoid"), ValueError, "mean sigmoid"),
        (([[1.0]], [1.0], xpnet.relu), TypeError, "function"),
        (([[1.0]], [1.0], "elu", "alpha"), TypeError, "`options`"),
        (([[1.0]], [1.0], "elu", {"beta": 1.0}), ValueError, "beta"),
    ],
    ids=range(12),
)
def test_invalid_layers(arguments, error, word):
    with pytest.raises(error, match=word):
        xpnet.Dense(*arguments)


def test_a_list_as_bias_takes_the_library_and_dtype_of_the_weight(xp_backend):
    layer = xpnet.Dense(xp_backend.asarray(np.zeros((6, 2))), [1, 2.5], "relu")
    assert (layer.n_in, layer.n_out, repr(layer)) == (6, 2, "Dense(6 -> 2, relu)")
    bias = xp_backend.check(layer.bias, dtype="float32", shape=(2,))
    np.testing.assert_array_equal(bias, [1, 2.5])
    layer = xpnet.Dense([[1, 2]], [3, 4])
    assert (layer.weight.dtype, layer.bias.dtype) == (np.float64, np.float64)


def test_later_changes_of_arrays_have_no_effect(tmp_path):
    weight, bias, mean = (np.ones(n, "f4") for n in ((784, 3), 3, 784))
    view = weight[:]
    view.flags.writeable = False
    np.save(tmp_path / "weight.npy", weight)
    mapped = np.load(tmp_path / "weight.npy", mmap_mode="r")
    step = xpnet.Standardize(mean, 2.0)
    networks = [xpnet.Network([xpnet.Dense(x, bias)], step) for x in (weight, view, mapped)]
    x = np.full((2, 784), 3, "f4")
    for network in (*networks, networks[0].map_arrays(lambda x: x.__imul__(1))):  # copies, too
        before = network(x)
        weight[...], bias[...], mean[...] = 99, 99, 99
        np.load(tmp_path / "weight.npy", mmap_mode="r+")[...] = 99
        np.testing.assert_array_equal(network(x), before)
        layer = network.layers[0]
        for array in (layer.weight, layer.bias, network.preprocessing[0].mean):
            assert type(array) is np.ndarray
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


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
    given["alpha"] = 3.0
    assert layer.options == options
    assert repr(xpnet.Network([layer])) == f"Network(1 -> 2 {text}; logits; float64, numpy)"
    with pytest.raises(TypeError, match="assignment"):
        layer.options["alpha"] = 3.0
