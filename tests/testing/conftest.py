"""Array libraries are imported once, before any test runs pytest within pytest.

The inner one unloads the modules that it was the first to import, and these libraries cannot be
imported twice.
"""

import contextlib
import importlib

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
