"""Tests of array code on every array library and device: `assert_parity` and a pytest plugin."""

from xpnet.testing.built_in import BackendSpec
from xpnet.testing.capabilities import (
    capabilities_table,
    make_xp_pytest_param,
    make_xp_test_case,
    xp_capabilities,
)
from xpnet.testing.certificates import check, record
from xpnet.testing.comparison import assert_parity
from xpnet.testing.registry import register_backend

__all__ = [
    "BackendSpec",
    "assert_parity",
    "capabilities_table",
    "check",
    "make_xp_pytest_param",
    "make_xp_test_case",
    "record",
    "register_backend",
    "xp_capabilities",
]
