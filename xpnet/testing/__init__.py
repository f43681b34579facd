"""Tests of array code on every array library and device: `assert_parity` and a pytest plugin."""

from xpnet.testing.comparison import assert_parity, parity

__all__ = ["assert_parity", "parity"]
