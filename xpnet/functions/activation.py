"""Properties of an activation function: derivative, options and error bounds."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from xpnet.arrays.namespace import as_numbers, compute, device_of, limits_of

__all__ = ["EXACT", "Activation", "OnnxOperator", "UlpBounds", "one_of"]
__all__ += ["positive", "share"]

Check: TypeAlias = Callable[[Any, str], Any]
"""``check(value, name)``: the value of an option as a Python float or string."""


class UlpBounds(NamedTuple):
    """Error bounds of an elementwise function in float32 and float64, in units in the last place.

    Dask, array-api-strict and, by default, dpnp share the bounds of NumPy. The default for CuPy is
    1 ULP larger in float64, unless the function is exact. `extra` is added for every library and
    dtype. The bounds hold where the true value is a normal number. Where it is smaller, the error
    is at most the smallest normal number, and the result may be flushed to zero.

    Bounds in float32 are the largest errors over all 2^32 inputs (dpnp: 2^28), found by
    ``benchmarks/studies/accuracy.py`` and rounded up; other options are first rounded to the dtype.
    Bounds in float64 exceed the largest errors at a million random points and at the points of the
    test tables. They include the library's own error in exp, expm1, log1p or tanh, with NumPy 2.4
    on x86-64 (with and without AVX2 and AVX-512), torch 2.13, JAX 0.10 and dpnp 0.20.

    Bounds for CuPy are not measured on a GPU; compiled kernels, translated to C, are within them.
    CUDA states at most 2 ULP for exp and tanh, and 1 for expm1 and log1p, in float32, which the
    bounds of NumPy allow for; and 1 for each in float64, where NumPy is more accurate.
    """

    numpy: tuple[float, float]
    torch: tuple[float, float]
    jax: tuple[float, float]
    cupy: tuple[float, float] | None = None
    dpnp: tuple[float, float] | None = None
    extra: float = 0.0


# Libraries whose error bounds are known.
BOUNDED = UlpBounds._fields[:-1]
EXACT = UlpBounds(numpy=(0, 0), torch=(0, 0), jax=(0, 0))
_NONE: Mapping[str, Any] = MappingProxyType({})


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

    # function(x, xp, **options): the mathematics.
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
    # Points where the absolute derivative may have a local maximum. Between them it is monotone.
    turns: tuple[float, ...] = ()
    # jumps(**options): the points where the function is not continuous.
    jumps: Callable[..., tuple[float, ...]] = lambda **_: ()
    options: Mapping[str, Check] = field(default_factory=dict)
    # Error bounds of an elementwise function, or ulp(**options) that returns them.
    ulp: UlpBounds | Callable[..., UlpBounds] | None = None
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
        return self.function.__name__.removeprefix("_")

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

    def prepared(self, xp: Any, dtype: Any, /, **options: Any) -> Callable[[Any, Any], Any]:
        """Return the function of ``(x, xp)`` with these options, for arrays of one dtype."""
        function = self.function
        if limits_of(dtype, xp).bits < 32:
            return lambda x, xp: compute(function, x, xp=xp, **options)
        return (lambda x, xp: function(x, xp, **options)) if options else function

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
        derivative = self.derivative
        if derivative is not None:

            def steepness(x: Any) -> Any:
                return xp.abs(derivative(x, self.function(x, xp, **options), xp, **options))

            for end in (low, high):
                largest = xp.maximum(largest, steepness(end))
            for turn in self.turns:
                is_inside = as_numbers((low < turn) & (turn < high), low, xp)
                point = xp.full((), turn, dtype=low.dtype, device=device_of(low))
                largest = xp.maximum(largest, is_inside * steepness(point))
        for jump in self.jumps(**options):
            largest = xp.where((low <= jump) & (jump <= high), xp.inf, largest)
        return largest

    def ulp_bound(self, library: str, dtype: str, /, **options: Any) -> float:
        """Return the error bound of the function, in units in the last place.

        `library` is a name that `xpnet.arrays.namespace.library_of` returns, and `dtype` is
        float16, bfloat16, float32 or float64. Raise ValueError if no bound is known.
        """
        bounds = self.ulp(**options) if callable(self.ulp) else self.ulp
        name = "numpy" if library in {"array_api_strict", "dask"} else library
        is_known = dtype in {"float16", "bfloat16", "float32", "float64"}
        if bounds is None or name not in BOUNDED or not is_known:
            msg = f"no error bound is known for {self.name!r} of {library!r} arrays of {dtype}"
            raise ValueError(msg)
        single, double = getattr(bounds, name) or bounds.numpy
        if name == "cupy" and bounds.cupy is None and double:
            double += 1
        by_dtype = {"float32": single, "float64": double}
        return float(by_dtype.get(dtype, min(1, single)) + bounds.extra)

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


def _number(is_allowed: Callable[[float], bool], rule: str) -> Check:
    """Return a check for real numbers within +-1e30 that satisfy the rule.

    float32 holds these numbers, and their products with ordinary ones. The Python float that the
    check returns never changes the dtype of an array.
    """

    def check(value: Any, name: str) -> float:
        msg = f"`{name}` must be {rule}; got {value!r}"
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(msg)
        try:
            number = float(value)
        except OverflowError:  # a very large integer
            raise ValueError(msg) from None
        if not (-1e30 <= number <= 1e30 and is_allowed(number)):
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
