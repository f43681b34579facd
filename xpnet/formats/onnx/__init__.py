"""ONNX format: networks of fully connected layers, as graphs of operators.

`reading` makes a network of a graph, and compares it with ONNX's reference evaluator. `writing`
makes a graph of a network, with the activations of `activations`; `exact` records the operations of
a reproducible network.
"""

from xpnet.formats.onnx.reading import ExactFileError, read
from xpnet.formats.onnx.writing import serialize

__all__ = ["ExactFileError", "read", "serialize"]
