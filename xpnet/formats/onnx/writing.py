"""ONNX graph from a network."""

import json
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.description import arrays_by_name, metadata_entry
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS, GATES
from xpnet.formats.onnx.operations import WHITENING
from xpnet.formats.onnx.parsing import METADATA_KEY, METADATA_VERSION, onnx_library
from xpnet.functions.activation import OnnxOperator
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Step, Whiten

__all__ = ["serialize"]

# Version of ONNX's operators, unless an activation needs a newer one.
_MIN_VERSION = 17
# Version of the format. ONNX Runtime rejects unknown versions; no operator needs a newer one.
_IR_VERSION = 9


def serialize(network: Network, *, input_dtype: str | None = None, rows: Any = None) -> bytes:
    """Return the bytes of an ONNX file of a network, including its preprocessing.

    Arguments and errors are those of `xpnet.save`; also ValueError if a number of the preprocessing
    overflows or underflows in the dtype of the parameters.
    """
    if network.is_reproducible:
        from xpnet.formats.onnx import exact

        return exact.serialize(network, input_dtype=input_dtype, rows=rows)
    if rows is not None:
        msg = "`rows` are for a reproducible network, whose file has a hash of their outputs"
        raise ValueError(msg)
    onnx = onnx_library()
    arrays_by_name(network)  # validates dtypes and values
    graph = _GraphBuilder(network, input_dtype)
    for step in network.preprocessing:
        graph.add_step(step)
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

    def __init__(self, network: Network, input_dtype: str | None) -> None:
        self._onnx = onnx_library()
        self._network = network
        self.dtype = to_numpy(network.layers[0].bias).dtype
        to_number = self._onnx.helper.np_dtype_to_tensor_dtype
        self._element_type = int(to_number(self.dtype))
        self._input_type = int(to_number(np.dtype(input_dtype or self.dtype)))
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._last = "input"
        self._since = _MIN_VERSION
        if self._input_type != self._element_type:
            self._add("Cast", to=self._element_type)

    def _add(
        self, operator: str, *constants: Any, beside: str = "", prefix: str = "", **attributes: Any
    ) -> None:
        """Add a node; its inputs are the last result, the result `beside`, and constants."""
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
        self._append_node(operator, inputs, name, **attributes)

    def _append_node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> None:
        node = self._onnx.helper.make_node(operator, inputs, [name], name, **attributes)
        self._nodes.append(node)
        self._last = name

    def add_step(self, step: Step) -> None:
        """Add the arithmetic of a step of preprocessing, without its neutral numbers."""
        if isinstance(step, Whiten):
            self._add("Sub", to_numpy(step.mean))
            self._add("MatMul", to_numpy(step.matrix), prefix=WHITENING)  # marks preprocessing
            return
        if isinstance(step, Scale):
            operations: Any = (("Mul", step.factor, 1.0),)
        else:
            operations = (("Sub", step.mean, 0.0), ("Div", step.scale, 1.0))
        for operator, constant, neutral in operations:
            if not isinstance(constant, float):
                self._add(operator, to_numpy(constant))
            elif constant != neutral:
                self._add(operator, constant)

    def add_layer(self, i: int, layer: Dense) -> None:
        names = [f"layers.{i}.{kind}" for kind in ("weight", "bias")]
        for name, array in zip(names, (layer.weight, layer.bias), strict=True):
            value = np.ascontiguousarray(to_numpy(array))
            self._constants.append(self._onnx.numpy_helper.from_array(value, name))
        self._append_node("Gemm", [self._last, *names], f"gemm_{len(self._nodes)}")
        name = layer.activation
        if name in {"identity", "linear"}:
            return
        if name in ACTIVATION_OPERATORS:
            operator = ACTIVATION_OPERATORS[name]
            self._add(operator.name, **_attributes(operator, layer))
            self._since = max(self._since, operator.since)
        elif name in CLIP_BOUNDS:
            self._add("Clip", *CLIP_BOUNDS[name])
        elif gate := ACTIVATIONS[name].onnx_gate:
            before, operator = self._last, ACTIVATION_OPERATORS[gate]
            self._add(operator.name, **dict[str, Any](operator.fixed))
            self._add("Mul", beside=before)
        else:
            known = ", ".join(sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, *GATES.values()}))
            msg = f"ONNX has no operator for the activation {name!r}, only for {known}"
            raise ValueError(msg)

    def as_model(self) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        helper, network = self._onnx.helper, self._network
        self._nodes[-1].output[0] = network.output
        describe = helper.make_tensor_value_info
        source = describe("input", self._input_type, ["batch", network.n_in])
        result = describe(network.output, self._element_type, ["batch", network.n_out])
        graph = helper.make_graph(self._nodes, "xpnet", [source], [result], self._constants)
        opsets = [helper.make_opsetid("", self._since)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="xpnet"
        )
        entries = {"version": METADATA_VERSION, "output": network.output}
        text = json.dumps({**entries, "classes": network.classes, **metadata_entry(network)})
        helper.set_model_props(model, {METADATA_KEY: text})
        return model


def _attributes(operator: OnnxOperator, layer: Dense) -> dict[str, Any]:
    free = {name: layer.options[option] for name, option in operator.options.items()}
    return {**operator.fixed, **free}
