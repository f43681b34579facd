"""The gated linear unit, on every backend."""

import math

import numpy as np
import pytest

import xpnet

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_first_half_times_the_sigmoid_of_the_second(xp_backend, dtype, assert_near, subtests):
    x = np.random.default_rng(0).normal(0, 4, (2, 6, 4)).astype(dtype)
    argument = xp_backend.asarray(x, dtype)
    for axis in [0, 1, 2, -1, -2]:
        with subtests.test(axis=axis):
            value, gate = np.split(x.astype(np.float64), 2, axis=axis)
            expected = value / (1 + np.exp(-gate))
            result = xpnet.glu(argument, axis=axis)
            values = xp_backend.check(result, dtype=dtype, shape=expected.shape)
            assert_near(gate, values, expected, rtol=8 * float(np.finfo(dtype).eps))


EDGES = [
    (2.0, 0.0, 1.0),
    (2.0, INF, 2.0),
    (2.0, -INF, 0.0),
    (2.0, 3e38, 2.0),
    (2.0, -3e38, 0.0),
    (3e38, -80.0, 3e38 * math.exp(-80)),
    (1e30, -90.0, 1e30 * math.exp(-90)),
    (INF, -INF, INF),
    (-INF, -1000.0, -INF),
    (-INF, 5.0, -INF),
    (0.0, INF, 0.0),
    (NAN, 0.0, NAN),
    (1.0, NAN, NAN),
]


def test_edges(xp_backend, assert_near):
    value, gate, expected = np.transpose(EDGES).astype(np.float64)
    result = xpnet.glu(xp_backend.asarray(np.stack([value, gate], axis=-1)))
    found = xp_backend.check(result, dtype="float32", shape=(len(EDGES), 1))
    assert_near(gate, found[:, 0], expected, rtol=1e-5)


def test_edges_compiled_by_jax(assert_near):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    value, gate, expected = np.transpose(EDGES).astype(np.float64)
    x = jax.numpy.asarray(np.stack([value, gate], axis=-1), dtype="float32")
    assert_near(gate, np.asarray(jax.jit(xpnet.glu)(x))[:, 0], expected, rtol=1e-5)


def test_empty_arrays(xp_backend):
    for shape in [(0, 4), (3, 0), (2, 0, 6)]:
        result = xpnet.glu(xp_backend.asarray(np.zeros(shape)))
        xp_backend.check(result, dtype="float32", shape=(*shape[:-1], shape[-1] // 2))


def test_shapes_without_halves(xp_backend, subtests):
    for shape, axis, message in [
        ((2, 3), -1, "`x` must have an even length along axis -1; got 3"),
        ((3, 2), 0, "`x` must have an even length along axis 0; got 3"),
        ((2, 2), 2, "`axis` must be one of the array's 2 axes; got 2"),
        ((), -1, "`axis` must be one of the array's 0 axes; got -1"),
    ]:
        x = xp_backend.asarray(np.zeros(shape))
        with subtests.test(message), pytest.raises(ValueError, match=f"^{message}$"):
            xpnet.glu(x, axis=axis)


def test_an_axis_is_an_integer():
    with pytest.raises(TypeError, match=r"`axis` must be an integer; got 1\.0"):
        xpnet.glu(np.zeros((2, 2)), axis=1.0)


def test_integers_become_floating():
    np.testing.assert_array_equal(xpnet.glu([4, 0]), np.asarray([2.0]))
