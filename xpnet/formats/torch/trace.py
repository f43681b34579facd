"""Record of what torch computes from rows of inputs, as a chain of operations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.chain import Activate, Affine, Linear, Part
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["TORCH_ACTIVATIONS", "Trace", "rejection"]

# By class in torch.nn, whose attributes have the names of the options.
TORCH_ACTIVATIONS = {row.torch: row for row in ACTIVATIONS.values() if row.torch}
# Values of the attributes for which xpnet's function has no option.
_FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "Hardtanh": {"min_val": (-1,), "max_val": (1,)},
    "LogSoftmax": {"dim": (-1, 1)},
    "Softmax": {"dim": (-1, 1)},
    "Softplus": {"beta": (1,), "threshold": (20,)},
}
# Functions, methods and attributes, in lower case and without underscores.
_KINDS = {kind.lower(): kind for kind in TORCH_ACTIVATIONS}
_NEUTRAL = frozenset(  # they leave the values unchanged
    {"flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "clone", "detach"}
    | {"unflatten", "float", "double", "half", "to", "type"}
)
_FACTS = frozenset({"size", "dim", "len", "numel", "shape", "ndim", "device", "dtype"})
_ARITHMETIC: dict[tuple[str, bool], Callable[[Any], Affine]] = {  # by whether the rows come first
    ("add", True): lambda x: Affine(1.0, x),
    ("add", False): lambda x: Affine(1.0, x),
    ("mul", True): Affine,
    ("mul", False): Affine,
    ("sub", True): lambda x: Affine(1.0, -x),
    ("sub", False): lambda x: Affine(-1.0, x),
    ("rsub", True): lambda x: Affine(-1.0, x),
    ("div", True): lambda x: Affine(1.0 / x),
}
_WAYS = (
    "export it to ONNX and run `xpnet convert`, pass an nn.Sequential of its layers, or build"
    " xpnet.Network([xpnet.Dense(...), ...]) from its weights"
)

Chain: TypeAlias = tuple[tuple[str, Part], ...]


def rejection(what: str, remedy: str = _WAYS) -> TypeError:
    """Return the error about a module that is not a chain of layers."""
    msg = f"`module` must be a chain of Linear layers and activations; got {what}: {remedy}"
    return TypeError(msg)


class Trace:
    """The chains of operations from rows of inputs to the tensors that a module computes.

    `call` takes the place of every function of torch while the module runs. `error` is the first
    one about a function that no chain has.
    """

    def __init__(self, torch: Any, module: Any, rows: Any) -> None:
        self.error: Exception | None = None
        self._torch = torch
        # By identity; the tensors are kept, so that no other one gets theirs.
        self._chains: dict[int, tuple[Any, Chain]] = {id(rows): (rows, ())}
        self._n_rows = len(rows)
        names = ((id(x), name) for name, x in module.named_parameters())
        self._owners = {key: name.rpartition(".")[0] or "the top" for key, name in names}
        self._place = "at the front"

    def chain_of(self, result: Any) -> Chain | None:
        """Return the operations that gave a tensor of one row per row, None for other objects."""
        found, chain = self._chains.get(id(result), (None, None))
        return chain if found is not None and len(found) == self._n_rows else None

    def call(self, function: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Return the result of a function; raise TypeError or ValueError if no chain has it."""
        given = (*args, *options.values())
        values = [y for x in given for y in (x if isinstance(x, list | tuple) else (x,))]
        inputs = [x for x in values if id(x) in self._chains]
        name = function.__name__
        if name == "__get__":
            name = getattr(function.__self__, "__name__", "property")
        if not inputs or name.strip("_") in _FACTS:
            return function(*args, **options)
        where = self._where(name.strip("_"), values)
        try:
            if len(inputs) > 1:
                msg = f"several results together in {where}"
                remedy = "xpnet has no layers side by side, such as residual ones"
                raise rejection(msg, remedy)
            part = self._part(where, name.replace("_", "").lower(), args, options)
        except (TypeError, ValueError) as error:
            self.error = self.error or error
            raise
        result = function(*args, **options)
        before = self._chains[id(inputs[0])][1]
        after = before if part is None else (*before, (where, part))
        self._chains[id(result)] = result, after
        return result

    def _where(self, name: str, values: Sequence[Any]) -> str:
        """Return the position of a function: at its parameters, or after those before it."""
        owner = next((self._owners[id(x)] for x in values if id(x) in self._owners), None)
        if owner is None:
            return f"{name} {self._place}"
        self._place = f"after {owner}"
        return f"{name} at {owner}"

    def _part(
        self, where: str, name: str, args: Sequence[Any], options: Mapping[str, Any]
    ) -> Part | None:
        """Return the operation of a function; None if it leaves the values unchanged."""
        is_first = id(next(iter(args), None)) in self._chains
        part: Part | None = None
        if name in _NEUTRAL:
            return None
        if name in {"dropout", "alphadropout"}:
            if options.get("training", True):
                msg = f"{where} must have training=self.training; got True"
                raise ValueError(msg)
            return None
        if name in _KINDS:
            part = _activation(self._torch.nn, where, _KINDS[name], args[1:], options)
        elif name == "linear" and is_first:
            part = _linear(*args[1:], **options)
        elif name in {"matmul", "mm"} and is_first and args[1].ndim == 2:
            part = Linear(to_numpy(args[1]))
        elif name == "batchnorm" and options.get("training") is False:
            part = _batch_norm(args[1], args[2], options)
        elif (name, is_first) in _ARITHMETIC and len(args) == 2 and not options:
            other = args[is_first]
            number = to_numpy(other) if isinstance(other, self._torch.Tensor) else other
            part = _arithmetic(_ARITHMETIC[name, is_first], np.asarray(number))
        if part is None:
            msg = f"the function {where}"
            raise rejection(msg)
        return part


def _arithmetic(make: Callable[[Any], Affine], number: NDArray[Any]) -> Affine | None:
    """Return the operation with a constant: a number, or one number per column."""
    if number.size in number.shape[-1:]:
        return make(number.reshape(-1).astype(np.float64))
    return make(number.reshape(()).astype(np.float64)) if number.size == 1 else None


def _activation(
    modules: Any, where: str, kind: str, args: Sequence[Any], options: Mapping[str, Any]
) -> Activate | None:
    """Return the activation of a function, whose arguments are those of the module."""
    given = {x: y for x, y in options.items() if x not in {"inplace", "_stacklevel"}}
    if given.get("dtype", 0) is None:
        del given["dtype"]
    try:
        module = getattr(modules, kind)(*args, **given)
    except TypeError:
        return None
    if kind == "Hardtanh" and (module.min_val, module.max_val) == (0, 6):
        return Activate("relu6")
    for name, values in _FIXED.get(kind, {}).items():
        if getattr(module, name) not in values:
            msg = f"{where} must have {name}={values[0]}; got {getattr(module, name)}"
            raise ValueError(msg)
    row = TORCH_ACTIVATIONS[kind]
    return Activate(row.name, {option: getattr(module, option) for option in row.options})


def _linear(weight: Any, bias: Any = None) -> Linear:
    return Linear(to_numpy(weight).T, None if bias is None else to_numpy(bias))


def _batch_norm(mean: Any, variance: Any, options: Mapping[str, Any]) -> Affine:
    weight, bias = options["weight"], options["bias"]
    gamma = 1.0 if weight is None else to_numpy(weight)
    beta = 0.0 if bias is None else to_numpy(bias)
    return Affine.normalization(to_numpy(mean), to_numpy(variance), options["eps"], gamma, beta)
