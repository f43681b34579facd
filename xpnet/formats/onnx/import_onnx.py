"""The package onnx, which is imported where it is used."""

from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["KEY", "VERSION", "decode_error", "onnx_library"]

# The entry of a model's metadata in which xpnet says what its graph does not tell.
KEY = "xpnet"
VERSION = 1


def onnx_library() -> ModuleType:
    """Import the package onnx.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; the message says how to mend that.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        msg = "ONNX files need the package onnx: pip install 'xpnet[onnx]'"
        raise ModuleNotFoundError(msg, name="onnx") from error
    return onnx


def decode_error() -> Any:
    """Return what the package onnx raises for bytes that are none of its messages."""
    # It comes with protobuf, which has no annotations.
    return import_module("google.protobuf.message").DecodeError
