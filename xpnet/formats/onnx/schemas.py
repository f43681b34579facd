"""Operators in the versions that a model declares: validation, shapes of results, evaluation.

Models that ONNX Runtime rejects are rejected here, too. Otherwise an attribute that an operator
lacks in the model's version would be ignored, or interpreted differently by other programs.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import quoted
from xpnet.formats.onnx.parsing import onnx_library
from xpnet.formats.onnx.tensors import numpy_dtype

__all__ = ["SINGLE_AXIS", "Operation", "Schemas", "ShapeError", "Spec"]

# ONNX Runtime does not support older versions, whose operators have other attributes.
_OLDEST = 7
# Older files have no versions of operators.
_OLDEST_FORMAT = 3
_OWN, _ML = "", "ai.onnx.ml"
_ALIASES = {"ai.onnx": _OWN}
_PLAIN = frozenset({"FLOAT", "FLOATS", "INT", "INTS", "STRING", "UNDEFINED"})
# Version of operators from which on softmax works along one axis.
SINGLE_AXIS = 13
# NumPy's limit.
_MAX_AXES = 64
_SAME_SIZE = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
# What the evaluator raises for values that an operator does not accept.
_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class ShapeError(ValueError):
    """Types or shapes that do not fit: no runtime can execute the operation."""


class Spec(NamedTuple):
    """Dtype and shape of a value."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """A node with its operator, and its attributes, including the default values of ONNX."""

    proto: Any
    operator: str  # with its domain unless it is ONNX's own
    schema: Any
    attributes: Mapping[str, Any]

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that are given."""
        return [name for name in self.proto.input if name]

    @property
    def output(self) -> str:
        """Name of the first output."""
        return str(self.proto.output[0])

    @property
    def where(self) -> str:
        """The operation in error messages."""
        name = self.proto.name or next(filter(None, self.proto.output), "")
        return f"ONNX operator {self.operator} ({quoted(name)})"

    def reject(self, reason: str, *, error: type[ValueError] = ValueError) -> NoReturn:
        """Raise an error that names the operation."""
        msg = f"{self.where}: {reason}"
        raise error(msg)


class Schemas:
    """The operators in the versions that an ``onnx.ModelProto`` declares.

    Raise ValueError if a version is missing, ambiguous, or newer than the package onnx.
    """

    def __init__(self, model: Any) -> None:
        self._onnx = onnx = onnx_library()
        newest, found = onnx.IR_VERSION, model.ir_version
        if not _OLDEST_FORMAT <= found <= newest:
            msg = f"ONNX must be of format version {_OLDEST_FORMAT} to {newest}; got {found}"
            raise ValueError(msg)
        newest_ml = onnx.defs.onnx_ml_opset_version()
        version = _version_of(model, _OWN, _OLDEST, onnx.defs.onnx_opset_version(), None)
        self._versions = {_OWN: version, _ML: _version_of(model, _ML, 1, newest_ml, newest_ml)}
        self._imports = [onnx.helper.make_opsetid(*pair) for pair in self._versions.items()]
        self._context = onnx.checker.C.CheckerContext()
        self._context.ir_version = onnx.IR_VERSION
        self._context.opset_imports = self._versions

    def operation(self, proto: Any, known: Collection[str]) -> Operation:
        """Return the operation of a node; raise ValueError if the schema does not permit it.

        The operator must exist in the version. Numbers of inputs and outputs and attributes are
        validated if the operator is `known`; others may have graphs as attributes.
        """
        onnx = self._onnx
        proto.domain = _ALIASES.get(proto.domain, proto.domain)
        operator = f"{proto.domain}:{proto.op_type}" if proto.domain else str(proto.op_type)
        node = Operation(proto, operator, None, {})
        if proto.domain not in self._versions:
            node.reject("not part of a network of fully connected layers")
        version = self._versions[proto.domain]
        try:
            schema = onnx.defs.get_schema(proto.op_type, version, proto.domain)
        except onnx.defs.SchemaError:
            node.reject(f"the operator is missing in version {version}")
        if schema.deprecated:
            node.reject(f"it was removed in version {schema.since_version}")
        if operator not in known:
            return node
        kinds = {onnx.AttributeProto.AttributeType.Name(x.type) for x in proto.attribute}
        if operator == "Constant" and kinds == {"TENSOR"}:
            return node
        # The checker would look for the files of tensors.
        if not kinds <= _PLAIN:
            node.reject("its attributes must be numbers or strings")
        try:
            onnx.checker.check_node(proto, self._context)
        except onnx.checker.ValidationError as error:
            node.reject(_reason(error))
        defaults = (x.default_value for x in schema.attributes.values())
        attributes: dict[str, Any] = {}
        for x in (*(x for x in defaults if x.name), *proto.attribute):
            value = onnx.helper.get_attribute_value(x)
            attributes[x.name] = value.decode() if isinstance(value, bytes) else value
        return Operation(proto, operator, schema, attributes)

    def spec_of_result(
        self, node: Operation, specs: Mapping[str, Spec], values: Mapping[str, NDArray[Any]]
    ) -> Spec:
        """Return the dtype and shape of a result without computing it.

        `specs` are those of the inputs, and `values` the arrays of which some are inputs. Raise
        ShapeError if the operator does not accept them, or they do not determine the shape.
        """
        if node.operator == "ai.onnx.ml:Scaler":  # which the library does not infer
            return Spec(np.dtype(np.float32), specs[node.inputs[0]].shape)
        if node.operator == "ai.onnx.ml:ArrayFeatureExtractor":
            names, places = (specs[name] for name in node.inputs)
            return Spec(names.dtype, (1, math.prod(places.shape)))
        onnx, numbers = self._onnx, {}
        for name in node.inputs:
            x = values.get(name)
            if x is not None and not x.size and node.operator == "Squeeze":
                node.reject("its axes must be omitted or not empty")
            if x is not None and x.dtype.kind in "iu" and x.size <= _MAX_AXES:
                numbers[name] = onnx.numpy_helper.from_array(x)
        types = {name: self._type_of(specs[name]) for name in node.inputs}
        infer, reason = onnx.shape_inference.infer_node_outputs, "its sizes must fit"
        try:
            found = infer(node.schema, node.proto, types, numbers, None, self._imports)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            found, reason = {}, _reason(error)
        kind: Any = found[node.output].tensor_type if node.output in found else None
        dims = [-1]  # unknown
        if kind is not None and kind.HasField("shape"):
            dims = [x.dim_value if x.HasField("dim_value") else -1 for x in kind.shape.dim]
        before = math.prod(specs[node.inputs[0]].shape)
        is_same = node.operator not in _SAME_SIZE or math.prod(dims) == before
        if min(dims, default=0) < 0 or len(dims) > _MAX_AXES or not is_same:
            shapes = ", ".join(str(specs[name].shape) for name in node.inputs) or "none"
            node.reject(f"{reason}; its inputs have the shapes {shapes}", error=ShapeError)
        is_text = kind.elem_type == onnx.TensorProto.STRING
        dtype = np.dtype(object) if is_text else numpy_dtype(kind.elem_type, node.where)
        return Spec(dtype, tuple(dims))

    def _type_of(self, spec: Spec) -> Any:
        helper = self._onnx.helper
        number = helper.np_dtype_to_tensor_dtype(spec.dtype)
        return helper.make_tensor_type_proto(number, spec.shape)

    def evaluator(
        self, nodes: Sequence[Any], inputs: Collection[str], outputs: Sequence[str]
    ) -> Callable[[Mapping[str, NDArray[Any]]], list[NDArray[Any]]]:
        """Return nodes as a function of arrays by name, computed by ONNX's reference evaluator."""
        onnx, is_old = self._onnx, self._versions[_OWN] < SINGLE_AXIS
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.op_run import OpRun

        class LogSoftmax(OpRun):  # type: ignore[misc]
            """ONNX's own underflows, and knows no old versions, along all axes that follow."""

            op_domain = ""

            def _run(self, x: Any, *, axis: int) -> tuple[Any]:
                axes = tuple(range(axis % x.ndim, x.ndim)) if is_old else axis
                shifted = x - x.max(axes, keepdims=True)
                return (shifted - np.log(np.exp(shifted).sum(axes, keepdims=True)),)

        class Softmax(LogSoftmax):
            def _run(self, x: Any, *, axis: int) -> tuple[Any]:
                return (np.exp(super()._run(x, axis=axis)[0]),)

        ends = ([onnx.ValueInfoProto(name=x) for x in names] for names in (inputs, outputs))
        graph = onnx.helper.make_graph(nodes, "graph", *ends)
        model = onnx.helper.make_model(graph, opset_imports=self._imports)
        evaluator = ReferenceEvaluator(model, new_ops=[LogSoftmax, Softmax])

        def evaluate(arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
            try:
                with np.errstate(all="ignore"):
                    return [np.asarray(x) for x in evaluator.run(None, dict(arrays))]
            except _ERRORS as error:
                msg = f"ONNX's reference evaluator fails: {type(error).__name__}: {error}"
                raise ShapeError(msg) from error

        return evaluate


def _reason(error: Exception) -> str:
    """Return the message of ONNX's checker or shape inference in one line."""
    first = str(error).strip().partition("\n")[0]
    return first.rpartition("Error] ")[2].rstrip(".") or type(error).__name__


def _version_of(model: Any, domain: str, oldest: int, newest: int, default: int | None) -> int:
    """Return the version of a domain's operators that a model imports."""
    found = {x.version for x in model.opset_import if _ALIASES.get(x.domain, x.domain) == domain}
    if not found and default is not None:
        return default
    if len(found) != 1 or not oldest <= min(found) <= newest:
        shown = " and ".join(map(str, sorted(found))) or "none"
        what = f"operators {f'of {domain} ' if domain else ''}in one version"
        msg = f"ONNX must have {what}, from {oldest} to {newest}; got {shown}"
        raise ValueError(msg)
    return int(min(found))
