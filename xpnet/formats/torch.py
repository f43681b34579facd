"""torch: modules, by the functions that they call, and files of a ``state_dict``."""

import copy
import io
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import WeightsError
from xpnet.files.optional import import_optional
from xpnet.formats.chain import Activate, Affine, Linear, Outputs, Part, network_of_chain
from xpnet.functions.activation import Activation
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.network import Network

__all__ = ["from_torch", "read"]

_NEED = (
    "files of torch need torch 2.10 or newer; elsewhere, write the weights for xpnet by"
    ' safetensors.torch.save_file(model.state_dict(), "model.safetensors")'
)
_OLDEST = (2, 10)  # files pass the checks of older ones: CVE-2025-32434, CVE-2026-24747
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")
# Names in lower case and without underscores; attributes of the classes are named as the options.
_ACTIVATIONS = {row.torch.lower(): row for row in ACTIVATIONS.values() if row.torch}
# Attributes for which xpnet's function has no option. Near these values, the comparison would miss
# the difference. Above its threshold of 20, torch's softplus(x) is x: with an error of 2e-9.
_FIXED = {"Hardtanh": {"min_val": -1, "max_val": 1}, "Softplus": {"beta": 1, "threshold": 20}}
# Functions that are taken to leave the values of rows unchanged; the comparison finds others.
_NEUTRAL = frozenset(
    {"flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "clone", "detach"}
    | {"unflatten", "float", "double", "half", "to", "type", "dropout", "alphadropout"}
)
_FACTS = frozenset({"size", "dim", "len", "numel", "shape", "ndim", "device", "dtype"})
_ARITHMETIC: dict[str, Callable[[NDArray[np.float64]], Affine]] = {
    "add": lambda x: Affine(1.0, x),
    "mul": Affine,
    "sub": lambda x: Affine(1.0, -x),
    "rsub": lambda x: Affine(-1.0, x),
    "div": lambda x: Affine(1.0 / x),
}

_Chain: TypeAlias = tuple[tuple[str, Part], ...]


def read(path: Path) -> tuple[dict[str, NDArray[Any]], None]:
    """Return the tensors of a state_dict, alone or in a checkpoint; bfloat16 becomes float32.

    Raise WeightsError for other files, and MissingPackageError if torch is not installed.
    """
    stream = io.BytesIO(path.read_bytes())
    torch = import_optional("torch", _NEED, "torch>=2.10")
    if torch.__version__ < _OLDEST:
        msg = f"{_NEED}; got {torch.__version__}"
        raise WeightsError(msg, file=path)
    try:
        with warnings.catch_warnings(action="ignore"):
            _check_archive(stream)
            found = torch.load(stream, map_location="cpu", weights_only=True)
            for key in _CHECKPOINT_KEYS:
                found = found[key] if isinstance(found.get(key), Mapping) else found
            # Without the counters of BatchNorm, whose other arrays are rejected by their names.
            kept = {x: y for x, y in found.items() if not x.endswith("num_batches_tracked")}
            return {name: to_numpy(tensor) for name, tensor in kept.items()}, None
    except Exception as error:
        msg = "damaged, or not tensors alone: write it by torch.save(model.state_dict(), path)"
        raise WeightsError(msg, file=path) from error


def _check_archive(stream: io.BytesIO) -> None:
    """Raise an error for what torch does not look at: checksums, and members marked as folders."""
    with zipfile.ZipFile(stream) as archive:  # no file of torch before 1.6, which has no checksums
        if archive.testzip() or any(x.external_attr & 0x10 for x in archive.infolist()):
            raise ValueError
    stream.seek(0)


def from_torch(module: Any, /) -> Network:
    """Return the network of a torch module, on the host.

    Parameters
    ----------
    module : torch.nn.Module
        A module whose forward takes rows and is a chain of Linear layers and activations, as
        modules, functions or methods, in nested modules as well. Flatten, view and reshape to rows,
        Dropout and Identity are skipped; BatchNorm1d is folded into a neighbouring layer;
        arithmetic with constants before the first layer, such as ``x / 255``, becomes
        preprocessing. Parameters may be on any device. The module is left as it is.

    Returns
    -------
    Network
        In the module's own dtype (bfloat16 becomes float32), with ``output="probabilities"`` if
        the last activation is a softmax, or the sigmoid of one unit. It takes the module's inputs:
        for raw bytes and a module of pixels in 0..1, add the step ``xpnet.Scale(1 / 255)``. Nothing
        warns without it, unless the module standardises pixels.

    Raises
    ------
    TypeError
        If `module` is no module, or calls another function: the message names the first one.
    ValueError
        If an operation has settings that xpnet's function lacks; a parameter is NaN or infinite;
        the layers do not fit or are missing; or the network differs from the module on random
        rows, in float64 if a copy of the module computes in it.

    Examples
    --------
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2)))  # doctest: +SKIP
    Network(4 -> 2 identity; logits; float32, numpy)
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        msg = f"`module` must be a torch.nn.Module; got {type(module).__name__}"
        raise TypeError(msg)
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    modes = [(part, part.training) for part in module.modules()]
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            rows, chain = _record(torch, module.eval())
            outputs, epsilon = _original(torch, module, rows)
            return network_of_chain(chain, outputs, epsilon=epsilon)
    finally:
        for part, mode in modes:
            part.training = mode


def _rejection(what: str) -> TypeError:
    rule = "`module` must be a chain of Linear layers and activations"
    remedy = "pass nn.Sequential of the layers, or build xpnet.Network"
    return TypeError(f"{rule}; got {what}: {remedy}")


def _original(torch: Any, module: Any, rows: Any) -> tuple[Outputs, float]:
    """Return a module as a function of arrays, and the epsilon of what it computes.

    A copy computes in float64, unless the forward, a class of the user's or the device cannot.
    """
    try:
        double, wide = copy.deepcopy(module).double(), rows.double()
        if double(wide).dtype == torch.float64:
            module, rows = double, wide
    except Exception:  # noqa: BLE001, S110
        pass
    floating = [x.dtype for x in module.parameters() if x.is_floating_point()]
    epsilon = max(torch.finfo(dtype).eps for dtype in floating)
    return lambda x: np.asarray(to_numpy(module(torch.asarray(x).to(rows)))), epsilon


def _record(torch: Any, module: Any) -> tuple[Any, _Chain]:
    """Return rows that a module takes, as wide as one of its layers, and what it does with them."""
    refused: list[Exception] = []
    reason = None
    for first in (x for x in module.modules() if isinstance(x, torch.nn.Linear)):
        rows = first.weight.new_zeros(2, first.in_features)
        try:
            if (chain := _chain_of(torch, module, rows, refused)) is not None:
                return rows, chain
        except Exception as error:  # noqa: BLE001 (of rows that do not fit)
            reason = reason or error
        if refused:
            raise refused[0]
    msg = "a forward that does not return one result of Linear layers for rows"
    raise _rejection(msg) from reason


def _chain_of(torch: Any, module: Any, rows: Any, refused: list[Exception]) -> _Chain | None:
    """Return the operations from two rows to the result of a module; None if no chain has it.

    Errors about functions that no chain has are added to a list, since the forward may catch them.
    """
    # By identity; the tensors are kept, so that no other one gets theirs.
    chains: dict[int, tuple[Any, _Chain]] = {id(rows): (rows, ())}

    class Recording(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, _: Any, args: Any = (), options: Any = None
        ) -> Any:
            options = options or {}
            given = (*args, *options.values())
            values = [y for x in given for y in (x if isinstance(x, list | tuple) else (x,))]
            inputs = [x for x in values if id(x) in chains]
            name = function.__name__
            if name == "__get__":
                name = getattr(function.__self__, "__name__", "property")
            name = name.strip("_")
            if not inputs or name in _FACTS:
                return function(*args, **options)
            try:
                part = _part(torch, name, inputs, args, options)
            except (TypeError, ValueError) as error:
                refused.append(error)
                raise
            result = function(*args, **options)
            before = chains[id(inputs[0])][1]
            chains[id(result)] = result, before if part is None else (*before, (name, part))
            return result

    with Recording():
        result = module(rows)
    found, chain = chains.get(id(result), (None, None))
    return chain if found is not None and len(found) == 2 else None


def _part(
    torch: Any, name: str, inputs: Sequence[Any], args: Sequence[Any], options: Mapping[str, Any]
) -> Part | None:
    """Return the operation of a function; None if it leaves the values unchanged.

    `inputs` are those of its arguments that depend on the rows.
    """
    plain = name.replace("_", "").lower()
    rows_first = bool(args) and args[0] is inputs[0]
    if plain in _NEUTRAL:
        return None
    if plain in _ARITHMETIC and (len(inputs), len(args), len(options)) == (1, 2, 0):
        other = args[1 if rows_first else 0]
        number = to_numpy(other) if isinstance(other, torch.Tensor) else np.asarray(other)
        plain = "rsub" if plain == "sub" and not rows_first else plain
        return _ARITHMETIC[plain](number.astype(np.float64, casting="same_kind"))
    if plain in _LAYERS and rows_first:
        return _LAYERS[plain](*args[1:], **options)
    if plain in _ACTIVATIONS and rows_first:
        return _activation(torch.nn, _ACTIVATIONS[plain], args[1:], options)
    msg = f"the function {name}"
    raise _rejection(msg)


def _linear(weight: Any, bias: Any = None) -> Linear:
    return Linear(to_numpy(weight).T, None if bias is None else to_numpy(bias))


def _batch_norm(
    mean: Any, variance: Any, *, weight: Any, bias: Any, eps: float, training: bool, **_: Any
) -> Affine:
    if training:
        msg = "batch_norm must have training=False, and statistics; got those of the rows"
        raise ValueError(msg)
    gamma = 1.0 if weight is None else to_numpy(weight)
    beta = 0.0 if bias is None else to_numpy(bias)
    return Affine.normalization(to_numpy(mean), to_numpy(variance), eps, gamma, beta)


_LAYERS: dict[str, Callable[..., Part]] = {
    "batchnorm": _batch_norm,
    "linear": _linear,
    "matmul": lambda x: Linear(to_numpy(x).reshape(len(x), -1)),
    "mm": lambda x: Linear(to_numpy(x)),
}


def _activation(
    modules: Any, row: Activation, args: Sequence[Any], options: Mapping[str, Any]
) -> Activate:
    """Return an activation; the arguments of a function, beside the rows, are its module's."""
    kind = str(row.torch)
    given = {x: y for x, y in options.items() if x not in {"dtype", "inplace", "_stacklevel"}}
    module = getattr(modules, kind)(*args, **given)
    if kind == "Hardtanh" and (module.min_val, module.max_val) == (0, 6):
        return Activate("relu6")
    for option, value in _FIXED.get(kind, {}).items():
        if getattr(module, option) != value:
            msg = f"{kind} must have {option}={value}; got {getattr(module, option)}"
            raise ValueError(msg)
    return Activate(row.name, {option: getattr(module, option) for option in row.options})
