"""GPU with little free memory: smaller chunks, or an error with the reason, and recovery."""

import gc

import numpy as np
import pytest

import xpnet

pytestmark = pytest.mark.gpu

CALLS = (xpnet.predict, xpnet.predict_proba)


@pytest.fixture
def pool(cupy):
    """Return CuPy's memory pool, without unused blocks."""
    pool = cupy.get_default_memory_pool()
    limit = pool.get_limit()
    gc.collect()
    pool.free_all_blocks()
    yield pool
    pool.set_limit(size=limit)
    pool.free_all_blocks()


@pytest.fixture
def network(pool, narrow, gpu):
    assert pool.used_bytes() <= pool.total_bytes()
    return narrow.to(gpu)


def need_of(pool, call, *args, **options):
    """Return the result of a call, and the number of bytes that the pool allocated for it."""
    gc.collect()
    pool.free_all_blocks()
    before = pool.total_bytes()
    result = call(*args, **options)
    return result, pool.total_bytes() - before


def leave(pool, n_bytes):
    """Limit the pool to this number of additional bytes."""
    gc.collect()
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + n_bytes)


def check(found, expected):
    """Compare results for different batch sizes."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("divisor", [2, 5, 20])
def test_fewer_rows_at_a_time(pool, network, pixels, chunk, divisor):
    xpnet.predict_proba(network, pixels)  # whatever is taken once and kept
    expected, need = need_of(pool, xpnet.predict_proba, network, pixels)
    assert need > chunk * network.n_in
    leave(pool, need // divisor)
    check(xpnet.predict_proba(network, pixels), expected)


def test_fewer_rows_that_are_there(pool, gpu, network, pixels):
    x = gpu.asarray(pixels)
    expected, need = need_of(pool, xpnet.predict_proba, network, x)
    expected = gpu.to_numpy(expected)
    # The results stay there.
    leave(pool, expected.nbytes * 2 + (need - expected.nbytes * 2) // 5)
    found = xpnet.predict_proba(network, x)
    check(gpu.to_numpy(found), expected)


@pytest.mark.parametrize("n_bytes", [1, 2**15])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_no_memory_at_all(pool, network, pixels, call, n_bytes):
    expected = call(network, pixels)
    leave(pool, n_bytes)
    with pytest.raises(xpnet.DeviceError, match="memory") as caught:
        call(network, pixels)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.code == "out-of-memory"
    said = str(caught.value)
    assert len(said) <= 400
    assert "\n" not in said
    pool.set_limit(size=0)
    np.testing.assert_array_equal(call(network, pixels), expected)


def test_the_pool_is_not_kept_full(pool, network, pixels):
    expected, need = need_of(pool, xpnet.predict_proba, network, pixels)
    leave(pool, need // 3)
    for _ in range(10):  # nothing is lost each time
        check(xpnet.predict_proba(network, pixels), expected)
    used = pool.used_bytes()
    xpnet.predict_proba(network, pixels)
    gc.collect()
    assert pool.used_bytes() == used


def test_calls_use_the_memory_of_calls_before(pool, network, pixels):
    # CuPy keeps what is freed for the stream where it was taken.
    for _ in range(3):
        xpnet.predict_proba(network, pixels)
    total = pool.total_bytes()
    for _ in range(20):
        xpnet.predict_proba(network, pixels)
    assert pool.total_bytes() <= 1.5 * total


def test_a_command_says_it_in_one_line(process):
    done = process(
        *("-m", "xpnet", "evaluate", "--device", "gpu", "--json"), CUPY_GPU_MEMORY_LIMIT=str(2**20)
    )
    assert (done.code, done.out) == (5, "")
    assert len(done.err.splitlines()) == 1
    assert "memory" in done.err
