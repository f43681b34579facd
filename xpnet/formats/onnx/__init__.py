"""ONNX format: networks of fully connected layers, as graphs of operators.

`reading` makes a network of a graph, by the operators of `operations`, compared with ONNX's
reference evaluator. `writing` makes a graph of a network; `exact` records the operations of a
reproducible network. `activations` is the table of both.
"""

from xpnet.formats.onnx.reading import ExactFileError, read
from xpnet.formats.onnx.writing import serialize

__all__ = ["ExactFileError", "read", "serialize"]
