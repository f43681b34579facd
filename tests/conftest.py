"""What all tests share: the backends of xpnet's own pytest plugin, and the larger data sets."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["xpnet.parity.plugin", "pytester"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets that the variable XPNET_TEST_DATA names."""
    if "XPNET_TEST_DATA" not in os.environ:
        pytest.skip("XPNET_TEST_DATA is not set")
    return Path(os.environ["XPNET_TEST_DATA"])
