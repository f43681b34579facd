"""Tests of array code on every array library and device: `assert_parity` and a pytest plugin.

A call of `assert_parity` passes through these modules in this order:

========== ========================================================================
check      options; the function on NumPy, then on each backend; at last the verdict
arguments  NumPy arguments, and the same as those of a backend
sweeps     variants of the arguments
reference  expected results, from NumPy in float64
on_backend one call on one backend, and what is wrong with its results
laziness   the same without values: Dask, the strictest backend, `jax.jit`
tolerance  the bound of a result, and the deviation beyond it
message    errors and faults of all backends in words
========== ========================================================================
"""

from xpnet.testing.check import assert_parity, parity

__all__ = ["assert_parity", "parity"]
