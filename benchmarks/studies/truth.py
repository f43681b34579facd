"""True values of the functions in float64, and the same functions in torch and JAX.

A row of the table is a function of one variable: its formula for NumPy in float64, and calls of
the other libraries, where `F` is torch.nn.functional and `nn` is jax.nn. A function without a row
is computed by xpnet in float64. All are proved against ``tests/functions/true_values.py``.
"""

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet
from xpnet.functions.activations import ACTIVATIONS

# These have no types.
special = import_module("scipy.special")
mp = import_module("mpmath").mp
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "functions"))
definitions = import_module("true_values")

F64 = NDArray[np.float64]

# softmax is built upon the logarithm, too.
_TABLE = """
log | log(x) | numpy.log torch.log jax.numpy.log
identity | x |
step | (x > 0).astype(float) |
relu | maximum(x, 0.0) | F.relu nn.relu
leaky_relu | where(x > 0, x, 0.01 * x) | F.leaky_relu nn.leaky_relu
relu6 | clip(x, 0.0, 6.0) | F.relu6 nn.relu6
sigmoid | sigmoid(x) | torch.sigmoid nn.sigmoid
tanh | tanh(x) | torch.tanh jax.numpy.tanh
softsign | x / (1.0 + abs(x)) | F.softsign nn.soft_sign
log_sigmoid | minimum(x, 0.0) - log1p(exp(-abs(x))) | F.logsigmoid nn.log_sigmoid
exponential | exp(x) | torch.exp jax.numpy.exp
elu | where(x > 0, x, expm1(x)) | F.elu nn.elu
celu | where(x > 0, x, expm1(x)) | F.celu nn.celu
selu | SCALE * where(x > 0, x, ALPHA * expm1(x)) | F.selu nn.selu
softplus | maximum(x, 0.0) + log1p(exp(-abs(x))) | F.softplus nn.softplus
silu | x * sigmoid(x) | F.silu nn.silu
mish | mish(x) | F.mish nn.mish
gelu | 0.5 * x * erfc(x * -math.sqrt(0.5)) | F.gelu nn.gelu(x,approximate=False)
gelu_tanh | x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    | F.gelu(x,approximate='tanh') nn.gelu(x,approximate=True)
hard_sigmoid | clip(x + 3.0, 0.0, 6.0) / 6.0 | F.hardsigmoid nn.hard_sigmoid
hard_silu | x * (clip(x + 3.0, 0.0, 6.0) / 6.0) | F.hardswish nn.hard_silu
hard_tanh | clip(x, -1.0, 1.0) | F.hardtanh nn.hard_tanh
"""
PRIMITIVES = ("log",)
# xpnet's name and options, where they are not those of the row.
_XPNET: dict[str, tuple[str, dict[str, Any]]] = {"gelu_tanh": ("gelu", {"approximate": "tanh"})}


def mish(x: F64) -> F64:
    """Return x tanh(log(1 + e)) with e = exp(x), as x times (e^2 + 2 e) / (e^2 + 2 e + 2)."""
    tail = np.exp(-np.abs(x))  # where x > 0, both parts are divided by e^2
    upper = np.where(x >= 0, 1.0 + 2.0 * tail, tail * (tail + 2.0))
    return x * (upper / (upper + np.where(x >= 0, 2.0 * tail * tail, 2.0)))


_NUMPY = {**vars(np), "math": math, "xpnet": xpnet, "sigmoid": special.expit, "mish": mish}
_NUMPY |= {"erfc": special.erfc, "SCALE": 1.0507009873554805, "ALPHA": 1.6732632423543772}


@dataclass(frozen=True)
class Row:
    """A function of one variable; calls of other libraries are expressions of ``x``."""

    formula: Any
    calls: tuple[str, ...]
    xpnet: str
    options: dict[str, Any]

    def values(self, x: F64) -> F64:
        """Return the true values; infinities are taken for numbers beyond those of float32."""
        x = x if self.xpnet in PRIMITIVES else np.clip(x, -1e100, 1e100)
        values: F64 = eval(self.formula, _NUMPY, {"x": x})  # noqa: S307 (our own)
        return np.where(np.isnan(x), np.nan, values)

    def exact(self, x: float) -> Any:
        """Return the value by definition, for mpmath."""
        if self.xpnet in PRIMITIVES:
            return mp.log(x)
        return definitions.true_value(self.xpnet, x, **self.options)


def _row(name: str, formula: str, calls: str = "") -> Row:
    calls = f" {calls}".replace(" F.", " torch.nn.functional.").replace(" nn.", " jax.nn.")
    return Row(
        compile(formula, name, "eval"),
        tuple(x.replace(",", ", ") if "(" in x else f"{x}(x)" for x in calls.split()),
        *_XPNET.get(name, (name, {})),
    )


ROWS = {
    (cells := [cell.strip() for cell in line.split("|")])[0]: _row(*cells)
    for line in _TABLE.replace("\n    ", " ").splitlines()
    if line
}
ROWS |= {
    name: _row(name, f"xpnet.{name}(x)")
    for name, row in ACTIVATIONS.items()
    if row.is_elementwise and name == row.name and name not in ROWS
}


def resolve(call: str) -> Callable[[Any], Any]:
    """Return the function of ``x`` for an expression."""
    import_module(call.partition("(")[0].rpartition(".")[0])
    library = call.partition(".")[0]
    function: Callable[[Any], Any] = eval(f"lambda x: {call}", {library: sys.modules[library]})  # noqa: S307 (our own)
    return function


def prove(names: Iterable[str]) -> None:
    """Compare the formulas of these rows with mpmath; raise ValueError if one is wrong."""
    rng = np.random.default_rng(0)
    # Random numbers of any size, around 0, and where exp is a number.
    patterns = rng.integers(0, 2**32, 100, dtype=np.uint32).view(np.float32)
    around, wide = (rng.uniform(*ends, 100).astype(np.float32) for ends in ((-8, 8), (-110, 95)))
    points = np.concatenate([patterns[np.isfinite(patterns)], around, wide]).astype(np.float64)
    for name in names:
        with np.errstate(all="ignore"):
            values = ROWS[name].values(points)
        for x, value in zip(points.tolist(), values.tolist(), strict=True):
            exact = ROWS[name].exact(x)
            if not _agree(value, exact):
                msg = f"{name} at {x!r} is {mp.nstr(exact, 20)}; its formula is wrong: {value!r}"
                raise ValueError(msg)


def _agree(value: float, exact: Any) -> bool:
    """Return whether a value is the exact one within 1e-12, or beyond all numbers of float32."""
    if isinstance(exact, mp.mpc):  # outside the domain
        return math.isnan(value)
    if math.isnan(value):
        return False
    if abs(exact) > 1e60:
        return abs(value) > 1e60 and (value > 0) == (exact > 0)
    return bool(abs(exact - value) <= max(1e-60, 1e-12 * abs(exact)))
