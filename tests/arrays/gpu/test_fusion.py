"""Kernels that CuPy generates for bias and activation, without a GPU.

The real CuPy traces CuPy arrays over host memory. `test_kernels.py` compiles the kernels, and
compares their results with true values.
"""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.gpu.fusion import with_bias
from xpnet.functions.activations import ACTIVATIONS


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_activation_is_traced(traced, case, dtype):
    name, options = case
    y, bias = np.zeros((2, 3), dtype), np.zeros(3, dtype)
    kernel = traced(ACTIVATIONS[name].prepared(np, y.dtype, **options), y, bias)
    assert [parameter.dtype for parameter in kernel.params[:3]] == [y.dtype] * 3


def test_the_activation_of_the_sum(on_cupy):
    from array_api_compat import cupy as xp

    y, bias = np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([0.5, -3.0])
    fused = with_bias(lambda x, _: x * x, on_cupy(bias), xp)
    add_and_activate = fused.__closure__[1].cell_contents.func  # which CuPy traces
    assert add_and_activate(y, bias).tolist() == [[2.25, 1.0], [12.25, 1.0]]


def fused_biases(on_cupy, activation):
    """Return the biases that a network adds inside of its activations' kernels."""
    network = xpnet.init_network([4, 3, 2], activation=activation).map_arrays(on_cupy)
    return [layer.stage.fused_bias for layer in network.layers]


@pytest.mark.parametrize(("activation", "is_fused"), [("sigmoid", True), ("softmax", False)])
def test_a_network_on_cupy_adds_the_bias_in_the_kernel(on_cupy, activation, is_fused):
    biases = fused_biases(on_cupy, activation)
    assert [bias is not None for bias in biases] == [is_fused, True]


def test_numpy_does_not_fuse():
    assert with_bias(lambda x, xp: xp.tanh(x), np.zeros(3), np) is None
