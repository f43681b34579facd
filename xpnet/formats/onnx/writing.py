"""ONNX graph from a network."""

from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.files.optional import import_optional
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten

__all__ = ["EXACT_KEY", "METADATA_KEY", "model_of", "onnx_library", "serialize"]

# Entry of the metadata with the description of a network, whose arrays are the graph's constants.
METADATA_KEY = "xpnet"
# The same of a file with the exact forward pass, which has other constants.
EXACT_KEY = "xpnet_exact"

# The operators of a step, each with its field, and the number that changes nothing.
_OPERATIONS: dict[type[Step], Any] = {
    Scale: (("Mul", "factor", 1.0),),
    Standardize: (("Sub", "mean", 0.0), ("Div", "scale", 1.0)),
    Whiten: (("Sub", "mean", 0.0), ("MatMul", "matrix", 1.0)),
}
# Version of ONNX's operators, unless an activation needs a newer one.
_MIN_VERSION = 17
# Version of the format. ONNX Runtime rejects unknown versions; no operator needs a newer one.
_IR_VERSION = 9


def onnx_library() -> Any:
    """Import the package onnx; raise MissingPackageError if it is not installed."""
    return import_optional("onnx", "ONNX files need the package onnx")


def serialize(network: Network, *, input_dtype: str | None = None) -> bytes:
    """Return the bytes of an ONNX file of a network, including its preprocessing.

    Arguments and errors are those of `xpnet.save`; also ValueError if a number of the preprocessing
    overflows or underflows in the dtype of the parameters.
    """
    onnx, model = onnx_library(), model_of(network, input_dtype)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.shape_inference.InferenceError as error:
        msg = f"ONNX lacks an operator for {network.dtype}: {error}"
        raise TypeError(msg) from error
    return bytes(model.SerializeToString())


def model_of(network: Network, input_dtype: str | None = None) -> Any:
    """Return a network as ``onnx.ModelProto``, without checking its operators."""
    graph = _GraphBuilder(network, input_dtype)
    for i, step in enumerate(network.preprocessing):
        graph.add_step(i, step)
    for i, layer in enumerate(network.layers):
        graph.add_layer(i, layer)
    return graph.as_model()


class _GraphBuilder:
    """A chain of nodes; the first input of each new node is the result of the last."""

    def __init__(self, network: Network, input_dtype: str | None) -> None:
        self._onnx = onnx_library()
        self._network = network
        self._dtype = to_numpy(network.layers[0].bias).dtype
        to_number = self._onnx.helper.np_dtype_to_tensor_dtype
        self._element_type = int(to_number(self._dtype))
        self._input_type = int(to_number(np.dtype(input_dtype or self._dtype)))
        from_array = self._onnx.numpy_helper.from_array
        self._constants = [from_array(x, name) for name, x in arrays_by_name(network).items()]
        self._nodes: list[Any] = []
        self._last = "input"
        self._since = _MIN_VERSION
        if self._input_type != self._element_type:
            self._add("Cast", to=self._element_type)

    def _add(self, operator: str, *operands: str | float, **attributes: Any) -> None:
        """Add a node; operands are names, or numbers, which become constants."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        inputs = [self._last]
        for i, operand in enumerate(operands):
            inputs.append(operand if isinstance(operand, str) else f"{name}.{i}")
            if not isinstance(operand, str):
                self._add_constant(inputs[-1], operand)
        self._nodes.append(
            self._onnx.helper.make_node(operator, inputs, [name], name, **attributes)
        )
        self._last = name

    def _add_constant(self, name: str, number: float) -> None:
        with np.errstate(over="ignore", under="ignore"):
            value = np.asarray(number, self._dtype)
        if not np.isfinite(value) or (value == 0) != (number == 0):
            msg = f"ONNX must hold the preprocessing in {self._dtype}; got {number}"
            raise ValueError(msg)
        self._constants.append(self._onnx.numpy_helper.from_array(value, name))

    def add_step(self, i: int, step: Step) -> None:
        """Add the arithmetic of a step of preprocessing, without its neutral numbers."""
        for operator, name, neutral in _OPERATIONS[type(step)]:
            x = getattr(step, name)
            if not isinstance(x, float):
                self._add(operator, f"preprocessing.{i}.{name}")
            elif x != neutral:
                self._add(operator, x)

    def add_layer(self, i: int, layer: Dense) -> None:
        self._add("Gemm", f"layers.{i}.weight", f"layers.{i}.bias")
        name = layer.activation
        if name in {"identity", "linear"}:
            return
        if operator := ACTIVATION_OPERATORS.get(name):
            free = {x: layer.options[option] for x, option in operator.options.items()}
            self._add(operator.name, **operator.fixed, **free)
            self._since = max(self._since, operator.since)
        elif name in CLIP_BOUNDS:
            self._add("Clip", *CLIP_BOUNDS[name])
        elif gate := ACTIVATIONS[name].onnx_gate:
            before = self._last
            self._add(ACTIVATION_OPERATORS[gate].name)
            self._add("Mul", before)
        else:
            msg = f"ONNX has no operator for the activation {name!r}"
            raise ValueError(msg)

    def as_model(self) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        helper, network = self._onnx.helper, self._network
        self._nodes[-1].output[0] = network.output
        value = helper.make_tensor_value_info
        source = value("input", self._input_type, ["batch", network.n_in])
        result = value(network.output, self._element_type, ["batch", network.n_out])
        graph = helper.make_graph(self._nodes, "xpnet", [source], [result], self._constants)
        opsets = [helper.make_opsetid("", self._since)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="xpnet"
        )
        helper.set_model_props(model, {METADATA_KEY: describe(network)})
        return model
