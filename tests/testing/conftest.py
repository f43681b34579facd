"""Array libraries are imported once, before any test runs pytest within pytest.

The inner one unloads the modules that it was the first to import, and these libraries cannot be
imported twice.
"""

import contextlib
import functools
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType

import pytest

from xpnet.arrays import libraries
from xpnet.arrays.namespace import array_namespace
from xpnet.testing import backends, parity
from xpnet.testing.words import RUN

for module in (
    "array_api_compat.numpy",
    "array_api_extra.testing",
    "array_api_strict",
    "array_api_compat.dask.array",
    "jax.numpy",
    "array_api_compat.torch",
):
    with contextlib.suppress(ImportError):
        importlib.import_module(module)


@pytest.fixture(autouse=True)
def every_backend(monkeypatch):
    """Let these tests choose their backends themselves, whatever --xp-backends says."""
    monkeypatch.setattr(RUN, "backends", None)


@pytest.fixture
def no_torch(monkeypatch):
    """Make torch unavailable, and forget which backends are available."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(backends, "_backend", functools.cache(backends.Backend))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "torch" else find_spec(name)
    )


@pytest.fixture
def mine(monkeypatch):
    """Return the importable module of an array library; remove libraries that a test adds."""
    module = ModuleType("mine")
    module.__spec__ = ModuleSpec("mine", None)
    monkeypatch.setitem(sys.modules, "mine", module)
    monkeypatch.setattr(libraries, "_registered", {})
    return module


@pytest.fixture
def run(pytester):
    """Write the files of a repository and run its tests with the plugin."""

    def run(tests, *options, **files):
        pytester.makepyfile(test_it=tests, **files)
        pytester.syspathinsert()
        # hypothesis would be imported again in each of them.
        plugins = ("-p", "xpnet.testing.plugin", "-p", "no:hypothesispytest")
        return pytester.runpytest_inprocess(*plugins, *options, no_reraise_ctrlc=True)

    return run


@pytest.fixture
def only_on():
    """Return a function that makes a function that is wrong on one library."""
    return lambda name, right, wrong: (
        lambda x: wrong(x) if name in array_namespace(x).__name__ else right(x)
    )


@pytest.fixture
def assert_fails():
    """Return a function: the message of a wrong function's failure, which must match a pattern."""

    def message_of(pattern, function, *arrays, keywords=MappingProxyType({}), **options):
        with pytest.raises(AssertionError, match=pattern) as caught:
            parity(**{"backends": ["numpy", "array-api-strict"]} | options)(
                function, *arrays, **keywords
            )
        return str(caught.value)

    return message_of
