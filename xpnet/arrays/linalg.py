"""Linear algebra beyond products."""

from typing import Any

import numpy as np

from xpnet.arrays.namespace import array_namespace, device_of, library_of
from xpnet.arrays.transfer import move, to_numpy

__all__ = ["eigh"]


def eigh(x: Any, /) -> tuple[Any, Any]:
    """Return eigenvalues, in rising order, and eigenvectors, as columns, of a symmetric matrix.

    CuPy's are computed on the host: its own way takes cuSOLVER, some hundred megabytes of library,
    for one small matrix in the life of a network.

    Parameters
    ----------
    x : array of shape (n, n)
    """
    xp = array_namespace(x)
    if library_of(x) != "cupy":
        values, vectors = xp.linalg.eigh(x)
        return values, vectors
    values, vectors = (move(found, xp, device_of(x)) for found in np.linalg.eigh(to_numpy(x)))
    return values, vectors
