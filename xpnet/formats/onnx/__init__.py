"""ONNX in and out: networks of fully connected layers, and nothing that only looks like one."""

from xpnet.formats.onnx.reading import parse, read
from xpnet.formats.onnx.writing import serialize

__all__ = ["parse", "read", "serialize"]
