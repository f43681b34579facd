"""What a row of the table holds: the truth about one function, and who else computes it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from truth.formulas import F64, Inputs


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

    @property
    def expression(self) -> str:
        """The call as it is written."""
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        return f"{self.path}({', '.join(['x', *map(repr, self.arguments), *options])})"

    def resolve(self) -> Callable[[Any], Any]:
        """Return the function of one array."""
        module, _, name = self.path.rpartition(".")
        function: Callable[..., Any] = getattr(import_module(module), name)
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
        ``exact(x)``: the same for one number of mpmath, as close to the definition as can be.
    limits : tuple of two numbers
        The values at -inf and at inf.
    calls : tuple of Call
        The same function in other libraries, at most one for each.
    xpnet : str
        The public name in xpnet, where it is not that of the row.
    options : dict
        The options of the function of xpnet.
    """

    formula: Callable[[Inputs], F64]
    exact: Callable[[Any], Any]
    limits: tuple[float, float]
    calls: tuple[Call, ...] = ()
    xpnet: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def values(self, inputs: Inputs, *, all_finite: bool) -> F64:
        """Return the true values; `all_finite` promises that no input is infinite or NaN."""
        values = self.formula(inputs)
        if all_finite:
            return values
        x = inputs.x
        conditions = [x == -math.inf, x == math.inf, np.isnan(x)]
        return np.select(conditions, [*self.limits, math.nan], values)
