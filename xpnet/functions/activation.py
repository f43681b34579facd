"""The decorator that makes an activation of a formula, and the properties of activations.

A formula takes an array of float32 or float64 and its namespace `xp`, which may be that of the
exact functions: it divides by ``xp.divide``. It computes with NumPy's warnings off, so infinities
on the way are allowed; `bounded` is for those that would become NaN, in results, or at finite
numbers in gradients by automatic differentiation. A Python number in it takes the dtype of the
array.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from types import MappingProxyType
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeAlias

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import as_floating, compute, without_warnings

__all__ = ["Activation", "OnnxOperator", "activation", "array_function", "one_of", "positive"]
__all__ += ["share"]

Options = ParamSpec("Options")
Formula: TypeAlias = Callable[Concatenate[Any, Any, Options], Any]
Check: TypeAlias = Callable[[Any, str], Any]
"""``check(value, name)``: the value of an option as a Python float or string."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class ArrayFunction(Protocol[Options]):
    """A public function of an array of any library."""

    formula: Callable[..., Any]  # its mathematics: formula(x, xp, **options)
    row: "Activation"  # its properties, which only activations have

    def __call__(self, x: ArrayT, /, *args: Options.args, **options: Options.kwargs) -> ArrayT: ...


class OnnxOperator(NamedTuple):
    """Operator of ONNX for an activation."""

    name: str
    since: int = 6  # version of ONNX's operators that introduced it
    options: Mapping[str, str] = _NONE  # free attribute -> option of the activation
    fixed: Mapping[str, float] = _NONE  # attributes with a required value
    defaults: Mapping[str, Any] = _NONE  # ONNX's values of omitted attributes


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation function, with the properties that layers, training and parity need."""

    # function(x, xp, **options): the formula.
    function: Callable[..., Any]
    # derivative(x, y, xp, **options) of an elementwise function, where y = function(x). Where two
    # pieces meet, it is the derivative of one of them. None if it is 0 everywhere.
    derivative: Callable[..., Any] | None = None
    # pullback(gradient, x, y, xp) of a function along the last axis: the gradient with respect to
    # x, given the one with respect to y. None for elementwise functions.
    pullback: Callable[..., Any] | None = None
    # in_place(xp, dtype): the same formula as a function of (x, xp) that overwrites a NumPy array
    # of 32 or 64 bits with the results and returns it. Only for a derivative that needs y alone.
    in_place: Callable[[Any, Any], Callable[[Any, Any], Any]] | None = None
    # Whether it is close to max(x, 0), so that He's scheme preserves the scale of its signals.
    is_rectifier: bool = False
    # Points between which the derivative is monotone, so that it is largest at one of them.
    turns: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()  # points where the function is not continuous
    options: Mapping[str, Check] = field(default_factory=dict)
    # Error bounds of an elementwise function in float32 and float64, see `ulp_bound`.
    ulp: tuple[float, float] | None = None
    # The same function elsewhere: an operator of ONNX; the bounds of ONNX's Clip; the activation
    # whose product with x it is, which is two nodes in ONNX.
    onnx: OnnxOperator | None = None
    onnx_clip: tuple[float, float] | None = None
    onnx_gate: str | None = None
    torch: str | None = None  # class in torch.nn
    # Name in Keras, and the options whose defaults differ in Keras.
    keras: str | None = None
    keras_defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the public function."""
        return self.function.__name__

    @property
    def is_elementwise(self) -> bool:
        """Whether each result depends on a single element."""
        return self.pullback is None

    @property
    def is_learnable(self) -> bool:
        """Whether gradients can be propagated."""
        return self.derivative is not None or self.pullback is not None

    def __call__(self, x: Any, xp: Any, /, **options: Any) -> Any:
        """Return the activations of `x`, in its dtype."""
        return compute(self.function, x, xp=xp, **options)

    def gradient(self, gradient: Any, x: Any, y: Any, xp: Any, /, **options: Any) -> Any:
        """Return the gradient with respect to `x`, given the one with respect to y = f(x)."""
        if self.pullback is not None:
            return compute(self.pullback, gradient, x, y, xp=xp)
        if self.derivative is None:
            msg = f"activation {self.name!r} has no derivative to learn by"
            raise ValueError(msg)
        return gradient * compute(self.derivative, x, y, xp=xp, **options)

    def slope(self, low: Any, high: Any, xp: Any, /, **options: Any) -> Any:
        """Return the Lipschitz constant of the function on [low, high], elementwise.

        It is the largest absolute derivative, up to rounding, and inf where the function jumps
        inside the interval or at an end. Raise ValueError if the function is not elementwise.
        """
        if not self.is_elementwise:
            msg = f"activation {self.name!r} has no slope: it is not elementwise"
            raise ValueError(msg)
        return compute(self._slope, low, high, xp=xp, **options)

    def _slope(self, low: Any, high: Any, xp: Any, **options: Any) -> Any:
        largest = xp.zeros_like(low)
        # The ends, and the turns that are between them; for others an end once more.
        for x in (low, high, *(xp.minimum(xp.maximum(low, turn), high) for turn in self.turns)):
            if self.derivative is not None:
                y = self.function(x, xp, **options)
                largest = xp.maximum(largest, xp.abs(self.derivative(x, y, xp, **options)))
        for jump in self.jumps:
            largest = xp.where((low <= jump) & (jump <= high), xp.inf, largest)
        return largest

    def ulp_bound(self, dtype: str, /) -> float:
        """Return the error bound of an elementwise function, in units in the last place.

        It holds in every library, with every option. Results smaller than 2^-120 (float64:
        2^-1000), times an option above 1, may be 0, and subnormal inputs may count as 0. "float16"
        and "bfloat16" are computed in float32 and rounded. ``benchmarks/accuracy.py`` measured the
        errors of NumPy, torch and JAX, for "float32" at all inputs; 2 ULP more in float32, and 1
        in float64, are for CUDA's functions.
        """
        if self.ulp is None:
            msg = f"activation {self.name!r} has no bound of its own: it is not elementwise"
            raise ValueError(msg)
        single, double = self.ulp
        return float({"float32": single, "float64": double}.get(dtype, min(1, single)))

    def checked(self, options: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the given options, after validation, and the defaults of the others."""
        unknown = sorted(map(str, set(options) - set(self.options)))
        if unknown:
            known = ", ".join(self.options) or "none"
            msg = f"activation {self.name!r} has no option {unknown[0]!r}; its options: {known}"
            raise ValueError(msg)
        parameters = inspect.signature(self.function).parameters
        return {
            name: check(options.get(name, parameters[name].default), name)
            for name, check in self.options.items()
        }


def activation(**properties: Any) -> Callable[[Formula[Options]], ArrayFunction[Options]]:
    """Make an activation of a formula; the properties are the fields of `Activation`.

    The public function has them as its attribute ``row``.
    """

    def decorate(formula: Formula[Options]) -> ArrayFunction[Options]:
        row = Activation(formula, **properties)
        public = array_function(formula, row.options)
        public.row = row
        return public

    return decorate


def array_function(
    formula: Formula[Options], checks: Mapping[str, Check] = _NONE
) -> ArrayFunction[Options]:
    """Return the public form of a formula, ``f(x, /, *, options)``, for arrays of any library."""
    x, _, *options = inspect.signature(formula).parameters.values()
    x = x.replace(kind=inspect.Parameter.POSITIONAL_ONLY, annotation=inspect.Parameter.empty)

    @functools.wraps(formula)
    def function(x: Any, /, **given: Any) -> Any:
        for name in given.keys() & checks.keys():
            given[name] = checks[name](given[name], name)
        x, xp = as_floating(x)
        with without_warnings():
            return compute(formula, x, xp=xp, **given)

    public: Any = function
    public.formula, public.__signature__ = formula, inspect.Signature([x, *options])
    # doctest passes over a function whose globals are those of another module.
    formula.__globals__.setdefault("__test__", {})[formula.__name__] = formula
    return public


def _number(is_allowed: Callable[[float], bool], rule: str) -> Check:
    """Return a check for real numbers, as Python floats, which change no array's dtype."""

    def check(value: Any, name: str) -> float:
        msg = f"`{name}` must be {rule}; got {value!r}"
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(msg)
        try:
            number = float(value)
        except OverflowError:  # a very large integer
            raise ValueError(msg) from None
        if not is_allowed(number):
            raise ValueError(msg)
        return number

    return check


def one_of(*words: str) -> Check:
    """Return a check for one of several strings."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in words:
            msg = f"`{name}` must be {' or '.join(map(repr, words))}; got {value!r}"
            raise ValueError(msg)
        return str(value)

    return check


positive = _number(lambda number: 1e-6 <= number <= 1e6, "a number from 1e-6 to 1e6")
share = _number(lambda number: number == 0.0 or 1e-30 <= number <= 1.0, "0, or from 1e-30 to 1")
