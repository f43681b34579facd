"""ONNX graph of a reproducible network: the exact forward pass, in float64.

The library ndonnx records the operations by which the network computes with arrays of any library.
NumPy cuts the weights first, so the graph contains their slices.
"""

import warnings
from importlib import import_module
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.files.optional import import_optional
from xpnet.formats.description import describe
from xpnet.formats.onnx.writing import EXACT_KEY, onnx_library
from xpnet.functions.exact_functions import ExactNamespace
from xpnet.networks.network import Network

__all__ = ["serialize"]

# ONNX Runtime rounds constants to float32, and then drops sums with 0 and products with 1.
_DROPPED = {"Add": (0.0, 1e-45), "Sub": (0.0, 1e-45), "Mul": (1.0, 1e-7), "Div": (1.0, 1e-7)}


def serialize(network: Network, *, input_dtype: str | None = None) -> bytes:
    """Return the bytes of an ONNX file with the exact forward pass of a reproducible network.

    The arguments and errors are those of `xpnet.save`.
    """
    onnx = onnx_library()
    with warnings.catch_warnings():  # about a missing runtime, which is not needed here
        warnings.simplefilter("ignore")
        xp = _Recorder(import_optional("ndonnx", "exact ONNX files need the package ndonnx"))
    network = network.map_arrays(to_numpy)
    dtype = np.dtype(input_dtype or network.dtype).name
    if np.dtype(dtype).kind not in "biuf" or not hasattr(xp, dtype):
        msg = f"`input_dtype` must be a boolean, integer or floating-point dtype; got {dtype}"
        raise TypeError(msg)
    x = xp.argument(shape=("batch", network.n_in), dtype=getattr(xp, dtype))
    model = xp.build({"input": x}, {network.output: network.compute(x, ExactNamespace(xp, None))})
    _check_constants(model.graph, onnx.numpy_helper.to_array)
    model.producer_name = "xpnet"
    model.doc_string = "Compute each node by itself in its own dtype, rounded as in IEEE 754."
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(model, {EXACT_KEY: describe(network)})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _check_constants(graph: Any, to_array: Any) -> None:
    """Raise ValueError if ONNX Runtime would drop an operation with a constant."""
    nodes = (node for node in graph.node if node.op_type == "Constant")
    arrays = {node.output[0]: to_array(node.attribute[0].t) for node in nodes}
    for node in graph.node:
        number, distance = _DROPPED.get(node.op_type, (0.0, 0.0))
        for x in (arrays[name] for name in node.input if name in arrays):
            if x.size == 1 and 0.0 < abs(x.item() - number) < distance:
                msg = f"ONNX Runtime would take the number {x.item()} of the network for {number}:"
                msg += " save a network that has this number"
                raise ValueError(msg)


class _Recorder:
    """The namespace of ndonnx, with what it lacks or does with many nodes.

    The number of rows is unknown: as a length, it is None.
    """

    __name__ = "ndonnx"

    def __init__(self, ndx: Any) -> None:
        self._ndx, self._op = ndx, import_module("spox.opset.ai.onnx.v21")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ndx, name)

    def broadcast_arrays(self, *arrays: Any) -> tuple[Any, ...]:
        return tuple(map(self._ndx.asarray, arrays))  # each operator of ONNX does the rest

    def copysign(self, x: Any, y: Any, /) -> Any:
        size = self._ndx.abs(x)
        return self._ndx.where(y < 0.0, -size, size)  # no result depends on the sign of a zero

    def full_like(self, x: Any, number: float, /) -> Any:
        return self.reshape(self._ndx.full_like(x, number), x.shape)

    def matmul(self, x: Any, y: Any, /) -> Any:
        if len(y) == 1:  # ONNX Runtime would make the power of two before it a float32 attribute
            return x * y
        return self._ndx.asarray(self._op.matmul(x.unwrap_spox(), self._op.const(y)))

    def max(self, x: Any, /, *, axis: int, keepdims: bool = False) -> Any:
        """Return the maximum; inf for NaN, which ONNX leaves open: the results are NaN for both."""
        numbers = self._ndx.where(self._ndx.isnan(x), np.inf, x).unwrap_spox()
        axes = self._op.const([axis])
        return self._ndx.asarray(self._op.reduce_max(numbers, axes, keepdims=keepdims))

    def ones_like(self, x: Any, /) -> Any:
        return self.reshape(self._ndx.ones_like(x), x.shape)

    def reshape(self, x: Any, /, shape: tuple[int | None, ...]) -> Any:
        return self._ndx.reshape(x, tuple(-1 if n is None else n for n in shape))

    def sort(self, x: Any, /, *, axis: int) -> Any:
        n = self._op.const([x.shape[axis]])
        return self._ndx.asarray(self._op.top_k(x.unwrap_spox(), n, axis=axis, largest=0)[0])
