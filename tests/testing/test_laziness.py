"""Laziness: its choice, reading of values, `jax.jit`, and threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import laziness
from xpnet.testing.comparison import parity

X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
DASK = ["numpy", "dask"]
JAX = ["numpy", "jax"]


def reads(x):
    return x * float(x[0, 0])


def test_a_function_that_may_read_all_values_is_not_called_without_values():
    pytest.importorskip("torch", reason="torch is not installed")
    parity(lazy=False, backends=["numpy", "dask", "torch:meta"])(reads, X)
    with pytest.raises(AssertionError, match="torch:meta"):
        parity(lazy={"dask"}, allow_dask_compute=1, backends=["torch:meta"])(reads, X)


def looks(x):
    """Read a value."""
    return x if float(array_namespace(x).sum(x)) > 0.0 else -x


def looks_twice(x):
    """Read two values."""
    return looks(looks(x) * 2.0)


@pytest.mark.parametrize("lazy", [False, {"jax"}, {"array-api-strict"}, []])
def test_dask_may_compute_if_it_need_not_be_lazy(lazy):
    pytest.importorskip("dask.array")
    parity(lazy=lazy, backends=DASK)(looks, X)


@pytest.mark.parametrize("lazy", [True, {"dask"}, ["dask", "jax"]])
def test_computing_a_dask_array_is_detected(lazy):
    pytest.importorskip("dask.array")
    message = (
        r"dask: RuntimeError: a Dask array was computed inside the function, by float\(\), bool"
    )
    with pytest.raises(AssertionError, match=message):
        parity(lazy=lazy, backends=DASK)(looks, X)


def test_computations_of_dask_are_counted():
    pytest.importorskip("dask.array")
    parity(allow_dask_compute=1, backends=DASK)(looks, X)
    parity(allow_dask_compute=2, backends=DASK)(looks_twice, X)
    parity(allow_dask_compute=True, backends=DASK)(looks_twice, X)
    with pytest.raises(AssertionError, match="computed more than 1 times inside the function"):
        parity(allow_dask_compute=1, backends=DASK)(looks_twice, X)


@pytest.mark.parametrize("lazy", [False, {"dask"}, {"array-api-strict"}])
def test_jax_may_read_values_if_it_need_not_be_lazy(lazy):
    pytest.importorskip("jax")
    parity(lazy=lazy, backends=JAX)(looks, X)
    with pytest.raises(AssertionError, match=r"jax: under jax\.jit: ConcretizationTypeError"):
        parity(lazy={"jax"}, backends=JAX)(looks, X)


def test_tags_of_array_api_extra_apply():
    extra = pytest.importorskip("array_api_extra.testing")
    pytest.importorskip("dask.array")

    def tagged(x):
        return looks(x)

    extra.lazy_xp_function(tagged, jax_jit=False, allow_dask_compute=1)
    names = ["numpy", "dask", "jax", "array-api-strict:strictest"]
    parity(backends=names)(tagged, X)
    with pytest.raises(AssertionError, match="dask: RuntimeError"):
        parity(lazy={"dask"}, backends=names)(tagged, X)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lazy": 1}, TypeError, "`lazy` must be true, false or a set of libraries; got int"),
        ({"lazy": {"jx"}}, ValueError, "`lazy` must hold jax, dask, array-api-strict; got jx"),
        (
            {"allow_dask_compute": "1"},
            TypeError,
            "`allow_dask_compute` must be an integer; got str",
        ),
    ],
)
def test_invalid_choices_are_rejected(options, error, message):
    with pytest.raises(error, match=message):
        parity(**options)(looks, X)


def test_the_strictest_backend_alone_causes_a_warning():
    pytest.importorskip("jax")
    pytest.importorskip("dask.array")

    def selects(x):
        return x[x > 9.0] if "strict" in array_namespace(x).__name__ else x[0, :0]

    names = ["numpy", "jax", "dask", "array-api-strict:strictest"]
    message = (
        "selects fails on array-api-strict:strictest alone .*boolean_indexing.* but runs under j"
    )
    with pytest.warns(UserWarning, match=message):
        parity(backends=names)(selects, X)
    with pytest.raises(AssertionError, match="boolean_indexing"):
        parity(backends=names[:2] + names[3:])(selects, X)


def test_functions_need_not_be_hashable():
    pytest.importorskip("jax")

    class Scaled(list):
        """A function that cannot be hashed."""

        def __call__(self, x):
            return x * self[0]

    parity(backends=JAX)(Scaled([2.0]), X)


def test_sweeps_trace_without_compilation(monkeypatch):
    pytest.importorskip("jax")
    calls = []
    jitted = laziness.call_jitted
    monkeypatch.setattr(
        "xpnet.testing.check_backend.call_jitted", lambda *args: calls.append(args) or jitted(*args)
    )
    parity(dtypes="float", specials=True, backends=JAX)(lambda x: x * 2.0, X)
    assert len(calls) == 1

    def looks_at_empty(x):
        return x if x.size or bool(array_namespace(x).all(x > 0.0)) else -x

    with pytest.raises(AssertionError, match=r"jax \(empty\): under jax\.jit: Tracer"):
        parity(shapes="empty", backends=JAX)(looks_at_empty, X)


def test_threads_leave_libraries_as_they_were():
    strict = pytest.importorskip("array_api_strict")
    names = ["numpy", "array-api-strict", "array-api-strict:strictest", "dask"]
    before = type(strict.asarray(1)).__bool__

    def work(_):
        for _ in range(10):
            parity(backends=names)(lambda x: x * 2.0, X)
            # Meanwhile, other threads may read values.
            assert bool(strict.asarray(1) == 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert type(strict.asarray(1)).__bool__ is before
    assert strict.get_array_api_strict_flags()["boolean_indexing"]
