"""Laziness: reading of values, `jax.jit`, tags, and threads."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import parity

strict = pytest.importorskip("array_api_strict")

X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
STRICTEST = "array-api-strict:strictest"
LAZY = {"dask": "dask.array", "jax": "jax", STRICTEST: "array_api_strict"}


def looks(x):
    """Read a value."""
    return x if float(array_namespace(x).sum(x)) > 0.0 else -x


def looks_and_catches(x):
    """Read a value, and ignore the error."""
    with contextlib.suppress(Exception):
        float(array_namespace(x).sum(x))
    return x * 2.0


@pytest.mark.parametrize("name", LAZY)
def test_reading_values_is_found(name):
    pytest.importorskip(LAZY[name])
    with pytest.raises(AssertionError, match=rf"{name}: .*lazy=False"):
        parity(backends=["numpy", "array-api-strict", name])(looks, X)
    parity(lazy=False, backends=["numpy", "array-api-strict", name])(looks, X)


@pytest.mark.parametrize("name", ["dask", STRICTEST])
def test_reading_values_is_found_although_the_function_catches_the_error(name):
    pytest.importorskip(LAZY[name])
    with pytest.raises(AssertionError, match=rf"{name}: .* inside the function"):
        parity(backends=["numpy", name])(looks_and_catches, X)


@pytest.mark.parametrize("read", [bool, complex, float, int, range])
def test_each_way_to_read_a_value_is_found(read):
    def wrong(x):
        read(x[0])
        return x

    with pytest.raises(AssertionError, match=f"{STRICTEST}: .*values"):
        parity(backends=["numpy", STRICTEST])(wrong, np.asarray([1]))


@pytest.mark.parametrize(
    "function",
    [lambda x: x[x > 0], lambda x: array_namespace(x).unique_values(x)],
    ids=["mask", "unique values"],
)
def test_shapes_that_depend_on_values_are_found(function):
    with pytest.raises(AssertionError, match=rf"{STRICTEST}: RuntimeError: .*lazy=False"):
        parity(backends=["numpy", STRICTEST])(function, X)


@pytest.mark.parametrize(
    ("tags", "passes"),
    [
        ({"jax_jit": False}, ["jax", STRICTEST]),
        ({"allow_dask_compute": 1}, ["dask", STRICTEST]),
        ({"jax_jit": False, "allow_dask_compute": True}, list(LAZY)),
    ],
)
def test_tags_of_array_api_extra_restrict_the_default(tags, passes):
    extra = pytest.importorskip("array_api_extra.testing")

    def tagged(x):
        return looks(x)

    extra.lazy_xp_function(tagged, **tags)
    for name, module in LAZY.items():
        pytest.importorskip(module)
        names = ["numpy", "array-api-strict", name]
        with contextlib.nullcontext() if name in passes else pytest.raises(AssertionError):
            parity(backends=names)(tagged, X)
        with pytest.raises(AssertionError):
            parity(lazy=True, backends=names)(tagged, X)


@pytest.mark.parametrize(
    ("traced", "hint"),
    [(lambda x: x + 1.0, False), (lambda x: x + np.asarray(x), True), (lambda _: 1 / 0, False)],
    ids=["other values", "reads values", "fails"],
)
def test_compiled_results_are_compared_too(traced, hint):
    jax = pytest.importorskip("jax")

    def wrong(x):
        return traced(x) if isinstance(x, jax.core.Tracer) else 2.0 * x

    with pytest.raises(AssertionError, match=r"jax: under jax\.jit: ") as caught:
        parity(backends=["jax"])(wrong, X)
    assert ("lazy=False" in str(caught.value)) == hint
    parity(lazy=False, backends=["jax"])(wrong, X)


def test_variants_are_traced():
    pytest.importorskip("jax")

    def looks_at_empty(x):
        return x if x.size or bool(array_namespace(x).all(x > 0.0)) else -x

    with pytest.raises(AssertionError, match=r"jax \(empty\): under jax\.jit"):
        parity(shapes="empty", backends=["numpy", "jax"])(looks_at_empty, X)


def test_threads_leave_libraries_as_they_were():
    names = ["numpy", "array-api-strict", STRICTEST, "dask"]
    before = dict(vars(type(strict.asarray(1))))

    def work(_):
        for _ in range(10):
            parity(backends=names)(lambda x: x * 2.0, X)
            # Meanwhile, other threads may read values.
            assert bool(strict.asarray(1) == 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert dict(vars(type(strict.asarray(1)))) == before
    assert strict.get_array_api_strict_flags()["boolean_indexing"]
