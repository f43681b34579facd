"""Inputs of any number of axes: the shape that an error suggests."""

import re

import numpy as np
import pytest

import xpnet


@pytest.mark.parametrize(
    ("n_in", "shape", "suggested"),
    [
        (784, (28, 28), (784,)),
        (784, (5, 28, 28), (5, 784)),
        (784, (1, 28, 28), (1, 784)),
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
        name = xp_backend.xp.__name__.removeprefix("array_api_compat.")
        remedy = rf"; give numpy.asarray\(x\), or use network.map_arrays\({name}.asarray\)$"
        with pytest.raises(TypeError, match=f"^all arrays must belong to one library; .*{remedy}"):
            function(x)
