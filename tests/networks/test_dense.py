"""Dense layers: the parameters that they keep."""

import numpy as np
import pytest

import xpnet


def test_inputs_are_cast_to_the_dtype_of_the_weight(xp_backend):
    weight = xp_backend.asarray([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
    layer = xpnet.Dense(weight, xp_backend.asarray([0.1, 0.2, 0.3]))
    for function in (layer, layer.linear):
        y = function(xp_backend.asarray([[10, 5]], "uint8"))
        values = xp_backend.check(y, dtype="float32", shape=(1, 3))
        np.testing.assert_allclose(values, [[2.1, 5.2, 8.3]], rtol=1e-6)


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
