"""Tests of the parameters as one vector."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.training.parameters import (
    flatten_parameters,
    unflatten_parameters,
    weight_mask,
    with_parameters,
)


def host_network(dtype="float32"):
    return xpnet.init_network([3, 4, 2], scheme="he", dtype=dtype, preprocessing=xpnet.Scale(0.5))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_there_and_back(xp_backend, dtype):
    host = host_network(dtype)
    network = host.map_arrays(lambda x: xp_backend.asarray(x, dtype))
    vector = flatten_parameters(network)
    wide = "float64" if dtype == "float64" else "float32"
    values = xp_backend.check(vector, dtype=wide, shape=(3 * 4 + 4 + 4 * 2 + 2,))
    parts = [p.reshape(-1) for layer in host.layers for p in (layer.weight, layer.bias)]
    np.testing.assert_array_equal(values, np.concatenate(parts))
    back = with_parameters(network, vector, xp_backend.xp)
    assert (back.preprocessing, back.output) == (network.preprocessing, network.output)
    for old, new in zip(host.layers, back.layers, strict=True):
        assert new.activation == old.activation
        for name in ("weight", "bias"):
            x = getattr(old, name)
            found = xp_backend.check(getattr(new, name), dtype=dtype, shape=x.shape)
            np.testing.assert_array_equal(found, x)


def test_where_the_weights_are(xp_backend):
    network = host_network().map_arrays(xp_backend.asarray)
    mask = weight_mask(network, flatten_parameters(network), xp_backend.xp)
    values = xp_backend.check(mask, dtype="float32", shape=(26,))
    np.testing.assert_array_equal(values, [1] * 12 + [0] * 4 + [1] * 8 + [0] * 2)


def test_the_vector_is_a_copy():
    network = host_network()
    before = network.layers[0].weight.copy()
    vector = flatten_parameters(network)
    vector += 1.0
    np.testing.assert_array_equal(network.layers[0].weight, before)


def test_the_vector_belongs_to_no_graph():
    torch = pytest.importorskip("torch", reason="only torch has a graph")
    layer = xpnet.Dense(torch.ones(2, 3, requires_grad=True), torch.zeros(3, requires_grad=True))
    vector = flatten_parameters(xpnet.Network([layer]))
    assert not vector.requires_grad
    vector += 1.0
    assert float(layer.weight.detach().max()) == 1.0


def test_bfloat16_is_updated_in_float32():
    torch = pytest.importorskip("torch", reason="only torch has bfloat16 to train in")
    layer = xpnet.Dense(torch.ones(2, 3, dtype=torch.bfloat16), torch.zeros(3).bfloat16())
    network = xpnet.Network([layer])
    vector = flatten_parameters(network)
    assert vector.dtype == torch.float32
    ((weight, bias),) = unflatten_parameters(network, vector + 2.0**-12, array_namespace(vector))
    assert weight.dtype == bias.dtype == torch.bfloat16
    np.testing.assert_array_equal(weight.float().numpy(), 1.0)  # the update is below its precision
