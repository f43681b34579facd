"""ONNX format: networks of fully connected layers, as graphs of operators.

`reading` makes a network of a graph, by the operators of `operations`, compared with ONNX's
reference evaluator. `writing` makes a graph of a network; `exact` records the operations of a
reproducible network. `activations` is the table of both.
"""

from xpnet.formats.onnx import exact, writing
from xpnet.formats.onnx.reading import ExactFileError, read
from xpnet.networks.network import Network

__all__ = ["ExactFileError", "read", "serialize"]


def serialize(network: Network, *, input_dtype: str | None = None) -> bytes:
    """Return the bytes of an ONNX file of a network; arguments and errors are those of `save`."""
    form = exact if network.is_reproducible else writing
    return form.serialize(network, input_dtype=input_dtype)
