"""The cases: for each function, xpnet's own, what is exact, and who else computes it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from truth import along_rows
from truth.formulas import F64, Inputs
from truth.table import ROWS, xpnet_name

import xpnet
from speed.expressions import EXPRESSIONS, WIDTH

# In the names of torch, where the table of truth names no function of torch.
TORCH = {
    "step": "torch.heaviside(x, torch.zeros(()))",
    "identity": "torch.nn.Identity()(x)",
    "exponential": "torch.exp(x)",
    "softmax": "torch.softmax(x, -1)",
    "log_softmax": "torch.log_softmax(x, -1)",
    "logsumexp": "torch.logsumexp(x, -1)",
    "glu": "torch.nn.functional.glu(x)",
}


@dataclass(frozen=True)
class Case:
    """One function.

    Attributes
    ----------
    name : str
        Its name in the tables.
    function : callable
        xpnet's, with its options.
    exact : callable
        The true values in float64, of inputs in float64.
    rivals : list of str
        Expressions of NumPy and SciPy.
    torch : str
        An expression of torch; empty where torch has no such function.
    width : int
        Of the rows; 0 for a function of one variable.
    unit : str
        "ulp" of the result; "eps" times max(1, abs(result)), where results near 0 are
        differences of larger numbers, and no formula could keep their digits; or "log": eps
        times p (1 + abs(log(p))), as exp amplifies what a difference of logits was rounded by.
    """

    name: str
    function: Callable[[Any], Any]
    exact: Callable[[F64], F64]
    rivals: list[str]
    torch: str
    width: int = 0
    unit: str = "ulp"


def _of_one_variable(name: str) -> Case:
    row = ROWS[name]
    torch = [call.expression for call in row.calls if call.library == "torch"]
    return Case(
        name,
        partial(getattr(xpnet, xpnet_name(name)), **row.options),
        lambda x: row.values(Inputs(x), all_finite=False),
        _rivals(name),
        TORCH.get(name) or "".join(torch),
    )


def _along_rows(name: str, unit: str, width: int = WIDTH) -> Case:
    function, exact = getattr(xpnet, name), getattr(along_rows, name)
    return Case(name, function, exact, _rivals(name), TORCH.get(name, ""), width, unit)


def _rivals(name: str) -> list[str]:
    return [line.strip() for line in EXPRESSIONS[name].strip().splitlines()]


CASES = {name: _of_one_variable(name) for name in EXPRESSIONS if name in ROWS} | {
    "softmax": _along_rows("softmax", "log"),
    "log_softmax": _along_rows("log_softmax", "eps"),
    "logsumexp": _along_rows("logsumexp", "eps"),
    "sparsemax": _along_rows("sparsemax", "eps"),
    "glu": _along_rows("glu", "ulp", 2 * WIDTH),
}
# Nothing is computed there, so its ratio would be that of two calls: not in the summary.
NOTHING_TO_COMPUTE = ("identity",)
