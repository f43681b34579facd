"""Chains of operations, as torch, Keras and ONNX compute them, and the network of a chain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.deviation import deviation
from xpnet.formats.description import check_parameters
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.network import Network
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["Activate", "Affine", "Linear", "Outputs", "Part", "check_outputs", "network_of_chain"]

# Numbers of rows, on which no output may depend.
_BATCHES = (1, 3, 16, 100)
_EPSILON = 2.0**-52  # of float64


@dataclass(frozen=True, eq=False)
class Linear:
    """``x @ weight + bias`` with a weight of shape (n_in, n_out); the bias may be missing."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """``x * factor + shift`` in float64: arrays of no axis, or of one value per column."""

    factor: Any
    shift: Any = 0.0

    def __post_init__(self) -> None:
        for name in ("factor", "shift"):
            x = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, x.reshape(-1 if x.size > 1 else ()))

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


Part: TypeAlias = Linear | Affine | Activate
Outputs: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


def network_of_chain(
    chain: Iterable[tuple[str, Part]],
    outputs: Outputs,
    *,
    epsilon: float = _EPSILON,
    batches: Sequence[int] = _BATCHES,
) -> Network:
    """Return the network of operations, each with its position, such as "Dense at fc1".

    Affine operations before the first layer become preprocessing; others are folded into the layer
    before them, or into the next one if they follow an activation. The network is made in float64,
    compared with the original by `check_outputs`, and rounded to the dtype of the parameters.

    Raise TypeError if parameters are no floating-point numbers, and ValueError if an operation has
    no layer, the widths do not fit, a parameter is infinite or NaN, or the outputs differ.
    """
    layers: list[Dense] = []
    steps: list[Step] = []
    waiting: list[tuple[str, Affine]] = []  # for the next layer
    is_open = False  # whether the last layer lacks an activation
    dtypes = []
    for where, part in chain:
        if isinstance(part, Linear):
            named = {"weight": part.weight, "bias": part.bias}
            arrays = {f"{name} of {where}": x for name, x in named.items() if x is not None}
            check_parameters(arrays)
            dtypes += [x.dtype for x in arrays.values()]
            layers.append(_dense(part, waiting))
            waiting, is_open = [], True
        elif isinstance(part, Affine) and is_open:
            last, (factor, shift) = layers[-1], _columns(part, layers[-1].n_out, where)
            layers[-1] = Dense(last.weight * factor, last.bias * factor + shift)
        elif isinstance(part, Affine) and (layers or waiting or not np.all(part.factor)):
            waiting.append((where, part))
        elif isinstance(part, Affine):
            steps = _with_step(steps, part)
        elif part.name not in {"identity", "linear"}:
            if not is_open:
                msg = f"{where} must follow a fully connected layer"
                raise ValueError(msg)
            layers[-1] = replace(layers[-1], activation=part.name, options=part.options)
            is_open = False
    if not layers or waiting:
        place = f" after {waiting[0][0]}" if waiting else ""
        msg = f"the model must have a fully connected layer{place}; got none"
        raise ValueError(msg)
    network = Network(layers, preprocessing=steps, output=output_of(layers))
    check_parameters(named_arrays(network))
    check_outputs(network, outputs, epsilon=epsilon, batches=batches)
    return network.astype(np.result_type(*dtypes))


def _dense(part: Linear, before: Sequence[tuple[str, Affine]]) -> Dense:
    """Return a layer in float64, with operations on its inputs folded into it."""
    weight = np.asarray(part.weight, np.float64)
    n_in, n_out = weight.shape
    bias = np.zeros(n_out) if part.bias is None else np.asarray(part.bias, np.float64)
    for where, affine in reversed(before):
        factor, shift = _columns(affine, n_in, where)
        bias, weight = bias + shift @ weight, weight * factor[:, np.newaxis]
    return Dense(weight, bias)


def _columns(affine: Affine, width: int, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return factor and shift as arrays of one value per column."""
    sizes = {affine.factor.size, affine.shift.size}
    if not sizes <= {1, width}:
        msg = f"{where} must have {width} values; got {max(sizes)}"
        raise ValueError(msg)
    return np.broadcast_to(affine.factor, width), np.broadcast_to(affine.shift, width)


def _with_step(steps: list[Step], affine: Affine) -> list[Step]:
    """Return preprocessing with an operation as its last step, unless it changes nothing."""
    if np.all(affine.factor == 1.0) and not np.any(affine.shift):
        return steps
    factor, shift = (float(x) if x.ndim == 0 else x for x in (affine.factor, affine.shift))
    last = steps[-1] if steps and not np.any(shift) else None
    if isinstance(last, Standardize) and np.all(last.scale == 1.0):
        return [*steps[:-1], Standardize(last.mean, 1.0 / factor)]  # x - mean, then / scale
    if isinstance(factor, float) and not np.any(shift):
        return [*steps, Scale(factor)]
    return [*steps, Standardize(-shift / factor, 1.0 / factor)]


@np.errstate(all="ignore")  # exp of large numbers, for example
def check_outputs(
    network: Network,
    outputs: Outputs,
    *,
    epsilon: float = _EPSILON,
    batches: Sequence[int] = _BATCHES,
) -> None:
    """Raise ValueError unless a network gives the outputs of its original for random rows.

    Parameters
    ----------
    network : Network
        On the host, in the dtype in which it is computed here.
    outputs : callable
        Returns the n rows of outputs of the original for rows of shape (n, n_in), in any shape.
    epsilon : float, default 2 ** -52
        Of the dtype in which the original is computed.
    batches : sequence of int
        The numbers of rows that `outputs` is called with; no output may depend on them.

    Notes
    -----
    A wrong or missing operation changes how an output varies from row to row. So an output must
    agree within a share of its spread over the rows, half of the digits of float32, since options
    of activations are often stored in float32. Large rows have at least the spread of small ones:
    they may saturate all units. Of an output's size, which a large bias may dominate, only the
    rounding of the original is allowed, at least that of 1, as in the tail of an activation.

    Behind preprocessing, such rows may saturate all units, too: others are drawn that it turns into
    numbers of the size of one. Numbers that overflow in the original are not compared, since
    rounding decides which; beside them, the spread of an output is its size.
    """
    draw = np.random.default_rng(0)
    shape = (sum(batches), network.n_in)
    share = np.sqrt(max(epsilon, np.finfo(np.float32).eps, np.finfo(network.dtype).eps))
    spread, is_compared = np.zeros(network.n_out), np.zeros(network.n_out, bool)
    draws = [draw.standard_normal(shape), draw.uniform(0.0, 255.0, shape)]
    steps = network.preprocessing
    if steps and epsilon <= np.finfo(np.float32).eps:  # other dtypes would round such rows too much
        draws.append(_before(steps, draw.standard_normal(shape)))
    for rows in draws:
        x = rows.astype(network.dtype)
        parts = np.split(x, np.cumsum(batches)[:-1])
        try:
            results = [np.reshape(outputs(y), (len(y), network.n_out)) for y in parts]
        except Exception as error:
            line = str(error).strip().partition("\n")[0]
            widths = f"{network.n_out} outputs for each row of {network.n_in} numbers"
            msg = f"the model must give {widths}; got {line:.200}"
            raise ValueError(msg) from error
        expected, found = _finite(np.concatenate(results)), _finite(network(x))
        size, overflows = np.fmax.reduce(np.abs(expected)), np.isnan(expected)
        spread = np.fmax(spread, np.fmax.reduce(expected) - np.fmin.reduce(expected))
        is_compared |= ~overflows.all(axis=0)
        bound = share * np.where(overflows.any(axis=0), size, spread)
        bound += min(64.0 * epsilon, share) * np.fmax(size, 1.0)
        apart = deviation(found, expected, np.where(overflows, np.inf, bound))
        if apart.n_exceeding:
            pair = f"{found[apart.worst]:.6g} instead of {expected[apart.worst]:.6g}"
            msg = f"the network must give the model's outputs for random rows; got {pair}"
            raise ValueError(msg)
    if not is_compared.all():
        msg = "the model must give finite outputs for random rows; got NaN or infinity"
        raise ValueError(msg)


def _before(steps: Sequence[Step], rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows that preprocessing turns into given rows, but for rounding to float32."""
    for step in reversed(steps):
        if isinstance(step, Scale):
            rows = rows / step.factor
        elif isinstance(step, Standardize):
            rows = rows * step.scale + step.mean
    return rows.astype(np.float32).astype(np.float64)


def _finite(x: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in float64, NaN for infinity: rounding decides which numbers overflow."""
    x = np.asarray(x, np.float64)
    return np.where(np.isfinite(x), x, np.nan)
