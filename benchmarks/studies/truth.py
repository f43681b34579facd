"""True values of the functions in float64, and the same functions in other libraries.

A function of one variable is a row of the table: its formula for NumPy in float64 at finite `x`,
independent of xpnet's; its values at -inf and inf; and calls of other libraries, where `F` is
torch.nn.functional and `nn` is jax.nn. A function without a row is computed by xpnet in float64.
Both are proved against the definitions of ``tests/functions/tables/exact.py``.
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

F64 = NDArray[np.float64]

# These have no types.
special = import_module("scipy.special")
mp = import_module("mpmath").mp
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "functions" / "tables"))
definitions = import_module("exact")

# xpnet is built upon the first four.
_TABLE = """
exp | exp(x) | 0, inf | numpy.exp torch.exp jax.numpy.exp
expm1 | expm1(x) | -1, inf | numpy.expm1 torch.expm1 jax.numpy.expm1
log | log(x) | nan, inf | numpy.log torch.log jax.numpy.log
log1p | log1p(x) | nan, inf | numpy.log1p torch.log1p jax.numpy.log1p

step | (x > 0).astype(float) | 0, 1 | numpy.heaviside(x,numpy.float32(0)) jax.numpy.heaviside(x,0.0)
sigmoid | sigmoid(x) | 0, 1 | scipy.special.expit torch.sigmoid nn.sigmoid
relu | maximum(x, 0.0) | 0, inf | F.relu nn.relu
identity | x | -inf, inf |
tanh | tanh(x) | -1, 1 | numpy.tanh torch.tanh jax.numpy.tanh
exponential | exp(x) | 0, inf |
leaky_relu | where(x > 0, x, 0.01 * x) | -inf, inf | F.leaky_relu nn.leaky_relu
elu | where(x > 0, x, expm1(x)) | -1, inf | F.elu nn.elu
selu | SCALE * where(x > 0, x, ALPHA * expm1(x)) | -SCALE * ALPHA, inf | F.selu nn.selu
celu | where(x > 0, x, expm1(x)) | -1, inf | F.celu nn.celu
gelu | 0.5 * x * erfc(x * -math.sqrt(0.5)) | 0, inf | F.gelu nn.gelu(x,approximate=False)
gelu_tanh | x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x)) | 0, inf
    | F.gelu(x,approximate='tanh') nn.gelu(x,approximate=True)
silu | x * sigmoid(x) | 0, inf | F.silu nn.silu
mish | mish(x) | 0, inf | F.mish nn.mish
softplus | maximum(x, 0.0) + log1p(exp(-abs(x))) | 0, inf
    | numpy.logaddexp(x,numpy.float32(0)) F.softplus nn.softplus
log_sigmoid | minimum(x, 0.0) - log1p(exp(-abs(x))) | -inf, 0
    | scipy.special.log_expit F.logsigmoid nn.log_sigmoid
softsign | x / (1.0 + abs(x)) | -1, 1 | F.softsign nn.soft_sign
erf | erf(x) | -1, 1 | scipy.special.erf torch.erf jax.scipy.special.erf
relu6 | clip(x, 0.0, 6.0) | 0, 6 | F.relu6 nn.relu6
squareplus | squareplus(x) | 0, inf | nn.squareplus
hard_sigmoid | clip(x + 3.0, 0.0, 6.0) / 6.0 | 0, 1 | F.hardsigmoid nn.hard_sigmoid
hard_silu | x * (clip(x + 3.0, 0.0, 6.0) / 6.0) | 0, inf | F.hardswish nn.hard_silu
hard_tanh | clip(x, -1.0, 1.0) | -1, 1 | F.hardtanh nn.hard_tanh
hard_shrink | where(abs(x) > 0.5, x, 0.0) | -inf, inf | F.hardshrink
soft_shrink | x - clip(x, -0.5, 0.5) | -inf, inf | F.softshrink
tanh_shrink | tanh_shrink(x) | -inf, inf | F.tanhshrink
threshold | where(x > 1.0, x, 0.25) | 0.25, inf | F.threshold(x,1.0,0.25)
sparse_plus | where(x >= 1, x, (clip(x, -1.0, 1.0) + 1.0) ** 2 / 4.0) | 0, inf | nn.sparse_plus
sparse_sigmoid | (clip(x, -1.0, 1.0) + 1.0) / 2.0 | 0, 1 | nn.sparse_sigmoid
"""
# xpnet's name and options, where they are not those of the row.
_XPNET: dict[str, tuple[str, dict[str, Any]]] = {
    "gelu_tanh": ("gelu", {"approximate": "tanh"}),
    "threshold": ("threshold", {"threshold": 1.0, "value": 0.25}),
}
_CONSTANTS = {"inf": math.inf, "nan": math.nan}
_CONSTANTS |= {"SCALE": 1.0507009873554805, "ALPHA": 1.6732632423543772}
_SERIES = (1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075)


def mish(x: F64) -> F64:
    """Return x tanh(log(1 + e)) with e = exp(x), as x times (e^2 + 2 e) / (e^2 + 2 e + 2)."""
    tail = np.exp(-np.abs(x))  # where x > 0, both parts are divided by e^2
    upper = np.where(x >= 0, 1.0 + 2.0 * tail, tail * (tail + 2.0))
    return x * (upper / (upper + np.where(x >= 0, 2.0 * tail * tail, 2.0)))


def squareplus(x: F64) -> F64:
    """Return (x + sqrt(x^2 + 4)) / 2; abs keeps the form that is not used from cancellation."""
    root = np.sqrt(x * x + 4.0)
    return np.where(x >= 0, (x + root) / 2.0, 2.0 / (root + np.abs(x)))


def tanh_shrink(x: F64) -> F64:
    """Return x - tanh(x), by a series near 0, where the difference loses more digits."""
    values = x - np.tanh(x)
    near = np.flatnonzero(np.abs(x) < 0.05)
    squared = x[near] ** 2
    values[near] = np.polyval(_SERIES[::-1], squared) * squared * x[near]
    return values


_NUMPY = {**vars(np), **_CONSTANTS, "math": math, "xpnet": xpnet, "sigmoid": special.expit}
_NUMPY |= {"erf": special.erf, "erfc": special.erfc}
_NUMPY |= {"mish": mish, "squareplus": squareplus, "tanh_shrink": tanh_shrink}


@dataclass(frozen=True)
class Row:
    """A function of one variable; calls of other libraries are expressions of ``x``."""

    formula: Any
    limits: tuple[float, float] | None
    calls: tuple[str, ...]
    xpnet: str
    options: dict[str, Any]

    def values(self, x: F64) -> F64:
        """Return the true values."""
        values: F64 = eval(self.formula, _NUMPY, {"x": x})  # noqa: S307 (our own)
        if self.limits is None or np.isfinite(x).all():
            return values
        conditions = [x == -math.inf, x == math.inf, np.isnan(x)]
        return np.select(conditions, [*self.limits, math.nan], values)

    def exact(self, x: float) -> Any:
        """Return the value by definition, for mpmath."""
        if self.xpnet in definitions.ELEMENTWISE:
            return definitions.value(self.xpnet, x, **self.options)
        with mp.workdps(60):
            return getattr(mp, self.xpnet)(mp.mpf(x))


def _row(name: str, formula: str, limits: str, calls: str = "") -> Row:
    calls = f" {calls}".replace(" F.", " torch.nn.functional.").replace(" nn.", " jax.nn.")
    return Row(
        compile(formula, name, "eval"),
        eval(limits, _CONSTANTS) if limits else None,  # noqa: S307 (our own)
        tuple(x.replace(",", ", ") if "(" in x else f"{x}(x)" for x in calls.split()),
        *_XPNET.get(name, (name, {})),
    )


ROWS = {
    (cells := [cell.strip() for cell in line.split("|")])[0]: _row(*cells)
    for line in _TABLE.replace("\n    ", " ").splitlines()
    if line
}
PRIMITIVES = tuple(ROWS)[:4]
_OF_A_ROW = {row.xpnet for row in ROWS.values()}
ROWS |= {
    name: _row(name, f"xpnet.{name}(x)", "")
    for name, activation in ACTIVATIONS.items()
    if activation.is_elementwise and name == activation.name and name not in _OF_A_ROW
}


def resolve(call: str) -> Callable[[Any], Any]:
    """Return the function of ``x`` for an expression."""
    import_module(call.partition("(")[0].rpartition(".")[0])
    library = call.partition(".")[0]
    names = {"numpy": np, library: sys.modules[library]}
    function: Callable[[Any], Any] = eval(f"lambda x: {call}", names)  # noqa: S307 (our own)
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
