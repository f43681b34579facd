"""Networks with random weights."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.device_errors import DeviceError


@pytest.mark.parametrize(
    ("scheme", "deviation"),
    [("normal", 0.01), ("xavier", math.sqrt(2 / 1200)), ("he", math.sqrt(2 / 800))],
)
def test_weights_have_the_standard_deviation_of_the_scheme(scheme, deviation):
    weight = xpnet.init_network([800, 400], scheme=scheme).layers[0].weight
    # 320,000 draws: the standard error of the deviation is 0.13%.
    assert np.std(weight) == pytest.approx(deviation, rel=0.01)
    assert np.mean(weight) == pytest.approx(0, abs=deviation / 100)


@pytest.mark.parametrize("activation", ["relu", "gelu", "leaky_relu", "sigmoid", "tanh"])
def test_the_scheme_suits_the_activation(activation):
    scheme = "he" if "elu" in activation else "xavier"
    found, named = (
        xpnet.init_network([30, 20, 3], activation=activation, scheme=name)
        for name in (None, scheme)
    )
    for layer, other in zip(found.layers, named.layers, strict=True):
        np.testing.assert_array_equal(layer.weight, other.weight)


def test_layers_and_classes():
    classes = np.asarray(list("abcdefghij"))
    network = xpnet.init_network([784, 50, 100, 10], classes=classes)
    assert network.classes == tuple("abcdefghij")
    assert [layer.weight.shape for layer in network.layers] == [(784, 50), (50, 100), (100, 10)]
    assert [layer.activation for layer in network.layers] == ["relu", "relu", "identity"]
    assert all(not layer.bias.any() for layer in network.layers)
    assert network.dtype == np.float32


def test_the_seed_determines_the_draws_which_a_dtype_rounds():
    one, same, other, double = (
        xpnet.init_network([3, 2], seed=seed, dtype=dtype).layers[0].weight
        for seed, dtype in ((1, "float32"), (1, "float32"), (2, "float32"), (1, "float64"))
    )
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one, double.astype(np.float32))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        ([3], {}, ValueError, r"\[3\]"),
        ([3, 0], {}, ValueError, r"\[3, 0\]"),
        ([3, 2], {"scheme": "uniform"}, ValueError, "uniform"),
        ([3, 2], {"seed": -1}, ValueError, "`seed`"),
        ([3, 2], {"dtype": "int32"}, TypeError, "int32"),
        ([3, 2], {"activation": "swish"}, ValueError, "mean silu"),
        ([3, 2], {"activation": xpnet.relu}, TypeError, "name"),
        ([3, 2], {"classes": "abc"}, ValueError, "`classes`"),
        ([3, 2, 1], {"activation": "sine"}, ValueError, "sine"),
        ([3, 2], {"device": "gpu:x"}, ValueError, "gpu:x"),
    ],
)
def test_invalid_options(sizes, options, error, message):
    with pytest.raises(error, match=message):
        xpnet.init_network(sizes, **options)


@pytest.mark.usefixtures("no_gpu")
def test_a_missing_gpu_is_an_error():
    with pytest.raises(DeviceError):
        xpnet.init_network([3, 2], device="gpu")


@pytest.mark.gpu
def test_the_same_bits_on_a_gpu(gpu):
    host, device = (xpnet.init_network([3, 2], device=word) for word in ("cpu", gpu))
    assert device.library == "cupy"
    np.testing.assert_array_equal(device.to("cpu").layers[0].weight, host.layers[0].weight)
