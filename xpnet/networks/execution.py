"""The forward pass: preprocessing, then one stage per layer, fused into one kernel on a GPU."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from xpnet.arrays.cpu.blocked_matmul import affine, times_once
from xpnet.arrays.gpu.fusion import with_bias
from xpnet.arrays.namespace import array_namespace, as_array, cast, current_device, is_real
from xpnet.arrays.ranges import dtype_before_cast, is_far_below, without_overflow
from xpnet.functions.activations import ACTIVATIONS

if TYPE_CHECKING:
    from xpnet.networks.dense import Dense
    from xpnet.networks.network import Network

__all__ = ["Stage", "forward", "layer_results", "outputs", "preprocessed", "stages_of"]


class Stage(NamedTuple):
    """A layer as two functions, with everything looked up that they need.

    Attributes
    ----------
    product : callable
        From x to x @ weight + bias, or to x @ weight if `activate` adds the bias.
    activate : callable
        From the product and the namespace to the layer's results.
    activation : callable
        The same function without a bias.
    fused_bias : array or None
        The bias, if `activate` adds it: one kernel reads and writes a GPU's memory once.
    """

    product: Callable[[Any], Any]
    activate: Callable[[Any, Any], Any]
    activation: Callable[[Any, Any], Any]
    fused_bias: Any = None


def stages_of(layers: "Sequence[Dense]") -> tuple[Stage, ...]:
    """Return the stages of layers, prepared for their library and dtype."""
    return tuple(map(_stage_of, layers))


def _stage_of(layer: "Dense") -> Stage:
    weight, bias, activation = layer.weight, layer.bias, ACTIVATIONS[layer.activation]
    xp = array_namespace(weight)
    activate = activation.prepared(xp, weight.dtype, **layer.options)
    if activation.is_elementwise:
        fused = with_bias(activate, bias, xp)
        if fused is not None:
            return Stage(lambda x: x @ weight, fused, activate, bias)
    return Stage(affine(weight, bias), activate, activate)


def forward(network: "Network", x: Any, /) -> Any:
    """Return the outputs of a network: preprocessing, then activation(x @ weight + bias) by layer.

    Parameters
    ----------
    network : Network
    x : array of shape (..., n_in)
        Real numbers, of the network's library and device. They are cast to the dtype of the
        parameters, so raw ``uint8`` pixels need no conversion. If the dtype of `x` has a wider
        range, it is preprocessed in that dtype and cast afterwards.

    Returns
    -------
    array of shape (..., n_out)
        Logits, probabilities or values (see ``network.output``), in the library, device and dtype
        of the parameters.

    Raises
    ------
    TypeError
        If `x` belongs to another library, is complex, or is not an array of numbers.
    ValueError
        If the last axis of `x` is not `n_in` long, or `x` is on another device; for NumPy arrays,
        also if a finite input overflows in the dtype of the parameters, before or after the
        preprocessing. The values of other arrays are not checked.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> network = xpnet.Network([xpnet.Dense([[1.0], [2.0]], [0.5])])
    >>> forward(network, np.asarray([1, 1]))
    array([3.5])
    """
    x = as_array(x)
    xp = array_namespace(x, network.layers[0].weight)
    if not is_real(x, xp):
        msg = f"`x` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    if x.ndim == 0 or x.shape[-1] != network.n_in:
        msg = f"`x` must have the shape (..., {network.n_in}); got {tuple(x.shape)}"
        raise ValueError(msg)
    with current_device(x):
        if x.ndim <= 2:
            return outputs(network, x, xp)
        # Two dimensions only: for more, NumPy multiplies one matrix at a time, and CuPy computes
        # float16 in float32.
        y = outputs(network, xp.reshape(x, (-1, network.n_in)), xp)
        return xp.reshape(y, (*x.shape[:-1], network.n_out))


def outputs(network: "Network", x: Any, xp: Any) -> Any:
    """Return the outputs for rows that need no check: the computation of `forward`."""
    y = preprocessed(network, x, xp)
    for product, activate, _, _ in network.stages:
        y = activate(product(y), xp)
    return y


def layer_results(
    network: "Network", x: Any, xp: Any, parameters: Sequence[tuple[Any, Any]] | None = None
) -> Iterator[tuple[Any, Any]]:
    """Compute the forward pass and yield the input and the result of each step.

    The first pair is the preprocessing: x, and x preprocessed in the network's dtype. A pair for
    each layer follows: x @ weight + bias, and its activation. Pairs (weight, bias) in `parameters`
    are used instead of the network's own.
    """
    stages: Iterable[Stage] = network.stages
    if parameters is not None:
        stages = (
            Stage(partial(times_once, weight, bias), stage.activation, stage.activation)
            for (weight, bias), stage in zip(parameters, network.stages, strict=True)
        )
    y = preprocessed(network, x, xp)
    yield x, y
    for product, activate, _, fused_bias in stages:
        weighted = product(y)
        y = activate(weighted, xp)
        yield weighted if fused_bias is None else weighted + fused_bias, y


def preprocessed(network: "Network", x: Any, xp: Any) -> Any:
    """Return rows that need no check, preprocessed and cast to the network's dtype."""
    steps, dtype = network.preprocessing, network.dtype
    before = dtype_before_cast(x.dtype, dtype, xp)

    def compute() -> Any:
        y = cast(x, before, xp)
        for step in steps:
            y = step.compute(y, xp)
        return cast(y, dtype, xp)

    # Watching for overflow takes a tenth of a row's time.
    if before == dtype and (not steps or is_far_below(x.dtype, dtype, xp)):
        return compute()
    return without_overflow(compute, x, xp, dtype, is_mixed=network.whitens)
