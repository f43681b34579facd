"""Eigenvalues of symmetric matrices."""

import numpy as np
import pytest

from xpnet.arrays.linalg import eigh
from xpnet.arrays.namespace import device_of
from xpnet.arrays.transfer import to_numpy

MATRIX = np.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])


@pytest.mark.parametrize("is_on_host", [False, True])
def test_eigenvalues_and_eigenvectors_reproduce_the_matrix(xp_backend, monkeypatch, is_on_host):
    if xp_backend.library == "dask":
        pytest.skip("Dask has no eigenvalues")
    if is_on_host:  # as CuPy's are
        monkeypatch.setattr("xpnet.arrays.linalg.library_of", lambda _: "cupy")
    matrix = xp_backend.asarray(MATRIX, "float32")
    values, vectors = eigh(matrix)
    for x in (values, vectors):
        assert x.dtype == matrix.dtype
        assert device_of(x) == device_of(matrix)
    values, vectors = to_numpy(values), to_numpy(vectors)
    assert np.all(np.diff(values) > 0)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, MATRIX, atol=1e-5)
