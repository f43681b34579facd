"""The table of activations that a layer can name: adding one is adding its row.

A name in a file is looked up here, and leads nowhere else.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from xpnet.arrays.namespace import as_numbers, compute, device_of, limits_of
from xpnet.functions import derivatives
from xpnet.functions.gates import _gelu, _mish, _silu, approximation
from xpnet.functions.hard import (
    _hard_shrink,
    _hard_sigmoid,
    _hard_silu,
    _hard_tanh,
    _soft_shrink,
    _sparse_plus,
    _sparse_sigmoid,
)
from xpnet.functions.options import Check, finite, not_negative, positive, share
from xpnet.functions.piecewise import _identity, _leaky_relu, _relu, _relu6, _step, _threshold
from xpnet.functions.rectifiers import _celu, _elu, _exponential, _selu, _softplus, _squareplus
from xpnet.functions.sigmoids import _log_sigmoid, _sigmoid, _softsign, _tanh, _tanh_shrink
from xpnet.functions.softmax import _log_softmax, _softmax, _sparsemax
from xpnet.functions.special import _erf

__all__ = ["ACTIVATIONS", "Activation"]


@dataclass(frozen=True)
class Activation:
    """One row of the table: what a layer needs to know of its activation function.

    Attributes
    ----------
    function : callable
        ``function(x, xp, **options)``: the mathematics.
    derivative : callable or None
        ``derivative(x, y, xp, **options)`` at `x`, where ``y = function(x)`` is known already;
        ``None`` for a function that gradients cannot pass, or that is not elementwise.
    turns : tuple of float
        Where the size of the derivative can be largest in its neighbourhood: between these points
        it rises or falls throughout.
    jumps : callable
        ``jumps(**options)``: the points where the function jumps.
    options : mapping of str to callable
        The options by name, each with the check of its value.
    pullback : callable or None
        Of functions along the last axis: ``pullback(gradient, x, y, xp)``, the gradient by `x`
        from the gradient by ``y``.
    """

    function: Callable[..., Any]
    derivative: Callable[..., Any] | None
    turns: tuple[float, ...] = ()
    options: Mapping[str, Check] = field(default_factory=dict)
    jumps: Callable[..., tuple[float, ...]] = lambda **_: ()
    pullback: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """The name of the public function."""
        return self.function.__name__.removeprefix("_")

    @property
    def is_elementwise(self) -> bool:
        """Whether each result depends on one element only."""
        return self.pullback is None

    @property
    def is_learnable(self) -> bool:
        """Whether gradients can pass."""
        return self.derivative is not None or self.pullback is not None

    def __call__(self, x: Any, xp: Any, /, **options: Any) -> Any:
        """Return the activation of `x`, in its dtype."""
        return compute(self.function, x, xp=xp, **options)

    def prepared(self, xp: Any, dtype: Any, /, **options: Any) -> Callable[[Any, Any], Any]:
        """Return ``self`` with these options, as a function of an `x` of this dtype and `xp`."""
        function = self.function
        if limits_of(dtype, xp).bits < 32:
            return lambda x, xp: compute(function, x, xp=xp, **options)
        return (lambda x, xp: function(x, xp, **options)) if options else function

    def gradient(self, gradient: Any, x: Any, y: Any, xp: Any, /, **options: Any) -> Any:
        """Return the gradient by `x`, from the gradient by the activation `y` of `x`.

        Raises
        ------
        ValueError
            If gradients cannot pass the function.
        """
        if self.pullback is not None:
            return compute(self.pullback, gradient, x, y, xp=xp)
        if self.derivative is None:
            msg = f"activation {self.name!r} has no derivative to learn by"
            raise ValueError(msg)
        return gradient * compute(self.derivative, x, y, xp=xp, **options)

    def slope(self, low: Any, high: Any, xp: Any, /, **options: Any) -> Any:
        """Return how steep the function is at most between `low` and `high`, elementwise.

        No two points of an interval [low, high] have values further apart than this times their
        distance, up to the rounding of the derivative. It is inf, for none, where the function
        jumps in the interval or at its ends.

        Raises
        ------
        ValueError
            If the function is not elementwise.
        """
        if not self.is_elementwise:
            msg = f"activation {self.name!r} has no slope: it is not elementwise"
            raise ValueError(msg)
        return compute(self._slope, low, high, xp=xp, **options)

    def _slope(self, low: Any, high: Any, xp: Any, **options: Any) -> Any:
        steepest = xp.zeros_like(low)
        if self.derivative is not None:
            for x in (low, high):
                steepest = xp.maximum(steepest, self._steepness(x, xp, **options))
            for turn in self.turns:
                is_inside = as_numbers((low < turn) & (turn < high), low, xp)
                there = xp.full((), turn, dtype=low.dtype, device=device_of(low))
                there = self._steepness(there, xp, **options)
                steepest = xp.maximum(steepest, is_inside * there)
        for jump in self.jumps(**options):
            steepest = xp.where((low <= jump) & (jump <= high), xp.inf, steepest)
        return steepest

    def _steepness(self, x: Any, xp: Any, **options: Any) -> Any:
        derivative: Any = self.derivative
        return xp.abs(derivative(x, self.function(x, xp, **options), xp, **options))

    def checked(self, options: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return all options of the function: the given ones, checked, and the defaults.

        Raises
        ------
        TypeError, ValueError
            If an option is unknown, or has a value that it must not have.
        """
        unknown = sorted(map(str, set(options) - set(self.options)))
        if unknown:
            known = ", ".join(self.options) or "none"
            msg = f"options of activation {self.name!r} must be of {known}; got {unknown[0]!r}"
            raise ValueError(msg)
        parameters = inspect.signature(self.function).parameters
        return {
            name: check(options.get(name, parameters[name].default), name)
            for name, check in self.options.items()
        }


_IDENTITY = Activation(_identity, derivatives.identity, ())

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "celu": Activation(_celu, derivatives.celu, (), {"alpha": positive}),
        "elu": Activation(_elu, derivatives.elu, (0.0,), {"alpha": positive}),
        "erf": Activation(_erf, derivatives.erf, (0.0,)),
        "exponential": Activation(_exponential, derivatives.exponential, ()),
        # The turns of the exact form and of the tanh form.
        "gelu": Activation(
            _gelu,
            derivatives.gelu,
            (-math.sqrt(2.0), -1.4185040087908284, 1.4185040087908284, math.sqrt(2.0)),
            {"approximate": approximation},
        ),
        "hard_shrink": Activation(
            _hard_shrink,
            derivatives.hard_shrink,
            options={"threshold": not_negative},
            jumps=lambda threshold=0.5: (-threshold, threshold) if threshold else (),
        ),
        "hard_sigmoid": Activation(_hard_sigmoid, derivatives.hard_sigmoid, (0.0,)),
        "hard_silu": Activation(_hard_silu, derivatives.hard_silu, (-3.0, 3.0)),
        "hard_tanh": Activation(_hard_tanh, derivatives.hard_tanh, (0.0,)),
        "identity": _IDENTITY,
        "leaky_relu": Activation(
            _leaky_relu, derivatives.leaky_relu, (), {"negative_slope": share}
        ),
        "linear": _IDENTITY,
        "log_sigmoid": Activation(_log_sigmoid, derivatives.log_sigmoid, ()),
        "log_softmax": Activation(_log_softmax, None, pullback=derivatives.log_softmax),
        "mish": Activation(_mish, derivatives.mish, (-2.2563763963607931, 1.4905711794854285)),
        "relu": Activation(_relu, derivatives.relu, ()),
        "relu6": Activation(_relu6, derivatives.relu6, (3.0,)),
        "selu": Activation(_selu, derivatives.selu, (0.0,)),
        "sigmoid": Activation(_sigmoid, derivatives.sigmoid, (0.0,)),
        "silu": Activation(_silu, derivatives.silu, (-2.3993572805154677, 2.3993572805154677)),
        "soft_shrink": Activation(
            _soft_shrink, derivatives.soft_shrink, (), {"threshold": not_negative}
        ),
        "softmax": Activation(_softmax, None, pullback=derivatives.softmax),
        "softplus": Activation(_softplus, derivatives.softplus, (), {"beta": positive}),
        "softsign": Activation(_softsign, derivatives.softsign, (0.0,)),
        "sparse_plus": Activation(_sparse_plus, derivatives.sparse_plus, ()),
        "sparse_sigmoid": Activation(_sparse_sigmoid, derivatives.sparse_sigmoid, (0.0,)),
        "sparsemax": Activation(_sparsemax, None, pullback=derivatives.sparsemax),
        "squareplus": Activation(_squareplus, derivatives.squareplus, (), {"b": positive}),
        "step": Activation(_step, None, jumps=lambda: (0.0,)),
        "tanh": Activation(_tanh, derivatives.tanh, (0.0,)),
        "tanh_shrink": Activation(_tanh_shrink, derivatives.tanh_shrink, ()),
        "threshold": Activation(
            _threshold,
            derivatives.threshold,
            options={"threshold": finite, "value": finite},
            jumps=lambda threshold=1.0, value=0.0: () if value == threshold else (threshold,),
        ),
    }
)
