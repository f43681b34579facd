"""The gated linear unit, on every backend."""

import math

import numpy as np
import pytest

import xpnet

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_first_half_times_the_sigmoid_of_the_second(xp_backend, axis, dtype):
    x = np.random.default_rng(0).normal(0, 4, (2, 6, 4)).astype(dtype)
    value, gate = np.split(x.astype(np.float64), 2, axis=axis)
    expected = value / (1 + np.exp(-gate))
    result = xpnet.glu(xp_backend.asarray(x, dtype), axis=axis)
    values = xp_backend.check(result, dtype=dtype, shape=expected.shape)
    np.testing.assert_allclose(values, expected, rtol=8 * float(np.finfo(dtype).eps))


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


@pytest.mark.parametrize(("value", "gate", "expected"), EDGES)
def test_edges(xp_backend, value, gate, expected):
    result = xpnet.glu(xp_backend.asarray([value, gate]))
    values = xp_backend.check(result, dtype="float32", shape=(1,))
    np.testing.assert_allclose(values[0], expected, rtol=1e-5)


@pytest.mark.parametrize(("value", "gate", "expected"), EDGES)
def test_edges_compiled_by_jax(value, gate, expected):
    jax = pytest.importorskip("jax", reason="compiles by JAX")
    result = jax.jit(xpnet.glu)(jax.numpy.asarray([value, gate], dtype="float32"))
    np.testing.assert_allclose(float(result[0]), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (2, 0, 6)])
def test_empty_arrays(xp_backend, shape):
    result = xpnet.glu(xp_backend.asarray(np.zeros(shape)))
    xp_backend.check(result, dtype="float32", shape=(*shape[:-1], shape[-1] // 2))


@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [
        ((2, 3), -1, "`x` must have an even length along axis -1; got 3"),
        ((3, 2), 0, "`x` must have an even length along axis 0; got 3"),
        ((2, 2), 2, "`axis` must be one of the array's 2 axes; got 2"),
        ((), -1, "`axis` must be one of the array's 0 axes; got -1"),
    ],
)
def test_shapes_without_halves(xp_backend, shape, axis, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        xpnet.glu(xp_backend.asarray(np.zeros(shape)), axis=axis)


def test_an_axis_is_an_integer():
    with pytest.raises(TypeError, match=r"`axis` must be an integer; got 1\.0"):
        xpnet.glu(np.zeros((2, 2)), axis=1.0)


def test_integers_become_floating():
    np.testing.assert_array_equal(xpnet.glu([4, 0]), np.asarray([2.0]))
