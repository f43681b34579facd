"""Fixtures of all tests: backends of the pytest plugin, larger data sets, and interrupts."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest_plugins = ["xpnet.testing.plugin", "pytester"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of larger data sets, given by the variable XPNET_TEST_DATA."""
    if "XPNET_TEST_DATA" not in os.environ:
        pytest.skip("XPNET_TEST_DATA is not set")
    return Path(os.environ["XPNET_TEST_DATA"])


@pytest.fixture
def interrupted_at():
    """Return a context: KeyboardInterrupt before line n of those that run in some modules.

    It gives the list of these lines; the last one is where the interrupt came.
    """

    @contextmanager
    def interrupt(n, *modules):
        files, lines = {module.__file__ for module in modules}, []

        def trace(frame, event, _):
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
                if len(lines) == n:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield lines
        finally:
            sys.settrace(before)

    return interrupt
