"""A fully connected layer as data, and its computation for inputs of any number of axes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, Literal

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    cast,
    check_real,
    current_device,
    device_of,
    without_warnings,
)
from xpnet.arrays.transfer import is_numpy, is_usual, read_only
from xpnet.functions.activations import ACTIVATIONS, check_activation

__all__ = ["Dense", "output_of", "over_rows"]


@dataclass(frozen=True, eq=False, repr=False)
class Dense:
    """A fully connected layer: ``activation(x @ weight + bias)``.

    ``layer(x)`` computes it, the book's Z1, and `linear` the sum before the activation, its A1.

    Parameters
    ----------
    weight : array of shape (n_in, n_out)
        An array of any library. Nested lists become a NumPy array. Of a NumPy array, the layer
        keeps a read-only copy, so a later change of the array has no effect.
    bias : array of shape (n_out,)
        In the library, device and dtype of `weight`; kept like it.
    activation : str, default "identity"
        A name in `xpnet.functions.activations.ACTIVATIONS`.
    options : mapping of str to number or string, optional
        Options of the activation, such as ``{"negative_slope": 0.2}``. Missing ones have their
        defaults.

    Raises
    ------
    TypeError
        If an array is not of real numbers, or the two differ in library or dtype.
    ValueError
        If the shapes do not fit, a width is zero, the devices differ, or the activation or one of
        its options is unknown.

    Examples
    --------
    >>> layer = Dense([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]], [0.1, 0.2, 0.3], "sigmoid")
    >>> layer.linear([1.0, 0.5])
    array([0.3, 0.7, 1.1])
    >>> layer([1.0, 0.5])
    array([0.57444252, 0.66818777, 0.75026011])
    """

    weight: Any
    bias: Any
    activation: str = "identity"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weight, xp = as_floating(self.weight, "weight")
        bias = self.bias
        if isinstance(bias, list | tuple):  # a list has no library and no dtype
            bias = xp.asarray(bias, dtype=weight.dtype, device=device_of(weight))
        bias, _ = as_floating(bias, "bias")
        array_namespace(weight, bias)
        if weight.dtype != bias.dtype:
            msg = f"`bias` must have the dtype of the weight, {weight.dtype}; got {bias.dtype}"
            raise TypeError(msg)
        if weight.ndim != 2 or 0 in weight.shape:
            msg = f"`weight` must have the shape (n_in, n_out); got {tuple(weight.shape)}"
            raise ValueError(msg)
        if tuple(bias.shape) != (weight.shape[1],):
            msg = f"`bias` must have the shape ({weight.shape[1]},); got {tuple(bias.shape)}"
            if tuple(bias.shape) == (weight.shape[0],):
                msg += f"; is the weight, of shape {tuple(weight.shape)}, transposed?"
            raise ValueError(msg)
        check_activation(self.activation)
        if not isinstance(self.options, Mapping):
            msg = f"`options` must be a mapping of names to values; got {self.options!r}"
            raise TypeError(msg)
        options = MappingProxyType(ACTIVATIONS[self.activation].checked(self.options))
        object.__setattr__(self, "weight", read_only(weight))
        object.__setattr__(self, "bias", read_only(bias))
        object.__setattr__(self, "options", options)

    def __call__(self, x: Any, /) -> Any:
        """Return ``activation(x @ weight + bias)`` for `x`, of shape (..., n_in): the book's Z1.

        Library, device, dtypes and errors are those of `xpnet.forward`. The preprocessing of a
        network comes before its first layer, and is not computed here.
        """
        return over_rows(lambda y, xp: self.activate(self._sums(y, xp), xp), x, self.weight)

    def linear(self, x: Any, /) -> Any:
        """Return ``x @ weight + bias`` for `x`, of shape (..., n_in): the book's A1."""
        return over_rows(self._sums, x, self.weight)

    def _sums(self, rows: Any, xp: Any) -> Any:
        return cast(rows, self.weight.dtype, xp) @ self.weight + self.bias

    @cached_property
    def activate(self) -> Callable[[Any, Any], Any]:
        """The function ``(z, xp)`` that returns the activations of `z`, in its dtype."""
        return partial(ACTIVATIONS[self.activation], **self.options)

    @cached_property
    def overwrite(self) -> Callable[[Any, Any], Any]:
        """The same function, which may overwrite `z` if the weight is NumPy's, of 32 or 64 bits."""
        in_place, weight = ACTIVATIONS[self.activation].in_place, self.weight
        if in_place is None or not is_usual(weight):
            return self.activate
        return in_place(array_namespace(weight), weight.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the arguments: a read-only mapping cannot be pickled."""
        return type(self), (self.weight, self.bias, self.activation, dict(self.options))

    @cached_property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.weight.shape[0])

    @cached_property
    def n_out(self) -> int:
        """Number of units."""
        return int(self.weight.shape[1])

    @property
    def activation_text(self) -> str:
        """The activation with its options, such as ``elu(alpha=1.0)``."""
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.activation}({options})" if options else self.activation

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out}, {self.activation_text})"


def output_of(layers: Sequence[Dense], /) -> Literal["logits", "probabilities"]:
    """Return "probabilities" after a softmax, or a sigmoid of a single unit, else "logits"."""
    last = layers[-1]
    is_share = last.activation == "softmax" or (last.activation == "sigmoid" and last.n_out == 1)
    return "probabilities" if is_share else "logits"


def over_rows(compute: Callable[[Any, Any], Any], x: Any, weight: Any) -> Any:
    """Return ``compute(rows, xp)``, of shape (..., n_out), after validation as in `forward`."""
    x = as_array(x)
    try:
        xp = array_namespace(x, weight)
    except TypeError as error:
        word = "'cpu'" if is_numpy(weight) else "..."
        msg = f"{error}; give xpnet.Device({word}).asarray(x), or use network.to(...)"
        raise TypeError(msg) from error
    check_real(x, xp, "x")
    n_in = int(weight.shape[0])
    if x.ndim == 0 or x.shape[-1] != n_in:
        msg = f"`x` must have the shape (..., {n_in}); got {tuple(x.shape)}{_remedy(x, n_in)}"
        raise ValueError(msg)
    with current_device(x), without_warnings():  # infinities and NaN may be meant
        if x.ndim == 2:
            return compute(x, xp)
        # NumPy multiplies more dimensions matrix by matrix, and CuPy float16 in float32.
        y = compute(xp.reshape(x, (-1, n_in)), xp)
        return xp.reshape(y, (*x.shape[:-1], y.shape[-1]))


def _remedy(x: Any, n_in: int) -> str:
    """Return a hint if the last axes of `x`, such as height and width, together hold a row."""
    shape = tuple(x.shape)
    for n_axes in range(len(shape), -1, -1):
        if math.prod(shape[n_axes:]) == n_in:
            return f". Reshape it to {(*shape[:n_axes], n_in)}"
    return ""
