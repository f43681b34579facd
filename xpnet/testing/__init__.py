"""Tests of array code on every array library and device: `assert_parity` and a pytest plugin."""

from xpnet.testing.capabilities import (
    make_xp_pytest_param,
    make_xp_test_case,
    sample,
    samples_of,
    xp_capabilities,
)
from xpnet.testing.comparison import assert_parity, parity

__all__ = [
    "assert_parity",
    "make_xp_pytest_param",
    "make_xp_test_case",
    "parity",
    "sample",
    "samples_of",
    "xp_capabilities",
]
