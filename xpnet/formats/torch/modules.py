"""Conversion from torch: modules of fully connected layers and activations."""

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from math import isqrt
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.chain import check_outputs, network_of_chain
from xpnet.formats.torch.operators import (
    FACT,
    TORCH_ACTIVATIONS,
    Rows,
    call_function,
    call_module,
    reject,
)
from xpnet.networks.network import Network

__all__ = ["TORCH_ACTIVATIONS", "from_torch"]


# Tracing raises many kinds, such as RuntimeError for a loop over values.
_TRACE_ERRORS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


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
    The forward is traced, by ``torch.fx`` or else by ``torch.export``, in evaluation mode; the
    mode is restored afterwards. The network takes the module's inputs: for raw bytes and a module
    of pixels in 0..1, use ``dataclasses.replace(network, preprocessing=(xpnet.Scale(1 / 255),
    *network.preprocessing))``.

    torch's Softplus returns its input if ``beta * x`` is above 20. This is correctly rounded in
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
    with _evaluating(module):
        first = next(iter(module.parameters()), None)
        if first is None:
            reject(f"{type(module).__name__} without a Linear layer")
        network = network_of_chain(_chain_of(torch, module, first))

        def outputs(x: NDArray[Any]) -> NDArray[Any]:
            rows = torch.asarray(x).to(first)
            return np.asarray(to_numpy(_first_result(module, rows)))

        check_outputs(network, outputs, epsilon=torch.finfo(first.dtype).eps)
    return network


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Set a module to evaluation mode, without messages, and restore the mode of each part."""
    modes = [(part, part.training) for part in module.modules()]
    level = logging.root.manager.disable
    module.eval()
    logging.disable(logging.CRITICAL)  # torch.export logs pages about each failure
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch about itself
            yield
    finally:
        logging.disable(level)
        for part, mode in modes:
            part.training = mode


def _first_result(module: Any, rows: Any) -> Any:
    """Return the outputs for rows in the first shape that the module accepts."""
    for shape in _row_shapes(rows.shape[1]):
        with suppress(*_TRACE_ERRORS):
            return module(rows.reshape(len(rows), *shape)).detach()
    return reject(f"a forward that rejects rows of {rows.shape[1]} numbers")


def _row_shapes(n_in: int) -> list[tuple[int, ...]]:
    """Return a row, and the shapes of a square image."""
    side = isqrt(n_in)
    return [(n_in,), *([(1, side, side), (side, side)] if side * side == n_in else [])]


def _chain_of(torch: Any, module: Any, first: Any) -> Any:
    """Return the operations of a module's forward, each with its position."""
    # A Sequential calls its part with hooks and a replaced forward, which a trace would omit.
    whole = torch.nn.Sequential(module)
    tracer = torch.fx.Tracer()
    tracer.is_leaf_module = _is_leaf
    try:
        graph, root = tracer.trace(whole), whole
    except _TRACE_ERRORS as error:
        n_in = next((x.in_features for x in whole.modules() if hasattr(x, "in_features")), None)
        for shape in _row_shapes(first.shape[0] if n_in is None else n_in):
            example = torch.zeros(2, *shape, dtype=first.dtype, device=first.device)
            with suppress(*_TRACE_ERRORS), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                root = torch.export.export(whole, (example,)).module()
                break
        else:
            reason = str(error).partition("\n")[0][:200]
            reject(f"a forward that torch cannot trace ({reason})", error)
        graph = root.graph
    return _chain_of_graph(torch, graph, root)


def _is_leaf(part: Any, _: str) -> bool:
    """Return whether the class of a module, one of torch's own, tells what it computes."""
    state, kind = vars(part), type(part)
    has_hooks = state["_forward_hooks"] or state["_forward_pre_hooks"] or "forward" in state
    is_own = kind.__module__.startswith("torch.nn.modules.") and kind.__name__ != "Sequential"
    return is_own and not has_hooks


def _chain_of_graph(torch: Any, graph: Any, root: Any) -> Any:
    """Return the operations between the input and the output of a graph."""
    values: dict[Any, Any] = {}
    *nodes, output = graph.nodes
    for node in nodes:
        if node.op == "placeholder" or node.users:  # not an assertion of torch.export
            values[node] = _value(torch, node, root, values)
    results = [values[x] for x in output.all_input_nodes]
    if len(results) != 1 or not isinstance(results[0], Rows):
        reject("a forward that does not return one result of its layers")
    return results[0].chain


def _value(torch: Any, node: Any, root: Any, values: Mapping[Any, Any]) -> Any:
    """Return the value of a node: rows, a fact about them, or a constant."""
    if node.op == "placeholder":
        return Rows()
    if node.op == "get_attr":
        return attrgetter(node.target)(root)
    args, options = torch.fx.node.map_arg((node.args, node.kwargs), values.get)
    inputs = [values[x] for x in node.all_input_nodes]
    n_rows = sum(isinstance(x, Rows) for x in inputs)
    if n_rows > 1:
        reject(f"several results together in {node.name}")
    if node.op == "call_module":
        where = node.target.removeprefix("0").removeprefix(".") or "the top"
        return call_module(root.get_submodule(node.target), where, *args)
    is_method = node.op == "call_method"
    if n_rows:
        name = node.target if is_method else node.target.__name__
        where = node.name.removeprefix("_0_")
        return call_function(name.split(".")[0], where, args, options, torch.nn)
    if FACT in inputs:
        return FACT
    function = getattr(args[0], node.target) if is_method else node.target
    return function(*args[is_method:], **options)
