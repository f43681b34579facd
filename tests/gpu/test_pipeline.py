"""Pipeline through a GPU, compared with rows that are moved there at once."""

import mmap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpnet

pytestmark = pytest.mark.gpu

CALLS = (xpnet.predict, xpnet.predict_proba)
# What a row of which dtype may hold.
DTYPES = ("uint8", "float32", "float64", "int16", "bool", "float16", "int64", ">f4")
# More rows than a chunk is told in parts of one: "3" is three chunks.
LENGTHS = {
    "none": (0, 0),
    "one": (0, 1),
    "chunk - 1": (1, -1),
    "chunk": (1, 0),
    "chunk + 1": (1, 1),
    "3 chunks + 7": (3, 7),
}


@pytest.fixture(scope="module")
def network(narrow, gpu):
    return narrow.to(gpu)


@pytest.fixture(scope="module")
def unstreamed(gpu, network, chunk):
    """Return the results of rows that are moved at once, chunk by chunk, as `xpnet.predict`."""

    def compute(rows, call=xpnet.predict_proba, size=chunk, on=network):
        starts = range(0, max(len(rows), 1), size)
        parts = [gpu.asarray(np.ascontiguousarray(rows[i : i + size])) for i in starts]
        return np.concatenate([gpu.to_numpy(call(on, part, batch_size=size)) for part in parts])

    return compute


def same_bits(found, expected):
    assert type(found) is np.ndarray
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))


def nearly_the_same(found, expected):
    """Compare probabilities, and the labels that rounding cannot change."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    is_clear = first - second > 1e-4
    np.testing.assert_array_equal(found.argmax(axis=1)[is_clear], expected.argmax(axis=1)[is_clear])


def as_dtype(pixels, dtype):
    """Return rows in a dtype, with values that only this dtype can represent."""
    if dtype == "bool":
        return pixels > 127
    if np.dtype(dtype).kind == "f":
        return (pixels / 7).astype(dtype)
    return (pixels.astype("int64") * (1 if dtype == "uint8" else -100)).astype(dtype)


@pytest.mark.parametrize("length", LENGTHS)
def test_any_number_of_rows(network, pixels, unstreamed, chunk, length):
    n_chunks, more = LENGTHS[length]
    rows = pixels[: n_chunks * chunk + more]
    for call in CALLS:
        same_bits(call(network, rows), unstreamed(rows, call))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_any_dtype(gpu, network, pixels, unstreamed, dtype):
    if not hasattr(gpu.xp, np.dtype(dtype).name):
        pytest.skip(f"{gpu.library} has no {dtype}")
    rows = as_dtype(pixels, dtype)
    native = rows.astype(rows.dtype.newbyteorder("="))
    if gpu.library != "cupy" and not rows.dtype.isnative:
        pytest.skip(f"{gpu.library} has no other order of bytes")
    same_bits(xpnet.predict_proba(network, rows), unstreamed(native))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pinned_rows(cupy, network, pixels, unstreamed, dtype):
    import cupyx

    pinned = cupyx.empty_pinned(pixels.shape, dtype)
    for part in (np.s_[:], np.s_[5:], np.s_[::2], np.s_[:, ::-1]):
        pinned[...] = pixels
        rows = pinned[part]
        expected = unstreamed(np.array(rows))
        for _ in range(3):
            same_bits(xpnet.predict_proba(network, rows), expected)
        np.testing.assert_array_equal(pinned, pixels)
        # They may be written to as soon as the results are there.
        pinned[...] = 0
        same_bits(xpnet.predict_proba(network, rows), unstreamed(np.zeros(rows.shape, dtype)))
    assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null


@pytest.fixture(params=["r", "r+", "c"])
def map_rows(request, tmp_path):
    """Write rows to a file, after this number of bytes, and map it."""

    def write(rows, offset):
        path = tmp_path / "rows.bin"
        path.write_bytes(bytes(offset) + rows.tobytes())
        return np.memmap(path, rows.dtype, request.param, offset=offset, shape=rows.shape)

    return write


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_file_that_is_mapped(network, pixels, unstreamed, map_rows, dtype):
    rows = pixels.astype(dtype)
    for offset in (0, 64, mmap.PAGESIZE + 12):
        mapped = map_rows(rows, offset)
        same_bits(xpnet.predict_proba(network, mapped), unstreamed(rows))
        same_bits(xpnet.predict_proba(network, mapped[3:-5]), unstreamed(rows[3:-5]))
        nearly_the_same(xpnet.predict_proba(network, mapped[::2]), unstreamed(rows[::2]))
        np.testing.assert_array_equal(mapped, rows)


def blocks_of(rows, sizes):
    """Yield rows in blocks of these sizes, again and again."""
    start, i = 0, 0
    while start < len(rows):
        size = sizes[i % len(sizes)]
        yield rows[start : start + size]
        start, i = start + size, i + 1


def test_an_iterator_may_use_its_memory_again(network, pixels, unstreamed):
    memory = np.empty((101, network.n_in), np.uint8)

    def blocks():
        for block in blocks_of(pixels, (101,)):
            memory[: len(block)] = block
            yield memory[: len(block)]
            memory[...] = 255

    expected = unstreamed(pixels)
    nearly_the_same(xpnet.predict_proba(network, blocks()), expected)


def test_evaluation_counts_the_same(gpu, network, pixels, unstreamed):
    truth = np.random.default_rng(2).integers(0, 10, len(pixels))
    labels = unstreamed(pixels, xpnet.predict)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (truth, labels), 1)
    whole = xpnet.evaluate(network, pixels, truth)
    np.testing.assert_array_equal(whole.confusion, confusion)
    pairs = ((pixels[i : i + 999], truth[i : i + 999]) for i in range(0, len(pixels), 999))
    stream = xpnet.evaluate(network, pairs)
    assert (stream.total, whole.total) == (len(pixels),) * 2
    assert abs(stream.correct - whole.correct) <= 3  # batches of another size
    there = xpnet.evaluate(network, gpu.asarray(pixels), gpu.asarray(truth))
    np.testing.assert_array_equal(there.confusion, confusion)


def test_what_is_on_the_device_stays_there(gpu, here, network, pixels, unstreamed):
    x = gpu.asarray(pixels)
    for call, dtype in zip(CALLS, ("int64", "float32"), strict=True):
        expected = unstreamed(pixels, call)
        found = call(network, x)
        stream = call(network, iter([x[:99, :], x[99:, :]]))
        none = call(network, x[:0, :])
        same_bits(here(found, dtype), expected)
        assert here(stream, dtype).shape == expected.shape
        assert here(none, dtype).shape == (0, *expected.shape[1:])


def test_threads_at_once(network, pixels, unstreamed, chunk):
    parts = [pixels, pixels[::-1].copy(), pixels[: chunk + 1], pixels[:1]]
    expected = [unstreamed(part) for part in parts]
    for _ in range(5):
        with ThreadPoolExecutor(len(parts)) as pool:
            results = list(pool.map(lambda part: xpnet.predict_proba(network, part), parts))
        for found, right in zip(results, expected, strict=True):
            same_bits(found, right)


class StopError(Exception):
    pass


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("n_blocks", [0, 1, 5])
def test_after_an_interruption_all_is_well(network, pixels, unstreamed, n_blocks, error):
    def blocks():
        size = max(len(pixels) // 7, 1)
        for i in range(n_blocks):
            yield pixels[i * size : (i + 1) * size]
        raise error

    expected = unstreamed(pixels)
    for _ in range(2):
        with pytest.raises(error):
            xpnet.predict_proba(network, blocks())
        same_bits(xpnet.predict_proba(network, pixels), expected)
