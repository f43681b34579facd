"""Chains of operations, as torch, Keras and ONNX compute them, and the network of a chain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation
from xpnet.formats.checked_parameters import check_finite
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["Activate", "Affine", "Linear", "Part", "check_outputs", "network_of_chain"]

# Numbers of rows, on which no output may depend.
_BATCHES = (1, 3, 16, 100)


@dataclass(frozen=True, eq=False)
class Linear:
    """``x @ weight + bias`` with a weight of shape (n_in, n_out); the bias may be missing."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """``x * factor + shift`` in float64: numbers, or arrays of one value per column."""

    factor: Any = 1.0
    shift: Any = 0.0

    @classmethod
    def normalization(
        cls, mean: Any, variance: Any, epsilon: float, gamma: Any, beta: Any
    ) -> "Affine":
        """Return the `Affine` that is ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``."""
        numbers = (np.asarray(x, np.float64) for x in (mean, variance, gamma, beta))
        mean, variance, gamma, beta = numbers
        factor = gamma / np.sqrt(variance + epsilon)
        return cls(factor, beta - mean * factor)


@dataclass(frozen=True)
class Activate:
    """An activation of xpnet, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


Part: TypeAlias = Linear | Affine | Activate | Step


@np.errstate(all="ignore")  # of a negative variance, for example: the results are checked
def network_of_chain(
    chain: Iterable[tuple[str, Part]], *, allow_nonfinite: bool = False
) -> Network:
    """Return the network of operations, each with its position, such as "Dense at fc1".

    Affine operations before the first layer become preprocessing; others are folded into the layer
    before them, or into the next one if they follow an activation. Steps of preprocessing must come
    before the layers. Raise ValueError if an operation has no layer, the widths do not fit, or a
    parameter is infinite or NaN.
    """
    layers: list[Dense] = []
    steps: list[Step] = []
    waiting: list[tuple[str, Affine]] = []  # for the next layer
    is_open = False  # whether the last layer lacks an activation
    for where, part in chain:
        if isinstance(part, Linear):
            layers.append(_dense(part, waiting))
            waiting, is_open = [], True
        elif isinstance(part, Affine) and is_open:
            layers[-1] = _folded_into_outputs(layers[-1], part, where)
        elif isinstance(part, Affine) and (layers or waiting or not np.all(part.factor)):
            waiting.append((where, part))
        elif not isinstance(part, Activate):
            steps = _with_step(steps, part)
        elif part.name not in {"identity", "linear"}:
            if not is_open:
                msg = f"{where} must follow a fully connected layer"
                raise ValueError(msg)
            layers[-1] = replace(layers[-1], activation=part.name, options=part.options)
            is_open = False
    if not layers or waiting:
        where = f"a fully connected layer after {waiting[0][0]}" if waiting else "one at least"
        msg = f"the model must have fully connected layers, {where}; got none"
        raise ValueError(msg)
    network = Network(layers, preprocessing=steps, output=output_of(layers))
    if not allow_nonfinite:
        check_finite(named_arrays(network))
    return network


def _dense(part: Linear, before: list[tuple[str, Affine]]) -> Dense:
    """Return a layer of its own arrays, with operations on its inputs folded into it."""
    dtype = part.weight.dtype
    n_in, n_out = part.weight.shape
    weight = np.asarray(part.weight, np.float64 if before else dtype)
    bias = np.zeros(n_out, dtype) if part.bias is None else part.bias
    for where, affine in reversed(before):
        factor, shift = _columns(affine, n_in, where)
        bias, weight = bias + shift @ weight, weight * factor[:, np.newaxis]
    return Dense(weight.astype(dtype, copy=False), bias.astype(dtype, copy=False))


def _folded_into_outputs(layer: Dense, affine: Affine, where: str) -> Dense:
    factor, shift = _columns(affine, layer.n_out, where)
    weight, bias = layer.weight * factor, layer.bias * factor + shift
    return Dense(weight.astype(layer.weight.dtype), bias.astype(layer.bias.dtype))


def _columns(affine: Affine, width: int, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return factor and shift as arrays of one value per column."""
    sizes = {np.size(affine.factor), np.size(affine.shift)}
    if not sizes <= {1, width}:
        msg = f"{where} must have {width} values; got {max(sizes)}"
        raise ValueError(msg)
    factor, shift = (np.asarray(x, np.float64) for x in (affine.factor, affine.shift))
    return np.broadcast_to(factor, width), np.broadcast_to(shift, width)


def _with_step(steps: list[Step], affine: Affine | Step) -> list[Step]:
    """Return preprocessing with an operation as its last step."""
    if not isinstance(affine, Affine):
        return [*steps, affine]
    factor, shift = (float(x) if np.ndim(x) == 0 else x for x in (affine.factor, affine.shift))
    last = steps[-1] if steps and not np.any(shift) else None
    if isinstance(last, Standardize) and isinstance(last.scale, float) and last.scale == 1.0:
        return [*steps[:-1], Standardize(last.mean, 1.0 / factor)]  # x - mean, then / scale
    if isinstance(factor, float) and not np.any(shift):
        return [*steps, Scale(factor)]
    return [*steps, Standardize(-shift / factor, 1.0 / factor)]


def check_outputs(
    network: Network,
    outputs: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    epsilon: float,
    batches: Sequence[int] = _BATCHES,
) -> None:
    """Raise ValueError unless `outputs` gives those of the network for random rows, few and many.

    `epsilon` is that of the other program's dtype, and `batches` are numbers of rows. Rounding in
    another order costs a few digits, in deep and wide networks; a missing or wrong operation
    changes the first ones. So half of the digits must agree, relative to the largest output.
    """
    draw = np.random.default_rng(0)
    shape = (sum(batches), network.n_in)
    for rows in (draw.standard_normal(shape), draw.uniform(0.0, 255.0, shape)):
        x = rows.astype(network.dtype)
        with np.errstate(all="ignore"):  # exp of large numbers
            parts = [outputs(part).ravel() for part in np.split(x, np.cumsum(batches)[:-1])]
            found, expected = (_finite(y) for y in (network(x), np.concatenate(parts)))
        size = np.nanmax(np.abs(expected), initial=0.0)
        apart = deviation(found, expected, np.full(found.shape, np.sqrt(epsilon) * size))
        if apart.n_exceeding:
            i = apart.worst
            pair = f"{found[i]:.6g} instead of {expected[i]:.6g}"
            msg = f"the network must give the model's outputs for random rows; got {pair}"
            raise ValueError(msg)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in one row, NaN where they are infinite: rounding decides which overflow."""
    flat = values.reshape(-1).astype(np.float64)
    return np.where(np.isfinite(flat), flat, np.nan)
