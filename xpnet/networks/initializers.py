"""Networks with random weights, drawn on the host: every backend starts from the same bits."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from xpnet.arrays.device import Device
from xpnet.functions.activations import ACTIVATIONS, check_activation
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, Output

if TYPE_CHECKING:
    from xpnet.networks.preprocessing import Step

__all__ = ["init_network"]

# Standard deviation of the weights of a layer, by its numbers of inputs and outputs.
_DEVIATIONS: dict[str, Callable[[int, int], float]] = {
    "normal": lambda _n_in, _n_out: 0.01,
    "xavier": lambda n_in, n_out: sqrt(2 / (n_in + n_out)),
    "he": lambda n_in, _n_out: sqrt(2 / n_in),
}


def init_network(
    sizes: Sequence[int],
    /,
    *,
    seed: int = 0,
    activation: str = "relu",
    scheme: "Literal['he', 'xavier', 'normal'] | None" = None,
    preprocessing: "Step | Sequence[Step] | None" = None,
    output: Output = "logits",
    classes: Sequence[str | int] | None = None,
    device: str | Device = "cpu",
    dtype: Any = "float32",
) -> Network:
    """Return a network with random weights and zero biases.

    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010. He et al., "Delving deep into rectifiers", ICCV 2015, DOI 10.1109/ICCV.2015.123.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, then the width of each layer: ``[784, 50, 100, 10]``.
    seed : int, default 0
        Random seed. The same seed gives the same bits on every device.
    activation : str, default "relu"
        Activation of the hidden layers; the last layer is the identity.
    scheme : {"he", "xavier", "normal"}, optional
        Standard deviation of the normally distributed weights: sqrt(2 / n_in) (He et al., the
        default for ReLU and similar activations), sqrt(2 / (n_in + n_out)) (Glorot and Bengio, the
        default for others), or 0.01 (the book's, from which several layers learn slowly).
    preprocessing, output, classes
        As for `Network`.
    device : str or Device, default "cpu"
    dtype : str or dtype, default "float32"
        A real floating-point dtype of NumPy.

    Raises
    ------
    ValueError
        If `sizes` has fewer than two numbers or one below 1, `seed` is negative, a name is unknown,
        or `classes` does not name each class once.
    TypeError
        If `dtype` is not a real floating-point dtype, or `activation` is not a name.
    DeviceError
        If the device does not exist or cannot be used.

    Examples
    --------
    >>> init_network([784, 50, 100, 10], seed=0)
    Network(784 -> 50 relu -> 100 relu -> 10 identity; logits; float32, numpy)
    """
    if len(sizes) < 2 or any(size < 1 for size in sizes):
        msg = f"`sizes` must be two or more positive numbers; got {list(sizes)}"
        raise ValueError(msg)
    check_activation(activation)
    if seed < 0:
        msg = f"`seed` must be at least 0; got {seed}"
        raise ValueError(msg)
    if scheme is None:
        scheme = "he" if ACTIVATIONS[activation].is_rectifier else "xavier"
    if scheme not in _DEVIATIONS:
        msg = f"`scheme` must be one of {', '.join(_DEVIATIONS)}; got {scheme!r}"
        raise ValueError(msg)
    if not np.isdtype(np.dtype(dtype), "real floating"):
        msg = f"`dtype` must be a real floating-point dtype; got {dtype}"
        raise TypeError(msg)
    random = np.random.default_rng(seed)
    names = [activation] * (len(sizes) - 2) + ["identity"]
    layers = []
    for (n_in, n_out), name in zip(pairwise(sizes), names, strict=True):
        deviation = _DEVIATIONS[scheme](n_in, n_out)
        weight = (deviation * random.standard_normal((n_in, n_out))).astype(dtype)
        layers.append(Dense(weight, np.zeros(n_out, dtype), name))
    return Network(layers, preprocessing, output, classes).to(device)
