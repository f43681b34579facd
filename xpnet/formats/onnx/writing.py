"""ONNX graph from a network."""

import json
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.description import arrays_by_name
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS, ActivationOperator
from xpnet.formats.onnx.arithmetic import WHITENING
from xpnet.formats.onnx.parsing import METADATA_KEY, METADATA_VERSION, onnx_library
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Whiten

__all__ = ["serialize"]

# Version of ONNX's operators, unless an activation needs a newer one.
_MIN_VERSION = 17
# Version of the format. ONNX Runtime rejects unknown versions; no operator needs a newer one.
_IR_VERSION = 9


def serialize(network: Network, *, input_dtype: str | None = None) -> bytes:
    """Return the bytes of an ONNX file of a network, including its preprocessing.

    Parameters
    ----------
    network : Network
    input_dtype : str, optional
        Dtype of the inputs, such as "uint8" for raw pixels; by default the network's.

    Raises
    ------
    ModuleNotFoundError
        If the package onnx is not installed.
    TypeError
        If ONNX, or its operator for an activation, does not support the dtype of the parameters.
    ValueError
        If ONNX has no operator for an activation or its options; a parameter is NaN or infinite;
        or a number of the preprocessing overflows or underflows in the dtype of the parameters.
    """
    onnx = onnx_library()
    arrays_by_name(network)  # validates dtypes and values
    graph = _GraphBuilder(network, np.dtype(input_dtype or to_numpy(network.layers[0].bias).dtype))
    for step in network.preprocessing:
        if isinstance(step, Scale):
            graph.add_arithmetic("Mul", step.factor, unless=1.0)
        elif isinstance(step, Whiten):
            graph.add_whitening(step)
        else:
            graph.add_arithmetic("Sub", step.mean, unless=0.0)
            graph.add_arithmetic("Div", step.scale, unless=1.0)
    for i, layer in enumerate(network.layers):
        graph.add_layer(i, layer)
    model = graph.as_model()
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.shape_inference.InferenceError as error:
        msg = f"ONNX lacks an operator for {graph.dtype}: {error}"
        raise TypeError(msg) from error
    return bytes(model.SerializeToString())


class _GraphBuilder:
    """A chain of nodes; the input of each new node is the result of the last."""

    def __init__(self, network: Network, input_dtype: np.dtype[Any]) -> None:
        self._onnx = onnx_library()
        self._network = network
        self.dtype = to_numpy(network.layers[0].bias).dtype
        self._input_dtype = input_dtype
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._last = "input"
        self._since = _MIN_VERSION
        if input_dtype != self.dtype:
            self._add("Cast", to=self._element_type(self.dtype))

    def _element_type(self, dtype: np.dtype[Any]) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def _add(
        self,
        operator: str,
        *constants: Any,
        beside: str = "",
        prefix: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with constants after its input; return the name of its result."""
        name = f"{prefix or operator.lower()}_{len(self._nodes)}"
        inputs = [self._last, *([beside] if beside else [])]
        for i, constant in enumerate(constants):
            inputs.append(f"{name}.{i}")
            with np.errstate(over="ignore", under="ignore"):
                value = np.asarray(constant, self.dtype)
            is_lost = (value == 0) & (np.asarray(constant) != 0)
            if not np.all(np.isfinite(value)) or np.any(is_lost):
                msg = f"ONNX must hold the preprocessing in {self.dtype}; got {constant}"
                raise ValueError(msg)
            self._constants.append(self._onnx.numpy_helper.from_array(value, inputs[-1]))
        node = self._onnx.helper.make_node(operator, inputs, [name], name, **attributes)
        self._nodes.append(node)
        self._last = name
        return name

    def add_arithmetic(self, operator: str, constant: Any, *, unless: float) -> None:
        """Add Mul, Sub or Div by a number or by one per input; omit it for the number `unless`."""
        if not isinstance(constant, float):
            self._add(operator, to_numpy(constant))
        elif constant != unless:
            self._add(operator, constant)

    def add_whitening(self, step: Whiten) -> None:
        """Add Sub and MatMul; the name of the MatMul marks it as preprocessing."""
        self._add("Sub", to_numpy(step.mean))
        self._add("MatMul", to_numpy(step.matrix), prefix=WHITENING)

    def add_layer(self, i: int, layer: Dense) -> None:
        """Add a layer and its activation."""
        names = [f"layers.{i}.{kind}" for kind in ("weight", "bias")]
        for name, array in zip(names, (layer.weight, layer.bias), strict=True):
            value = np.ascontiguousarray(to_numpy(array))
            self._constants.append(self._onnx.numpy_helper.from_array(value, name))
        result = f"gemm_{len(self._nodes)}"
        node = self._onnx.helper.make_node("Gemm", [self._last, *names], [result], result)
        self._nodes.append(node)
        self._last = result
        self._add_activation(layer)

    def _add_activation(self, layer: Dense) -> None:
        name = layer.activation
        if name in {"identity", "linear"}:
            return
        if name == "silu":
            before = self._last
            self._add("Sigmoid")
            self._add("Mul", beside=before)
        elif name in ACTIVATION_OPERATORS:
            operator = ACTIVATION_OPERATORS[name]
            self._add(operator.name, **_attributes(operator, layer))
            self._since = max(self._since, operator.since)
        elif name in CLIP_BOUNDS:
            self._add("Clip", *CLIP_BOUNDS[name])
        else:
            known = ", ".join(sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, "silu"}))
            msg = f"ONNX has no operator for the activation {name!r}, only for {known}"
            raise ValueError(msg)

    def as_model(self) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        helper, network = self._onnx.helper, self._network
        self._nodes[-1].output[0] = network.output
        source = helper.make_tensor_value_info(
            "input", self._element_type(self._input_dtype), ["batch", network.n_in]
        )
        result = helper.make_tensor_value_info(
            network.output, self._element_type(self.dtype), ["batch", network.n_out]
        )
        graph = helper.make_graph(self._nodes, "xpnet", [source], [result], self._constants)
        opsets = [helper.make_opsetid("", self._since)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="xpnet"
        )
        entries = {
            "version": METADATA_VERSION,
            "output": network.output,
            "classes": network.classes,
        }
        helper.set_model_props(model, {METADATA_KEY: json.dumps(entries)})
        return model


def _attributes(operator: ActivationOperator, layer: Dense) -> dict[str, Any]:
    for option, value in operator.given.items():
        if layer.options[option] != value:
            given = layer.options[option]
            msg = f"ONNX has {layer.activation!r} only with {option}={value}; got {given}"
            raise ValueError(msg)
    free = {name: layer.options[option] for name, option in operator.options.items()}
    return {**operator.fixed, **free}
