"""ONNX format: networks of fully connected layers, as graphs of operators.

Reading: `parsing` reads the file with bounded memory, `schemas` validates its nodes, and `graph`
follows the input through the operators of `operator_table` (`arithmetic`, `activations`,
`shape_operators`), with the values of `values` and the constants of `tensors`. `reading` builds a
network from the result, and rejects every graph that is not exactly such a network.

Writing: `writing` builds a graph from a network, with the activations of `activations`.
"""

from xpnet.formats.onnx.parsing import read_headers
from xpnet.formats.onnx.reading import read
from xpnet.formats.onnx.writing import serialize

__all__ = ["read", "read_headers", "serialize"]
