"""Eigenvalues of symmetric matrices."""

from typing import Any

import numpy as np

from xpnet.arrays.namespace import array_namespace, device_of, library_of
from xpnet.arrays.transfer import move, to_numpy

__all__ = ["eigh"]


def eigh(x: Any, /) -> tuple[Any, Any]:
    """Return the ascending eigenvalues and the eigenvectors (columns) of a symmetric matrix.

    CuPy arrays are computed on the host, because CuPy needs cuSOLVER, a library of some hundred
    megabytes, for one small matrix per network.
    """
    xp = array_namespace(x)
    if library_of(x) != "cupy":
        values, vectors = xp.linalg.eigh(x)
    else:
        values, vectors = (move(found, xp, device_of(x)) for found in np.linalg.eigh(to_numpy(x)))
    return values, vectors
