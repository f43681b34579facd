"""Tests of array code on every array library and device: `assert_parity` and a pytest plugin."""

from xpnet.testing.capabilities import (
    capabilities_table,
    make_xp_pytest_param,
    make_xp_test_case,
    xp_capabilities,
)
from xpnet.testing.comparison import assert_parity

__all__ = [
    "assert_parity",
    "capabilities_table",
    "make_xp_pytest_param",
    "make_xp_test_case",
    "xp_capabilities",
]
