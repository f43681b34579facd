"""ONNX format: networks of fully connected layers, as graphs of operators.

Reading: `parsing` reads the file with bounded memory, and `tensors` its constants. `graph` puts the
operations in order, with the operators of `schemas`. `operations` reads those between input and
output into a chain (`chain_builder`). `reading` compares the network of the chain with ONNX's
reference evaluator, and rejects every graph that is not exactly such a network.

Writing: `writing` builds a graph from a network, with the activations of `activations`. `exact`
records the operations of a reproducible network.
"""

from xpnet.formats.onnx.parsing import read_headers
from xpnet.formats.onnx.reading import read
from xpnet.formats.onnx.writing import serialize

__all__ = ["read", "read_headers", "serialize"]
