"""Detection of computations that are recorded for a compiler."""

import numpy as np
import pytest

from xpnet.arrays.tracing import is_traced


def test_arrays_are_not_traced(xp_backend):
    assert not is_traced(xp_backend.asarray(np.zeros(2)))


def test_tracers_of_jax():
    jax = pytest.importorskip("jax")
    found = []
    for transform in (jax.jit, jax.vmap):
        transform(lambda x: (found.append(is_traced(x)), x)[1])(jax.numpy.zeros(2))
    assert found == [True, True]


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_traces_of_torch():
    torch = pytest.importorskip("torch")
    found = []

    def function(x):
        found.append(is_traced(x))
        return x + 1

    torch.jit.trace(function, torch.zeros(2), check_trace=False)
    function(torch.zeros(2))
    assert found == [True, False]
