"""A fully connected layer as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from xpnet.arrays.cpu.blocked_matmul import constant, is_constant
from xpnet.arrays.namespace import array_namespace, as_floating, device_of
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["Dense", "output_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Dense:
    """A fully connected layer: ``activation(x @ weight + bias)``.

    Parameters
    ----------
    weight : array of shape (n_in, n_out)
        An array of any library. Nested lists become a NumPy array.
    bias : array of shape (n_out,)
        In the library, device and dtype of `weight`.
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
    A perceptron with a step function computes AND.

    >>> import numpy as np
    >>> import xpnet
    >>> gate = xpnet.Network([Dense([[0.5], [0.5]], [-0.7], "step")])
    >>> gate(np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0]
    array([0., 0., 0., 1.])
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
            raise ValueError(msg)
        if not isinstance(self.activation, str):
            msg = f"`activation` must be a name; got {self.activation!r}"
            raise TypeError(msg)
        if not isinstance(self.options, Mapping):
            msg = f"`options` must be a mapping of names to values; got {self.options!r}"
            raise TypeError(msg)
        if self.activation not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            msg = f"`activation` must be one of {known}; got {self.activation!r}"
            raise ValueError(msg)
        options = MappingProxyType(ACTIVATIONS[self.activation].checked(self.options))
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "options", options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the arguments: a read-only mapping cannot be pickled."""
        arrays = [self.weight, self.bias]
        kept = [is_constant(x) for x in arrays]  # pickled arrays are writable again
        return _restored, (arrays, kept, self.activation, dict(self.options))

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.weight.shape[0])

    @property
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


def _restored(arrays: list[Any], kept: list[bool], activation: str, options: Any) -> Dense:
    pairs = zip(arrays, kept, strict=True)
    weight, bias = (constant(x) if is_kept else x for x, is_kept in pairs)
    return Dense(weight, bias, activation, options)


def output_of(layers: Sequence[Dense], /) -> Literal["logits", "probabilities"]:
    """Return the kind of output where a file does not state it.

    It is "probabilities" after a softmax, or a sigmoid of a single unit, and "logits" otherwise.
    """
    last = layers[-1]
    is_share = last.activation == "softmax" or (last.activation == "sigmoid" and last.n_out == 1)
    return "probabilities" if is_share else "logits"
