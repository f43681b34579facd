"""True values of the functions in float64.

A row of the table is a function of one variable and its formula for NumPy. A function without a row
is computed by xpnet in float64. All are proved against ``tests/functions/true_values.py``.
"""

import math
import sys
from collections.abc import Iterable
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

# The functions with an error, and the logarithm, which softmax is built upon, too.
_TABLE = """
log | log(x)
leaky_relu | where(x > 0, x, 0.01 * x)
sigmoid | sigmoid(x)
tanh | tanh(x)
softsign | x / (1.0 + abs(x))
log_sigmoid | minimum(x, 0.0) - log1p(exp(-abs(x)))
exponential | exp(x)
elu | where(x > 0, x, expm1(x))
celu | where(x > 0, x, expm1(x))
selu | SCALE * where(x > 0, x, ALPHA * expm1(x))
softplus | maximum(x, 0.0) + log1p(exp(-abs(x)))
silu | x * sigmoid(x)
mish | mish(x)
gelu | 0.5 * x * erfc(x * -math.sqrt(0.5))
gelu_tanh | x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
hard_sigmoid | clip(x + 3.0, 0.0, 6.0) / 6.0
hard_silu | x * (clip(x + 3.0, 0.0, 6.0) / 6.0)
"""
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
    """A function of one variable."""

    formula: Any
    xpnet: str
    options: dict[str, Any]

    def values(self, x: F64) -> F64:
        """Return the true values; infinities are taken for numbers beyond those of float32."""
        x = x if self.xpnet == "log" else np.clip(x, -1e100, 1e100)
        values: F64 = eval(self.formula, _NUMPY, {"x": x})  # noqa: S307 (our own)
        return np.where(np.isnan(x), np.nan, values)

    def exact(self, x: float) -> Any:
        """Return the value by definition, for mpmath."""
        if self.xpnet == "log":
            return mp.log(x) if x >= 0.0 else mp.nan
        return definitions.true_value(self.xpnet, x, **self.options)


def _row(name: str, formula: str) -> Row:
    return Row(compile(formula, name, "eval"), *_XPNET.get(name, (name, {})))


ROWS = {(cells := line.split(" | "))[0]: _row(*cells) for line in _TABLE.splitlines() if line}
ROWS |= {
    name: _row(name, f"xpnet.{name}(x)")
    for name, row in ACTIVATIONS.items()
    if row.ulp and any(row.ulp) and name not in ROWS
}


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
    if mp.isnan(exact) or math.isnan(value):
        return bool(mp.isnan(exact) and math.isnan(value))
    if abs(exact) > 1e60:
        return abs(value) > 1e60 and (value > 0) == (exact > 0)
    return bool(abs(exact - value) <= max(1e-60, 1e-12 * abs(exact)))
