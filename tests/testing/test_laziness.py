"""Laziness: reading of values, `jax.jit`, tags, and threads."""

import contextlib
import itertools
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


@pytest.mark.parametrize(
    ("name", "function"),
    [
        *itertools.product(LAZY, [looks]),
        *itertools.product(["dask", STRICTEST], [looks_and_catches]),
    ],
)
def test_reading_values_is_found(name, function):
    pytest.importorskip(LAZY[name])
    with pytest.raises(AssertionError, match=rf"{name}: .*lazy=False"):
        parity(backends=["numpy", "array-api-strict", name])(function, X)
    parity(lazy=False, backends=["numpy", "array-api-strict", name])(function, X)


READS = {
    **{
        kind.__name__: lambda x, kind=kind: kind(x[0])
        for kind in (bool, complex, float, int, range)
    },
    "mask": lambda x: x[x > 0],
    "unique values": lambda x: array_namespace(x).unique_values(x),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_each_way_to_read_values_is_found(read):
    with pytest.raises(AssertionError, match=f"{STRICTEST}: .*lazy=False"):
        parity(backends=["numpy", STRICTEST])(lambda x: (x, read(x))[0], np.asarray([1]))


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


def test_compiled_results_are_compared_too():
    jax = pytest.importorskip("jax")

    def wrong(x):
        return x + 1.0 if isinstance(x, jax.core.Tracer) else x

    def converts(x):
        return x + np.asarray(x) if isinstance(x, jax.core.Tracer) else 2.0 * x

    def divides(x):
        return x * (1 / 0) if isinstance(x, jax.core.Tracer) else x

    for function, is_of_laziness in ((wrong, False), (converts, True), (divides, False)):
        with pytest.raises(AssertionError, match=r"jax: under jax\.jit: ") as caught:
            parity(backends=["jax"])(function, X)
        assert ("lazy=False" in str(caught.value)) == is_of_laziness
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
