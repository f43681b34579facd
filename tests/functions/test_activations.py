"""Activation functions and their table: arguments, results and options, on every backend."""

import inspect
import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.losses import LOSSES

ALONG_AXIS = ("log_softmax", "softmax", "sparsemax")
NOT_LEARNABLE = ("step",)


def test_shape_is_kept(xp_backend, elementwise, subtests):
    for shape in [(), (0,), (3, 0), (2, 3, 4)]:
        x = xp_backend.asarray(np.ones(shape))
        results = [getattr(xpnet, name)(x) for name in elementwise]
        for name, result in zip(elementwise, results, strict=True):
            with subtests.test(name=name, shape=shape):
                assert (result.dtype, result.shape) == (x.dtype, shape)
        # All in one array: Dask computes it faster than many.
        whole = xp_backend.xp.stack(results)
        xp_backend.check(whole, dtype="float32", shape=(len(results), *shape))


@pytest.mark.slow_on("dask")
def test_integers_become_the_default_floating_dtype(xp_backend, elementwise, subtests):
    info = xp_backend.xp.__array_namespace_info__()
    default = info.default_dtypes(device=xp_backend.device)["real floating"]
    for name in elementwise:
        function = getattr(xpnet, name)
        results = [function(xp_backend.xp.astype(xp_backend.asarray([0, 1]), default))]
        for dtype in ["bool", "uint8", "int32", "int64"]:
            with subtests.test(name=name, dtype=dtype):
                results.append(function(xp_backend.asarray([0, 1], dtype)))
                assert results[-1].dtype == default
        with subtests.test(name=name):
            expected, *found = to_numpy(xp_backend.xp.stack(results))
            np.testing.assert_array_equal(found, [expected] * 4)


def test_nothing_is_written_into_the_argument(xp_backend, elementwise, subtests):
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    for name in elementwise:
        with subtests.test(name=name):
            argument = xp_backend.asarray(x)
            getattr(xpnet, name)(argument)
            np.testing.assert_array_equal(
                xp_backend.check(argument, dtype="float32", shape=(13,)), x
            )


@pytest.mark.slow_on("dask")
def test_a_row_is_its_public_function(xp_backend, subtests):
    xp, x = xp_backend.xp, xp_backend.asarray([-2.0, 0.0, 0.5, 4.0])
    for name, row in ACTIVATIONS.items():
        with subtests.test(name=name):
            results = [getattr(xpnet, row.name)(x), row(x, xp), row.prepared(xp, x.dtype)(x, xp)]
            values = xp_backend.check(xp.stack(results), dtype="float32", shape=(3, 4))
            np.testing.assert_array_equal(values[1:], values[[0, 0]])


def test_rectifiers_are_close_to_the_larger_of_0_and_x(elementwise, subtests):
    for name in elementwise:
        with subtests.test(name=name):
            row = ACTIVATIONS[name]
            below, zero, above = row(np.asarray([-3.0, 0.0, 3.0]), np)
            is_close = abs(below) < 1.0 and zero == 0.0 and above > 2.0 and not row.jumps()
            assert row.is_rectifier == is_close


def test_complex_numbers_are_rejected(elementwise, subtests):
    for name in elementwise:
        message = "`x` must hold real numbers; got dtype complex128"
        with subtests.test(name=name), pytest.raises(TypeError, match=message):
            getattr(xpnet, name)(np.asarray([1j]))


@pytest.mark.parametrize("x", [0.5, [0.5, -1], (1, 2), True, [[1.5], [2.5]]])
def test_numbers_and_lists_become_numpy(elementwise, subtests, x):
    for name in elementwise:
        with subtests.test(name=name):
            result = getattr(xpnet, name)(x)
            assert isinstance(result, np.ndarray | np.float64)
            assert (result.dtype, np.shape(result)) == (np.float64, np.shape(x))
            np.testing.assert_array_equal(result, getattr(xpnet, name)(np.asarray(x, float)))


@pytest.mark.parametrize("x", ["0.5", None, {1: 2}, object()])
def test_other_objects_are_rejected(elementwise, subtests, x):
    for name in elementwise:
        message = rf"`x` must be an array.*got {type(x).__name__}"
        with subtests.test(name=name), pytest.raises(TypeError, match=message):
            getattr(xpnet, name)(x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numpy_scalars(elementwise, subtests, dtype):
    x = np.dtype(dtype).type(0.625)
    for name in elementwise:
        with subtests.test(name=name):
            result = getattr(xpnet, name)(x)
            assert (result.dtype, np.shape(result)) == (x.dtype, ())
            assert result == getattr(xpnet, name)(np.asarray([0.625], dtype))[0]


@pytest.mark.parametrize(
    "view",
    [lambda x: x[::-2], lambda x: x.T, lambda x: x[:, 1], lambda x: np.broadcast_to(x[0], (3, 4))],
    ids=["reversed", "transposed", "column", "broadcast"],
)
def test_views_and_read_only_arrays(elementwise, subtests, view):
    x = np.random.default_rng(1).normal(0, 2, (6, 4))
    x.flags.writeable = False
    before, seen = x.copy(), view(x)
    for name in elementwise:
        with subtests.test(name=name):
            function = getattr(xpnet, name)
            np.testing.assert_array_equal(function(seen), function(seen.copy()))
            np.testing.assert_array_equal(x, before)


def test_sigmoid_keeps_the_digits_of_its_negative_tail(xp_backend):
    x = xp_backend.asarray([-30.0, -80.0])
    result = xp_backend.check(xpnet.sigmoid(x), dtype="float32", shape=(2,))
    np.testing.assert_allclose(result, [math.exp(-30), math.exp(-80)], rtol=1e-6)


def test_a_rows_options_are_its_functions(subtests):
    for name, row in ACTIVATIONS.items():
        with subtests.test(name=name):
            public = inspect.signature(getattr(xpnet, row.name)).parameters
            defaults = {
                key: parameter.default
                for key, parameter in public.items()
                if parameter.kind is parameter.KEYWORD_ONLY and key != "axis"
            }
            assert row.checked({}) == defaults
            assert dict(row.options).keys() == defaults.keys()


def test_the_table_lists_every_activation():
    public = {name for name in xpnet.__all__ if name in dir(xpnet) and name.islower()}
    functions = {
        name
        for name in public
        if getattr(getattr(xpnet, name), "__module__", "").startswith("xpnet.functions.")
    }
    # glu halves its axis, logsumexp drops it, losses take targets, and one returns a namespace.
    others = {*LOSSES, "glu", "logsumexp", "exact_namespace"}
    assert set(ACTIVATIONS) == functions - others | {"linear"}
    assert [*ACTIVATIONS] == sorted(ACTIVATIONS)


def test_linear_is_the_identity():
    assert ACTIVATIONS["linear"] is ACTIVATIONS["identity"]
    assert {name for name, row in ACTIVATIONS.items() if row.name != name} == {"linear"}


def test_kinds_of_rows():
    assert {name for name, row in ACTIVATIONS.items() if not row.is_elementwise} == {*ALONG_AXIS}
    assert {name for name, row in ACTIVATIONS.items() if not row.is_learnable} == {*NOT_LEARNABLE}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        ACTIVATIONS["swish"] = ACTIVATIONS["silu"]
