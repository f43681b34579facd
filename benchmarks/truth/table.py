"""The table of functions of one variable: adding one is adding its row."""

import math
from importlib import import_module
from typing import Any

import numpy as np

from truth import formulas
from truth.formulas import GELU_CUBIC, SELU_ALPHA, SELU_SCALE, SHRINK, special
from truth.row import Call, Row

INF = math.inf

mp = import_module("mpmath").mp.clone()  # which has no types
mp.dps = 130  # x - tanh(x) and x + sqrt(x^2 + 4) cancel up to 90 and 77 digits


def _calls(*paths: str) -> tuple[Call, ...]:
    return tuple(Call(path) for path in paths)


def _torch(name: str, *arguments: float, **options: Any) -> Call:
    return Call(f"torch.nn.functional.{name}", arguments, options)


def _jax(name: str, **options: Any) -> Call:
    return Call(f"jax.nn.{name}", (), options)


# What xpnet builds upon: the libraries' own.
PRIMITIVES = {
    "exp": Row(
        lambda t: np.exp(t.x),
        mp.exp,
        (0, INF),
        _calls("numpy.exp", "torch.exp", "jax.numpy.exp"),
    ),
    "expm1": Row(
        lambda t: t.expm1,
        mp.expm1,
        (-1, INF),
        _calls("numpy.expm1", "torch.expm1", "jax.numpy.expm1"),
    ),
    "log": Row(
        lambda t: np.log(t.x),
        mp.log,
        (math.nan, INF),
        _calls("numpy.log", "torch.log", "jax.numpy.log"),
    ),
    "log1p": Row(
        lambda t: np.log1p(t.x),
        mp.log1p,
        (math.nan, INF),
        _calls("numpy.log1p", "torch.log1p", "jax.numpy.log1p"),
    ),
}

FUNCTIONS = {
    "step": Row(
        lambda t: (t.x > 0).astype(np.float64),
        lambda x: int(x > 0),
        (0, 1),
        (Call("numpy.heaviside", (np.float32(0),)), Call("jax.numpy.heaviside", (0.0,))),
    ),
    "sigmoid": Row(
        lambda t: t.expit,
        lambda x: 1 / (1 + mp.exp(-x)),
        (0, 1),
        _calls("scipy.special.expit", "torch.sigmoid", "jax.nn.sigmoid"),
    ),
    "relu": Row(
        lambda t: np.maximum(t.x, 0.0),
        lambda x: max(x, 0),
        (0, INF),
        (_torch("relu"), _jax("relu")),
    ),
    "identity": Row(lambda t: t.x, lambda x: x, (-INF, INF)),
    "tanh": Row(
        lambda t: t.tanh,
        mp.tanh,
        (-1, 1),
        _calls("numpy.tanh", "torch.tanh", "jax.numpy.tanh"),
    ),
    "exponential": Row(lambda t: np.exp(t.x), mp.exp, (0, INF)),
    "leaky_relu": Row(
        lambda t: np.where(t.x > 0, t.x, 0.01 * t.x),
        lambda x: x if x > 0 else x * mp.mpf(0.01),
        (-INF, INF),
        (_torch("leaky_relu"), _jax("leaky_relu")),
    ),
    "elu": Row(
        formulas.elu,
        lambda x: x if x > 0 else mp.expm1(x),
        (-1, INF),
        (_torch("elu"), _jax("elu")),
    ),
    "selu": Row(
        lambda t: SELU_SCALE * np.where(t.x > 0, t.x, SELU_ALPHA * t.expm1),
        lambda x: mp.mpf(SELU_SCALE) * (x if x > 0 else mp.mpf(SELU_ALPHA) * mp.expm1(x)),
        (-SELU_SCALE * SELU_ALPHA, INF),
        (_torch("selu"), _jax("selu")),
    ),
    "celu": Row(
        formulas.elu,
        lambda x: x if x > 0 else mp.expm1(x),
        (-1, INF),
        (_torch("celu"), _jax("celu")),
    ),
    "gelu": Row(
        formulas.gelu,
        lambda x: x * mp.ncdf(x),
        (0, INF),
        (_torch("gelu"), _jax("gelu", approximate=False)),
    ),
    "gelu_tanh": Row(
        formulas.gelu_tanh,
        lambda x: x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + mp.mpf(GELU_CUBIC) * x**3))),
        (0, INF),
        (_torch("gelu", approximate="tanh"), _jax("gelu", approximate=True)),
        "gelu",
        {"approximate": "tanh"},
    ),
    "silu": Row(
        lambda t: t.x * t.expit,
        lambda x: x / (1 + mp.exp(-x)),
        (0, INF),
        (_torch("silu"), _jax("silu")),
    ),
    "mish": Row(
        formulas.mish,
        lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
        (0, INF),
        (_torch("mish"), _jax("mish")),
    ),
    "softplus": Row(
        lambda t: np.maximum(t.x, 0.0) + t.log1p_tail,
        lambda x: mp.log1p(mp.exp(x)),
        (0, INF),
        (Call("numpy.logaddexp", (np.float32(0),)), _torch("softplus"), _jax("softplus")),
    ),
    "log_sigmoid": Row(
        lambda t: np.minimum(t.x, 0.0) - t.log1p_tail,
        lambda x: -mp.log1p(mp.exp(-x)),
        (-INF, 0),
        (Call("scipy.special.log_expit"), _torch("logsigmoid"), _jax("log_sigmoid")),
    ),
    "softsign": Row(
        lambda t: t.x / (1.0 + np.abs(t.x)),
        lambda x: x / (1 + abs(x)),
        (-1, 1),
        (_torch("softsign"), _jax("soft_sign")),
    ),
    "erf": Row(
        lambda t: special.erf(t.x),
        mp.erf,
        (-1, 1),
        _calls("scipy.special.erf", "torch.erf", "jax.scipy.special.erf"),
    ),
    "relu6": Row(
        lambda t: np.clip(t.x, 0.0, 6.0),
        lambda x: min(max(x, 0), 6),
        (0, 6),
        (_torch("relu6"), _jax("relu6")),
    ),
    "squareplus": Row(
        formulas.squareplus, lambda x: (x + mp.sqrt(x * x + 4)) / 2, (0, INF), (_jax("squareplus"),)
    ),
    "hard_sigmoid": Row(
        formulas.hard_sigmoid,
        lambda x: min(max((x + 3) / 6, 0), 1),
        (0, 1),
        (_torch("hardsigmoid"), _jax("hard_sigmoid")),
    ),
    "hard_silu": Row(
        lambda t: t.x * formulas.hard_sigmoid(t),
        lambda x: x * min(max((x + 3) / 6, 0), 1),
        (0, INF),
        (_torch("hardswish"), _jax("hard_silu")),
    ),
    "hard_tanh": Row(
        lambda t: np.clip(t.x, -1.0, 1.0),
        lambda x: min(max(x, -1), 1),
        (-1, 1),
        (_torch("hardtanh"), _jax("hard_tanh")),
    ),
    "hard_shrink": Row(
        lambda t: np.where(np.abs(t.x) > SHRINK, t.x, 0.0),
        lambda x: x if abs(x) > SHRINK else 0,
        (-INF, INF),
        (_torch("hardshrink"),),
    ),
    "soft_shrink": Row(
        lambda t: t.x - np.clip(t.x, -SHRINK, SHRINK),
        lambda x: max(x - SHRINK, 0) + min(x + SHRINK, 0),
        (-INF, INF),
        (_torch("softshrink"),),
    ),
    "tanh_shrink": Row(
        formulas.tanh_shrink, lambda x: x - mp.tanh(x), (-INF, INF), (_torch("tanhshrink"),)
    ),
    "threshold": Row(
        lambda t: np.where(t.x > 1.0, t.x, 0.25),
        lambda x: x if x > 1 else mp.mpf(0.25),
        (0.25, INF),
        (_torch("threshold", 1.0, 0.25),),
        options={"threshold": 1.0, "value": 0.25},
    ),
    "sparse_plus": Row(
        formulas.sparse_plus,
        lambda x: 0 if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
        (0, INF),
        (_jax("sparse_plus"),),
    ),
    "sparse_sigmoid": Row(
        lambda t: (np.clip(t.x, -1.0, 1.0) + 1.0) / 2.0,
        lambda x: min(max((x + 1) / 2, 0), 1),
        (0, 1),
        (_jax("sparse_sigmoid"),),
    ),
}

ROWS = PRIMITIVES | FUNCTIONS


def xpnet_name(name: str) -> str:
    """Return the public name of a row's function in xpnet."""
    return ROWS[name].xpnet or name
