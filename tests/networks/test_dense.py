"""A layer, on every backend."""

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
def test_a_perceptron_is_a_gate(backend, gate):
    weight, bias, expected = GATES[gate]
    layer = xpnet.Dense(
        backend.asarray(np.reshape(weight, (2, 1))), backend.asarray([bias]), "step"
    )
    y = xpnet.forward(xpnet.Network([layer]), backend.asarray(CORNERS))
    values = backend.check(y, dtype="float32", shape=(4, 1))
    np.testing.assert_array_equal(values[:, 0], expected)


@pytest.mark.parametrize(
    ("weight", "bias", "activation", "error", "message"),
    [
        ([1.0], [1.0], "relu", ValueError, r"`weight` must have the shape \(n_in, n_out\)"),
        (np.zeros((0, 2)), [0, 0], "relu", ValueError, r"got \(0, 2\)"),
        ([[1.0, 2.0]], [1.0], "relu", ValueError, r"`bias` must have the shape \(2,\); got \(1,\)"),
        ([[1.0]], 1.0, "relu", ValueError, r"`bias` must have the shape \(1,\); got \(\)"),
        ([[1.0]], [1.0], "swish_1", ValueError, "`activation` must be one of .*got 'swish_1'"),
        ([[1j]], [1.0], "relu", TypeError, "`weight` must hold real numbers"),
        ([[1.0]], np.float32([1]), "relu", TypeError, "dtype of the weight, float64; got float32"),
        ("W1", [1.0], "relu", TypeError, "`weight` must be an array"),
    ],
)
def test_layers_that_are_none(weight, bias, activation, error, message):
    with pytest.raises(error, match=message):
        xpnet.Dense(weight, bias, activation)


def test_what_a_layer_says_of_itself(backend):
    layer = xpnet.Dense(backend.asarray(np.zeros((6, 5))), backend.asarray(np.zeros(5)), "relu")
    assert (layer.n_in, layer.n_out) == (6, 5)
    assert repr(layer) == "Dense(6 -> 5, relu)"


def test_nested_lists_become_numpy():
    layer = xpnet.Dense([[1, 2]], [3, 4])
    assert (layer.weight.dtype, layer.bias.dtype) == (np.float64, np.float64)


def test_a_list_as_bias_takes_after_the_weight(backend):
    layer = xpnet.Dense(backend.asarray(np.zeros((2, 2))), [1, 2.5])
    np.testing.assert_array_equal(backend.check(layer.bias, dtype="float32", shape=(2,)), [1, 2.5])
