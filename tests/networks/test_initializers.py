"""Networks with random weights."""

import math

import numpy as np
import pytest

import xpnet


@pytest.mark.parametrize(
    ("scheme", "deviation"),
    [("normal", 0.01), ("xavier", math.sqrt(2 / 1200)), ("he", math.sqrt(2 / 800))],
)
def test_weights_have_the_standard_deviation_of_the_scheme(scheme, deviation):
    weight = xpnet.init_network([800, 400], scheme=scheme).layers[0].weight
    # 320,000 draws: the standard error of the deviation is 0.13%.
    assert np.std(weight) == pytest.approx(deviation, rel=0.01)
    assert np.mean(weight) == pytest.approx(0, abs=deviation / 100)


def weights(*sizes, **options):
    return [layer.weight for layer in xpnet.init_network(sizes, **options).layers]


@pytest.mark.parametrize("activation", ["relu", "gelu", "leaky_relu", "sigmoid", "tanh"])
def test_the_scheme_suits_the_activation(activation):
    scheme = "he" if "elu" in activation else "xavier"
    found, named = (weights(30, 20, activation=activation, scheme=x) for x in (None, scheme))
    np.testing.assert_array_equal(found, named)


def test_layers_and_classes():
    classes = np.asarray(list("abcdefghij"))
    network = xpnet.init_network([784, 50, 100, 10], classes=classes)
    assert network.classes == tuple("abcdefghij")
    assert [layer.weight.shape for layer in network.layers] == [(784, 50), (50, 100), (100, 10)]
    assert [layer.activation for layer in network.layers] == ["relu", "relu", "identity"]
    assert all(not layer.bias.any() for layer in network.layers)


def test_the_seed_determines_the_draws_which_a_dtype_rounds():
    (one,), (double,) = weights(3, 2), weights(3, 2, dtype="float64")
    np.testing.assert_array_equal(one, double.astype(np.float32), strict=True)
    assert not np.array_equal(one, weights(3, 2, seed=1)[0])
