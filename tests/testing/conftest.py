"""Array libraries are imported once, before any test runs pytest within pytest.

The inner one unloads the modules that it was the first to import, and these libraries cannot be
imported twice.
"""

import contextlib
import functools
import importlib
import inspect

import pytest

from xpnet.testing import backends

for module in (
    "array_api_compat.numpy",
    "array_api_extra.testing",
    "array_api_strict",
    "dask.array",
    "jax.numpy",
    "torch",
):
    with contextlib.suppress(ImportError):
        importlib.import_module(module)


@pytest.fixture
def fresh_reasons(monkeypatch):
    """Forget, for a test, the reasons why backends are unavailable."""
    backend = inspect.unwrap(vars(backends)["_backend"])
    monkeypatch.setattr(backends, "_backend", functools.cache(backend))


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
