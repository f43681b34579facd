"""Validation of a model's versions and nodes against ONNX's schemas of the operators.

Models that ONNX Runtime rejects are rejected here, too. Otherwise an attribute that an operator
lacks in the model's version would be ignored, or interpreted differently by other programs.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from xpnet.files.errors import quoted
from xpnet.formats.onnx.parsing import onnx_library
from xpnet.formats.onnx.values import OperatorError, Value

__all__ = ["Schemas"]

# ONNX Runtime does not support older versions, whose operators have other attributes.
_OLDEST = 7
_OWN, _ML = "", "ai.onnx.ml"
_ALIASES = {"ai.onnx": _OWN}
_DESCRIPTIVE = frozenset({"name", "doc_string", "type", "ref_attr_name"})
# Types whose field in an attribute is named by their first letter.
_SINGLE = frozenset({"FLOAT", "INT", "STRING", "TENSOR", "GRAPH"})
_TYPES = {"float32": "tensor(float)", "float64": "tensor(double)", "object": "tensor(string)"}


class Schemas:
    """The operators in the versions that an ``onnx.ModelProto`` declares.

    Raise ValueError if a version is missing, ambiguous, or newer than the package onnx.
    """

    def __init__(self, model: Any) -> None:
        onnx = onnx_library()
        if model.ir_version > onnx.IR_VERSION:
            newest, found = onnx.IR_VERSION, model.ir_version
            msg = f"ONNX must be of format version {newest} or older; got {found}"
            raise ValueError(msg)
        newest_ml = onnx.defs.onnx_ml_opset_version()
        self.version = _version_of(model, _OWN, _OLDEST, onnx.defs.onnx_opset_version(), None)
        ml_version = _version_of(model, _ML, 1, newest_ml, newest_ml)
        self._versions = {_OWN: self.version, _ML: ml_version}
        self._schema = cache(self._look_up)

    def operator_name(self, proto: Any) -> str:
        """Return the name of an operator, with its domain unless it is ONNX's own."""
        domain = _ALIASES.get(proto.domain, proto.domain)
        return f"{domain}:{proto.op_type}" if domain else str(proto.op_type)

    def check(self, proto: Any, *, is_known: bool) -> None:
        """Raise OperatorError if a node does not match the schema of its operator.

        The operator must exist in the version. Numbers of inputs and outputs and attributes are
        validated if xpnet reads the operator (`is_known`).
        """
        schema = self._schema(proto.op_type, _ALIASES.get(proto.domain, proto.domain))
        if isinstance(schema, str):
            self._reject(proto, schema)
        elif is_known and (difference := _difference(schema, proto)):
            self._reject(proto, difference)

    def check_dtypes(self, proto: Any, inputs: Sequence[Value]) -> None:
        """Raise OperatorError if the operator does not accept the dtypes of its inputs."""
        dtypes: dict[str, str] = {}
        schema = self._schema(proto.op_type, _ALIASES.get(proto.domain, proto.domain))
        for i, value in enumerate(inputs):
            formal = schema.inputs[min(i, len(schema.inputs) - 1)]
            if value is None:
                continue
            type_name = _TYPES.get(value.dtype.name, f"tensor({value.dtype.name})")
            if type_name not in formal.types:
                reason = f"it does not accept {value.dtype} as its input {i + 1}"
                self._reject(proto, f"{reason} in version {schema.since_version}")
            dtype = dtypes.setdefault(formal.type_str, value.dtype.name)
            if dtype != value.dtype.name:
                self._reject(proto, f"its inputs must be of one dtype; got {dtype}, {value.dtype}")

    def _look_up(self, operator: str, domain: str) -> Any:
        """Return the schema of an operator, or the reason why it is rejected."""
        if domain not in self._versions:
            return "not part of a network of fully connected layers"
        defs = onnx_library().defs
        version = self._versions[domain]
        try:
            schema = defs.get_schema(operator, version, domain)
        except defs.SchemaError:
            return f"the operator is missing in version {version}"
        if schema.deprecated:
            return f"it was removed in version {schema.since_version}"
        return schema

    def _reject(self, proto: Any, reason: str) -> None:
        name = quoted(proto.name or next(iter(proto.output), ""))
        msg = f"ONNX operator {self.operator_name(proto)} ({name}): {reason}"
        raise OperatorError(msg)


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


def _difference(schema: Any, proto: Any) -> str | None:
    """Return the difference of a node from its operator's schema; None if it matches."""
    version = schema.since_version
    for what, names, least, most in (
        ("input", proto.input, schema.min_input, schema.max_input),
        ("output", proto.output, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            count = f"{least}" if least == most else f"{least} to {most}"
            plural = "" if most == 1 else "s"
            return f"it must have {count} {what}{plural} in version {version}; got {len(names)}"
    counts = Counter(attribute.name for attribute in proto.attribute)
    for attribute in proto.attribute:
        name = quoted(attribute.name)
        if attribute.name not in schema.attributes:
            known = ", ".join(sorted(schema.attributes)) or "none"
            return f"its attribute {name} is unknown in version {version}, which has {known}"
        if counts[attribute.name] > 1:
            return f"its attribute {name} is given twice"
        expected = schema.attributes[attribute.name].type.name
        if not _has_type(attribute, expected):
            return f"its attribute {name} must be {expected}"
    missing = [name for name, x in schema.attributes.items() if x.required and name not in counts]
    return f"its attribute {quoted(missing[0])} is missing" if missing else None


def _has_type(attribute: Any, expected: str) -> bool:
    """Return whether an attribute has a value of the expected type only."""
    types = onnx_library().AttributeProto.AttributeType
    held = {field.name for field, _ in attribute.ListFields()} - _DESCRIPTIVE
    own = expected[0] if expected in _SINGLE else expected
    return types.Name(attribute.type) == expected and held <= {own.lower()}
