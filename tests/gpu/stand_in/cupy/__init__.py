"""A stand-in for CuPy, which computes with NumPy: for rehearsals of the tests on a GPU.

It is generic: NumPy's functions take and return its arrays. CuPy's own ways are imitated where the
tests depend on them: memory pools and their limit, streams, pinned memory, current devices, no
implicit copies, TF32. Everything else raises AttributeError. Calls are recorded, to be compared
with the signatures of the real CuPy.

Variables: XPNET_STAND_IN_CAPABILITY, the compute capability times 10 (90 by default), and
XPNET_STAND_IN_CALLS, a file for the calls.
"""

import numpy as np

from cupy import cuda
from cupy._arrays import Namespace, ndarray
from cupy._recording import recorded

__version__ = "0 (a rehearsal)"
fft, linalg = (Namespace.of(f"cupy.{name}", getattr(np, name)) for name in ("fft", "linalg"))
__getattr__ = Namespace(__name__, np)
__all__ = list(__getattr__.names)
__all__ += ["asnumpy", "cuda", "fft", "fuse", "linalg", "ndarray"]


@recorded
def get_default_memory_pool():
    return cuda.POOL


@recorded
def get_default_pinned_memory_pool():
    return cuda.PINNED_POOL


@recorded
def asnumpy(a):
    return a.get()


@recorded
def fuse(function):
    """Return the function, which is not compiled."""
    return function
