"""The true values of functions of one variable, and who else computes them.

One row per function. ``formula`` is the truth in float64, for all inputs of a block at once;
``exact`` is the same in mpmath, in a form as close to the definition as can be, and `check`
holds the one against the other. No formula is taken from xpnet.

SciPy and mpmath are imported where they are used, so that the rows can be listed without them.
"""

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS", "Call", "Inputs", "Row", "check", "true_values"]

F64 = NDArray[np.float64]

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
GELU_CUBIC = 0.044715
SHRINK = 0.5
# Below this, x - tanh(x) loses more digits than the series does by ending.
TANH_SHRINK_SERIES_BELOW = 0.05
TANH_SHRINK_SERIES = (1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075)


class Inputs:
    """A block of inputs in float64, with the intermediate results that formulas share.

    Parameters
    ----------
    x : array of float64
        The inputs, exactly.
    """

    def __init__(self, x: F64) -> None:
        self.x = x

    @cached_property
    def tail(self) -> F64:
        """exp(-abs(x)), which cannot overflow."""
        return np.exp(-np.abs(self.x))

    @cached_property
    def log1p_tail(self) -> F64:
        """log(1 + exp(-abs(x)))."""
        return np.log1p(self.tail)

    @cached_property
    def expit(self) -> F64:
        """1 / (1 + exp(-x))."""
        return _expit(self.x, self.tail)

    @cached_property
    def expm1(self) -> F64:
        """exp(x) - 1."""
        return np.expm1(self.x)

    @cached_property
    def tanh(self) -> F64:
        """The hyperbolic tangent."""
        return np.tanh(self.x)


def _special() -> Any:
    return importlib.import_module("scipy.special")


def _expit(x: F64, tail: F64) -> F64:
    return np.where(x >= 0, 1.0, tail) / (1.0 + tail)


def _gelu(t: Inputs) -> F64:
    values: F64 = 0.5 * t.x * _special().erfc(t.x * -math.sqrt(0.5))
    return values


def _gelu_tanh(t: Inputs) -> F64:
    # (1 + tanh(u)) / 2 is the sigmoid of 2u, which keeps the digits of the negative tail.
    doubled = math.sqrt(8 / math.pi) * (t.x + GELU_CUBIC * t.x * t.x * t.x)
    return t.x * _expit(doubled, np.exp(-np.abs(doubled)))


def _mish(t: Inputs) -> F64:
    # tanh(log(1 + e)) is (e^2 + 2 e) / (e^2 + 2 e + 2); for x > 0 both are divided by e^2.
    n = t.tail
    upper = np.where(t.x >= 0, 1.0 + 2.0 * n, n * (n + 2.0))
    return t.x * (upper / (upper + np.where(t.x >= 0, 2.0 * n * n, 2.0)))


def _squareplus(t: Inputs) -> F64:
    root = np.sqrt(t.x * t.x + 4.0)
    # Each denominator is kept from the cancellation of the half where it is not used.
    return np.where(t.x >= 0, (t.x + root) / 2.0, 2.0 / (root + np.abs(t.x)))


def _tanh_shrink(t: Inputs) -> F64:
    values = t.x - t.tanh
    near = np.flatnonzero(np.abs(t.x) < TANH_SHRINK_SERIES_BELOW)
    if near.size:
        x = t.x[near]
        squared = x * x
        values[near] = np.polyval(TANH_SHRINK_SERIES[::-1], squared) * squared * x
    return values


def _elu(t: Inputs) -> F64:
    return np.where(t.x > 0, t.x, t.expm1)


def _sparse_plus(t: Inputs) -> F64:
    inside = np.clip(t.x, -1.0, 1.0) + 1.0
    return np.where(t.x >= 1, t.x, inside * inside / 4.0)


def _hard_sigmoid(t: Inputs) -> F64:
    return np.clip(t.x + 3.0, 0.0, 6.0) / 6.0


@dataclass(frozen=True)
class Call:
    """Another library's function, and the arguments that make it the one of the row."""

    path: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def library(self) -> str:
        """The library that computes it."""
        return self.path.partition(".")[0]

    def resolve(self) -> Callable[[Any], Any]:
        """Return the function of one array."""
        module, _, name = self.path.rpartition(".")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        if not self.arguments and not self.options:
            return function
        return lambda x: function(x, *self.arguments, **self.options)


@dataclass(frozen=True)
class Row:
    """One function: its truth, its name in xpnet, and its names elsewhere.

    Attributes
    ----------
    formula : callable
        ``formula(inputs)``: the true values in float64, wherever the input is finite.
    exact : callable
        ``exact(x, mp)``: the same for one number of mpmath.
    limits : tuple of two numbers
        The values at -inf and at inf.
    calls : tuple of Call
        The same function in other libraries, at most one for each.
    xpnet : str or None, default None
        The public name in xpnet; ``None`` for a primitive, which xpnet only builds upon.
    options : dict
        The options of the function of xpnet.
    """

    formula: Callable[[Inputs], F64]
    exact: Callable[[Any, Any], Any]
    limits: tuple[float, float]
    calls: tuple[Call, ...] = ()
    xpnet: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def _calls(*paths: str) -> tuple[Call, ...]:
    return tuple(Call(path) for path in paths)


def _torch_and_jax(torch: str, jax: str) -> tuple[Call, ...]:
    return _calls(f"torch.nn.functional.{torch}", f"jax.nn.{jax}")


INF = math.inf

ROWS: dict[str, Row] = {
    # What xpnet builds upon: the libraries' own.
    "exp": Row(
        lambda t: np.exp(t.x),
        lambda x, mp: mp.exp(x),
        (0, INF),
        _calls("numpy.exp", "torch.exp", "jax.numpy.exp"),
    ),
    "expm1": Row(
        lambda t: t.expm1,
        lambda x, mp: mp.expm1(x),
        (-1, INF),
        _calls("numpy.expm1", "torch.expm1", "jax.numpy.expm1"),
    ),
    "log": Row(
        lambda t: np.log(t.x),
        lambda x, mp: mp.log(x),
        (math.nan, INF),
        _calls("numpy.log", "torch.log", "jax.numpy.log"),
    ),
    "log1p": Row(
        lambda t: np.log1p(t.x),
        lambda x, mp: mp.log1p(x),
        (math.nan, INF),
        _calls("numpy.log1p", "torch.log1p", "jax.numpy.log1p"),
    ),
    # The functions of xpnet.
    "step": Row(
        lambda t: (t.x > 0).astype(np.float64),
        lambda x, _mp: int(x > 0),
        (0, 1),
        (Call("numpy.heaviside", (np.float32(0),)), Call("jax.numpy.heaviside", (0.0,))),
        "step",
    ),
    "sigmoid": Row(
        lambda t: t.expit,
        lambda x, mp: 1 / (1 + mp.exp(-x)),
        (0, 1),
        _calls("scipy.special.expit", "torch.sigmoid", "jax.nn.sigmoid"),
        "sigmoid",
    ),
    "relu": Row(
        lambda t: np.maximum(t.x, 0.0),
        lambda x, _mp: max(x, 0),
        (0, INF),
        _torch_and_jax("relu", "relu"),
        "relu",
    ),
    "identity": Row(lambda t: t.x, lambda x, _mp: x, (-INF, INF), (), "identity"),
    "tanh": Row(
        lambda t: t.tanh,
        lambda x, mp: mp.tanh(x),
        (-1, 1),
        _calls("numpy.tanh", "torch.tanh", "jax.numpy.tanh"),
        "tanh",
    ),
    "exponential": Row(lambda t: np.exp(t.x), lambda x, mp: mp.exp(x), (0, INF), (), "exponential"),
    "leaky_relu": Row(
        lambda t: np.where(t.x > 0, t.x, 0.01 * t.x),
        lambda x, mp: x if x > 0 else x * mp.mpf(0.01),
        (-INF, INF),
        _torch_and_jax("leaky_relu", "leaky_relu"),
        "leaky_relu",
    ),
    "elu": Row(
        _elu,
        lambda x, mp: x if x > 0 else mp.expm1(x),
        (-1, INF),
        _torch_and_jax("elu", "elu"),
        "elu",
    ),
    "selu": Row(
        lambda t: SELU_SCALE * np.where(t.x > 0, t.x, SELU_ALPHA * t.expm1),
        lambda x, mp: mp.mpf(SELU_SCALE) * (x if x > 0 else mp.mpf(SELU_ALPHA) * mp.expm1(x)),
        (-SELU_SCALE * SELU_ALPHA, INF),
        _torch_and_jax("selu", "selu"),
        "selu",
    ),
    "celu": Row(
        _elu,
        lambda x, mp: x if x > 0 else mp.expm1(x),
        (-1, INF),
        _torch_and_jax("celu", "celu"),
        "celu",
    ),
    "gelu": Row(
        _gelu,
        lambda x, mp: x * mp.ncdf(x),
        (0, INF),
        (
            Call("torch.nn.functional.gelu"),
            Call("jax.nn.gelu", options={"approximate": False}),
        ),
        "gelu",
    ),
    "gelu_tanh": Row(
        _gelu_tanh,
        lambda x, mp: x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + mp.mpf(GELU_CUBIC) * x**3))),
        (0, INF),
        (
            Call("torch.nn.functional.gelu", options={"approximate": "tanh"}),
            Call("jax.nn.gelu", options={"approximate": True}),
        ),
        "gelu",
        {"approximate": "tanh"},
    ),
    "silu": Row(
        lambda t: t.x * t.expit,
        lambda x, mp: x / (1 + mp.exp(-x)),
        (0, INF),
        _torch_and_jax("silu", "silu"),
        "silu",
    ),
    "mish": Row(
        _mish,
        lambda x, mp: x * mp.tanh(mp.log1p(mp.exp(x))),
        (0, INF),
        _torch_and_jax("mish", "mish"),
        "mish",
    ),
    "softplus": Row(
        lambda t: np.maximum(t.x, 0.0) + t.log1p_tail,
        lambda x, mp: mp.log1p(mp.exp(x)),
        (0, INF),
        (Call("numpy.logaddexp", (np.float32(0),)), *_torch_and_jax("softplus", "softplus")),
        "softplus",
    ),
    "log_sigmoid": Row(
        lambda t: np.minimum(t.x, 0.0) - t.log1p_tail,
        lambda x, mp: -mp.log1p(mp.exp(-x)),
        (-INF, 0),
        (Call("scipy.special.log_expit"), *_torch_and_jax("logsigmoid", "log_sigmoid")),
        "log_sigmoid",
    ),
    "softsign": Row(
        lambda t: t.x / (1.0 + np.abs(t.x)),
        lambda x, _mp: x / (1 + abs(x)),
        (-1, 1),
        _torch_and_jax("softsign", "soft_sign"),
        "softsign",
    ),
    "erf": Row(
        lambda t: _special().erf(t.x),
        lambda x, mp: mp.erf(x),
        (-1, 1),
        _calls("scipy.special.erf", "torch.erf", "jax.scipy.special.erf"),
        "erf",
    ),
    "relu6": Row(
        lambda t: np.clip(t.x, 0.0, 6.0),
        lambda x, _mp: min(max(x, 0), 6),
        (0, 6),
        _torch_and_jax("relu6", "relu6"),
        "relu6",
    ),
    "squareplus": Row(
        _squareplus,
        lambda x, mp: (x + mp.sqrt(x * x + 4)) / 2,
        (0, INF),
        _calls("jax.nn.squareplus"),
        "squareplus",
    ),
    "hard_sigmoid": Row(
        _hard_sigmoid,
        lambda x, _mp: min(max((x + 3) / 6, 0), 1),
        (0, 1),
        _torch_and_jax("hardsigmoid", "hard_sigmoid"),
        "hard_sigmoid",
    ),
    "hard_silu": Row(
        lambda t: t.x * _hard_sigmoid(t),
        lambda x, _mp: x * min(max((x + 3) / 6, 0), 1),
        (0, INF),
        _torch_and_jax("hardswish", "hard_silu"),
        "hard_silu",
    ),
    "hard_tanh": Row(
        lambda t: np.clip(t.x, -1.0, 1.0),
        lambda x, _mp: min(max(x, -1), 1),
        (-1, 1),
        _torch_and_jax("hardtanh", "hard_tanh"),
        "hard_tanh",
    ),
    "hard_shrink": Row(
        lambda t: np.where(np.abs(t.x) > SHRINK, t.x, 0.0),
        lambda x, _mp: x if abs(x) > SHRINK else 0,
        (-INF, INF),
        _calls("torch.nn.functional.hardshrink"),
        "hard_shrink",
    ),
    "soft_shrink": Row(
        lambda t: t.x - np.clip(t.x, -SHRINK, SHRINK),
        lambda x, _mp: max(x - SHRINK, 0) + min(x + SHRINK, 0),
        (-INF, INF),
        _calls("torch.nn.functional.softshrink"),
        "soft_shrink",
    ),
    "tanh_shrink": Row(
        _tanh_shrink,
        lambda x, mp: x - mp.tanh(x),
        (-INF, INF),
        _calls("torch.nn.functional.tanhshrink"),
        "tanh_shrink",
    ),
    "threshold": Row(
        lambda t: np.where(t.x > 1.0, t.x, 0.25),
        lambda x, mp: x if x > 1 else mp.mpf(0.25),
        (0.25, INF),
        (Call("torch.nn.functional.threshold", (1.0, 0.25)),),
        "threshold",
        {"threshold": 1.0, "value": 0.25},
    ),
    "sparse_plus": Row(
        _sparse_plus,
        lambda x, _mp: 0 if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
        (0, INF),
        _calls("jax.nn.sparse_plus"),
        "sparse_plus",
    ),
    "sparse_sigmoid": Row(
        lambda t: (np.clip(t.x, -1.0, 1.0) + 1.0) / 2.0,
        lambda x, _mp: min(max((x + 1) / 2, 0), 1),
        (0, 1),
        _calls("jax.nn.sparse_sigmoid"),
        "sparse_sigmoid",
    ),
}


def true_values(row: Row, inputs: Inputs, *, all_finite: bool) -> F64:
    """Return the true values; `all_finite` promises that no input is infinite or NaN."""
    values = row.formula(inputs)
    if all_finite:
        return values
    return np.select(
        [inputs.x == -INF, inputs.x == INF, np.isnan(inputs.x)], [*row.limits, math.nan], values
    )


# What a formula may differ from the truth, relatively: some 1e-5 units in float32's last place.
TOLERANCE = 1e-12
# Far below float32, where only the absolute value counts, and far above.
NOTHING, EVERYTHING = 1e-60, 1e60
# x - tanh(x) and x + sqrt(x^2 + 4) cancel up to 90 and 77 digits.
DIGITS = 130


def check(names: list[str], n_points: int = 100) -> Iterator[str]:
    """Hold the formulas against mpmath, and yield a line for each that fails."""
    mp = importlib.import_module("mpmath").mp.clone()
    mp.dps = DIGITS
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2**32, n_points, dtype=np.uint32).view(np.float32)
    points = np.concatenate(
        [
            patterns[np.isfinite(patterns)],
            rng.uniform(-8, 8, n_points).astype(np.float32),
            rng.uniform(-110, 95, n_points).astype(np.float32),
        ]
    ).astype(np.float64)
    for name in names:
        with np.errstate(all="ignore"):
            values = true_values(ROWS[name], Inputs(points), all_finite=True)
        for x, value in zip(points.tolist(), values.tolist(), strict=True):
            exact = ROWS[name].exact(mp.mpf(x), mp)
            if not _agrees(value, exact, mp):
                yield f"{name} at {x!r} is {mp.nstr(exact, 20)}, not {value!r}"
                break


def _agrees(value: float, exact: Any, mp: Any) -> bool:
    if isinstance(exact, mp.mpc):  # outside the domain
        return math.isnan(value)
    if math.isnan(value):
        return False
    if abs(exact) > EVERYTHING:
        return abs(value) > EVERYTHING and (value > 0) == (exact > 0)
    return bool(abs(exact - value) <= max(NOTHING, TOLERANCE * abs(exact)))
