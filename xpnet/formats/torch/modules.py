"""Conversion from torch: modules of fully connected layers and activations."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.chain import check_outputs, network_of_chain
from xpnet.formats.torch.trace import Chain, Trace, rejection
from xpnet.networks.network import Network

__all__ = ["from_torch"]

# Modules that may have parameters; PReLU is read from ONNX.
_KNOWN = frozenset({"BatchNorm1d", "Linear", "Module", "PReLU", "ParameterDict", "ParameterList"})
# What a forward raises for rows of another shape, or if it is missing.
_FAULTS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def from_torch(module: Any, /) -> Network:
    """Return the network of a torch module, on the host.

    Parameters
    ----------
    module : torch.nn.Module
        A module whose forward is a chain of Linear layers and activations, as modules, functions
        or methods, in nested modules as well. Flatten, view and reshape to rows, Dropout and
        Identity are skipped; BatchNorm1d is folded into a neighbouring layer; arithmetic with
        constants before the first layer, such as ``x / 255``, becomes preprocessing. Parameters
        may be on any device.

    Returns
    -------
    Network
        In the module's own dtype (bfloat16 becomes float32), with ``output="probabilities"`` if
        the last activation is a softmax, or the sigmoid of one unit.

    Raises
    ------
    TypeError
        If `module` is no module, or is not such a chain: the message names the first other
        operation, and the ways that remain.
    ValueError
        If an operation has settings that xpnet's function lacks; a parameter is NaN or infinite;
        the layers do not fit or are missing; or the network differs from the module, evaluated on
        random rows.

    Notes
    -----
    The functions of torch that the forward calls are recorded for two rows, in evaluation mode; the
    mode is restored afterwards. The network takes the module's inputs: for raw bytes and a module
    of pixels in 0..1, use ``dataclasses.replace(network, preprocessing=(xpnet.Scale(1 / 255),
    *network.preprocessing))``. Nothing warns without it, unless the module standardises pixels.

    torch's Softplus returns its input above 20. This is correctly rounded in
    float32, and has an error of 2e-9 in float64.

    Examples
    --------
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2)))  # doctest: +SKIP
    Network(4 -> 2 identity; logits; float32, numpy)
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        msg = f"`module` must be a torch.nn.Module; got {type(module).__name__}"
        raise TypeError(msg)
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    first = next(iter(module.parameters()), None)
    if first is None:
        msg = f"{type(module).__name__} without a Linear layer"
        raise rejection(msg)
    with _evaluating(torch, module):
        try:
            shape, chain = _record(torch, module, first)
            network = network_of_chain(chain)
        except (TypeError, ValueError) as error:
            _reject_layers(module, error)
            raise

        def outputs(x: NDArray[Any]) -> NDArray[Any]:
            rows = torch.asarray(x).to(first).reshape(len(x), *shape)
            try:
                return np.asarray(to_numpy(module(rows)))
            except _FAULTS as error:
                msg = f"a forward that fails for {len(x)} rows"
                raise rejection(msg) from error

        check_outputs(network, outputs, epsilon=torch.finfo(first.dtype).eps)
    return network


def _reject_layers(module: Any, cause: Exception) -> None:
    """Raise TypeError if a module has layers that xpnet lacks in every format, ONNX included."""
    with_parameters = (x for x in module.modules() if [*x.parameters(recurse=False)])
    kinds = [type(x) for x in with_parameters]
    own = {kind.__name__ for kind in kinds if kind.__module__.startswith("torch.nn.modules.")}
    if lacking := sorted(own - _KNOWN):
        rule = "`module` must be a chain of Linear layers and activations"
        msg = f"{rule}: xpnet has no {', '.join(lacking)}"
        raise TypeError(msg) from cause


@contextmanager
def _evaluating(torch: Any, module: Any) -> Iterator[None]:
    """Set a module to evaluation mode, and restore the mode of each part."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _record(torch: Any, module: Any, first: Any) -> tuple[tuple[int, ...], Chain]:
    """Return the operations of a module, and the first shape of a row that its forward takes."""
    reasons = []
    for shape in _row_shapes(module):
        rows = torch.zeros(2, *shape, dtype=first.dtype, device=first.device)
        trace, chain = Trace(torch, module, rows), None
        try:
            with _function_mode(torch, trace):
                chain = trace.chain_of(module(rows))
        except _FAULTS as error:
            reasons.append(f" ({str(error).partition(chr(10))[0]:.200})")
        if trace.error:
            raise trace.error
        if chain is not None:
            return shape, chain
        reasons.append("")
    reason = "".join(reasons[:1])
    msg = f"a forward that does not return one result of its layers for rows of numbers{reason}"
    raise rejection(msg)


def _function_mode(torch: Any, trace: Trace) -> Any:
    """Return the context in which a trace calls the functions of torch."""

    def call(_: Any, function: Any, __: Any, args: Any = (), options: Any = None) -> Any:
        return trace.call(function, args, options or {})

    kind = torch.overrides.TorchFunctionMode
    return type("Recording", (kind,), {"__torch_function__": call})()


def _row_shapes(module: Any) -> Iterator[tuple[int, ...]]:
    """Yield the rows, and square images of as many numbers, that a module may take."""
    # The weight of a Linear is (n_out, n_in).
    widths = dict.fromkeys(n for x in module.parameters() for n in reversed(x.shape))
    for width in widths:
        yield (width,)
        side = isqrt(width)
        if side * side == width:
            yield from [(1, side, side), (side, side)]
