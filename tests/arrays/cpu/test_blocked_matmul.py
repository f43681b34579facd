"""Products in blocks: correct for every shape and memory order, with and without packing."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, strategies as st
from threadpoolctl import ThreadpoolController

from xpnet.arrays.cpu import blocked_matmul
from xpnet.arrays.cpu.blas_threads import unpacked_limit
from xpnet.arrays.cpu.blocked_matmul import (
    affine,
    affine_once,
    constant,
    depends_on_threads,
    transposed_product,
)

POOLS = ThreadpoolController().select(user_api="blas")
# Two to the power of -k is the unit roundoff.
DIGITS = {"float16": 11, "float32": 24, "float64": 53}
MILLION = 10**6

N_ROWS = [0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 47, 100, 257, 1000]
N_IN = [1, 3, 784, 4000, 16_000]
N_OUT = [1, 2, 10, 63, 64, 65, 128, 129, 192, 300]
# Larger products take too long for all combinations.
MOST_WORK = 4 * 10**7


@pytest.fixture(params=[0, MILLION], ids=["always_packs", "skips_packing"])
def most(request, monkeypatch):
    """Set the size limit of products without packing, regardless of the real BLAS."""
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: request.param)
    return request.param


def whole(shape, dtype="float32", seed=0):
    """Return integers so small that sums of their products are exact."""
    largest = 1 if dtype == "float16" else 3
    return np.random.default_rng(seed).integers(-largest, largest + 1, shape).astype(dtype)


def in_columns(weight):
    """Return equal weights as columns of a wider matrix."""
    wide = np.full((weight.shape[0], weight.shape[1] + 5), 99, weight.dtype)
    wide[:, 2:-3] = weight
    return wide[:, 2:-3]


@pytest.mark.slow
@pytest.mark.parametrize("n_out", N_OUT)
@pytest.mark.parametrize("n_in", N_IN)
def test_products_of_integers_are_exact(most, n_in, n_out):
    weight, bias = whole((n_in, n_out)), whole(n_out, seed=1)
    x = whole((1000, n_in), seed=2)[: MOST_WORK // weight.size]
    expected = x @ weight + bias  # exact, in any order: no sum is above 2**24
    assert np.max(np.abs(x) @ np.abs(weight)) < 2**24
    for dtype in ("float32", "float64"):
        rows, addend = x.astype(dtype), bias.astype(dtype)
        plain = weight.astype(dtype)
        for weights in (plain, constant(plain), in_columns(plain)):
            product = affine(weights, addend)
            for n_rows in N_ROWS:
                y = product(rows[:n_rows])
                assert y.dtype == dtype
                np.testing.assert_array_equal(y, expected[:n_rows])
    assert blocked_matmul.unpacked_limit() == most


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize(
    ("n_in", "n_out", "numbers_of_rows"),
    [
        (784, 50, [1, 4, 47, 100, 257]),
        (784, 300, [1, 3, 47, 300]),
        (4000, 129, [1, 2, 13]),
        (16_000, 65, [1, 2, 13, 100]),
        (16_000, 1, [1, 2, 47]),
    ],
)
@pytest.mark.usefixtures("most")
def test_the_error_is_within_its_bound(dtype, n_in, n_out, numbers_of_rows):
    if dtype == "float16":  # NumPy multiplies it slowly, and not in blocks
        n_in, n_out = min(n_in, 800), min(n_out, 70)
    random = np.random.default_rng(3)
    weight = (random.normal(size=(n_in, n_out)) / n_in**0.5).astype(dtype)
    bias = random.normal(size=n_out).astype(dtype)
    # Higham's gamma for n + 1 terms, the bias included, holds for any order of summation. A
    # reference in float64 may have the same error.
    rounding = (n_in + 1) * 2.0 ** -DIGITS[dtype]
    gamma = rounding / (1 - rounding) * (2 if dtype == "float64" else 1)
    for weights in (weight, constant(weight), np.asfortranarray(weight)):
        product = affine(weights, bias)
        for n_rows in numbers_of_rows:
            x = random.normal(size=(n_rows, n_in)).astype(dtype)
            wide = [np.float64(numbers) for numbers in (x, weight, bias)]
            truth = wide[0] @ wide[1] + wide[2]
            bound = gamma * (np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2]))
            y = product(x)
            assert y.dtype == dtype
            assert np.all(np.abs(y - truth) <= bound)


SHAPES = st.tuples(st.integers(0, 400), st.integers(1, 70), st.integers(1, 300))


@given(SHAPES, st.integers(1_100, 50_000), st.booleans(), st.booleans())
def test_blocks_of_any_size_make_up_the_matrix(shape, most, is_constant, has_order_of_columns):
    n_rows, n_in, n_out = shape
    weight, bias, x = whole((n_in, n_out)), whole(n_out, seed=1), whole((n_rows, n_in), seed=2)
    expected = x @ weight + bias
    if has_order_of_columns:
        x = np.asfortranarray(x)
    small = {"unpacked_limit": lambda: most, "_MOST_FOR_A_VECTOR": 1_000}
    with patch.multiple(blocked_matmul, **small):
        product = affine(constant(weight) if is_constant else weight, bias)
        np.testing.assert_array_equal(product(x), expected)


LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "every_other_row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every_other_column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "part_of_wider_rows": in_columns,
    "rows_backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "columns_backwards": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "other_bytes": lambda x: x.astype(x.dtype.newbyteorder()),
    "read_only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "not_aligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("n_rows", [1, 3, 30, 300])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("most")
def test_the_order_in_memory_does_not_matter(layout, n_rows):
    weight, bias, x = whole((784, 300)), whole(300, seed=1), whole((n_rows, 784), seed=2)
    expected = x @ weight + bias
    laid_out = LAYOUTS[layout]
    np.testing.assert_array_equal(laid_out(weight), weight)
    for weights in (weight, constant(weight), laid_out(weight), constant(laid_out(weight))):
        for rows in (x, laid_out(x)):
            np.testing.assert_array_equal(affine(weights, bias)(rows), expected)


@pytest.mark.parametrize("shape", [(784,), (2, 3, 784), (1, 5, 784), (3, 400, 784), (2, 0, 784)])
@pytest.mark.parametrize("n_out", [1, 50, 300, 900])
@pytest.mark.usefixtures("most")
def test_leading_axes_are_kept(shape, n_out):
    weight, bias, x = whole((784, n_out)), whole(n_out, seed=1), whole(shape, seed=2)
    expected = (x.reshape(-1, 784) @ weight + bias).reshape(*shape[:-1], n_out)
    for weights in (weight, constant(weight)):
        np.testing.assert_array_equal(affine(weights, bias)(x), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_out", [10, 65, 300])
@pytest.mark.usefixtures("most")
def test_nonfinite_inputs_affect_their_row_only(n_out, bad):
    weight, bias, x = whole((784, n_out)), whole(n_out, seed=1), whole((300, 784), seed=2)
    weight[7] = np.where(weight[7] == 0, 1, weight[7])  # infinity times 0 would be NaN
    expected = x @ weight + bias
    places = [0, 11, 12, 150, 299]
    x[places, 7] = bad
    expected[places] = bad * weight[7]
    for weights in (weight, constant(weight)):
        for n_rows in (1, 12, 13, 47, 300):
            # OpenBLAS pads registers with zeros, whose products with infinity are NaN.
            with np.errstate(invalid="ignore"):
                y = affine(weights, bias)(x[:n_rows])
            np.testing.assert_array_equal(y, expected[:n_rows])


@pytest.mark.parametrize("n_rows", [1, 4, 12, 47, 300])
@pytest.mark.parametrize("n_out", [1, 10, 300])
@pytest.mark.usefixtures("most")
def test_results_are_new_memory(n_rows, n_out):
    weight, bias, x = whole((784, n_out)), whole(n_out, seed=1), whole((n_rows, 784), seed=2)
    expected = x @ weight + bias
    for weights in (weight, constant(weight)):
        product = affine(weights, bias)
        first, second = product(x), product(x)
        given = (x, weights, bias, second)
        assert not any(np.may_share_memory(first, array) for array in given)
        first[...] = 99
        np.testing.assert_array_equal(second, expected)
        np.testing.assert_array_equal(product(x), expected)


@pytest.mark.parametrize("n_rows", [1, 4, 47, 300])
@pytest.mark.parametrize("n_out", [1, 50, 300])
@pytest.mark.parametrize(
    "as_given",
    [
        np.array,
        np.asfortranarray,
        in_columns,
        lambda weight: weight.T.copy().T,
    ],
    ids=["owner", "fortran", "columns", "transposed"],
)
@pytest.mark.parametrize("is_read_only_view", [False, True])
@pytest.mark.usefixtures("most")
def test_later_changes_take_effect(as_given, n_out, n_rows, is_read_only_view):
    weight, bias = as_given(whole((784, n_out))), whole(n_out, seed=1)
    x, view = whole((n_rows, 784), seed=2), weight
    if is_read_only_view:
        view = weight[:]
        view.flags.writeable = False
    product = affine(view, bias)
    np.testing.assert_array_equal(product(x), x @ weight + bias)
    weight[5] += 1
    bias[n_out // 2] -= 2
    np.testing.assert_array_equal(product(x), x @ weight + bias)


def test_a_constant_is_a_read_only_copy_in_c_order():
    x = np.asfortranarray(whole((7, 5)))
    kept = constant(x)
    x[...] = 99
    np.testing.assert_array_equal(kept, whole((7, 5)))
    assert kept.dtype == x.dtype
    assert kept.flags.c_contiguous
    assert kept.base is None
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0] = 1


def test_arrays_of_other_libraries(xp_backend):
    weight, bias, x = whole((7, 5)), whole(5, seed=1), whole((3, 7), seed=2)
    there = xp_backend.asarray(weight)
    if xp_backend.library != "numpy":
        assert constant(there) is there
        assert depends_on_threads(there)
    y = affine(constant(there), xp_backend.asarray(bias))(xp_backend.asarray(x))
    values = xp_backend.check(y, dtype="float32", shape=(3, 5))
    np.testing.assert_array_equal(values, x @ weight + bias)


class Counted(np.ndarray):
    """Rows that record the number of multiplications of each product."""

    seen: list[int]

    def __matmul__(self, other):
        self.seen.append(self.shape[-2] * self.shape[-1] * other.shape[-1])
        return super().__matmul__(other)


@pytest.mark.parametrize("n_out", N_OUT)
@pytest.mark.parametrize("n_in", N_IN)
def test_no_product_exceeds_the_limit(monkeypatch, n_in, n_out):
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: MILLION)
    weight = np.zeros((n_in, n_out), np.float32)
    for weights in (weight, constant(weight)):
        product = affine(weights, np.zeros(n_out, np.float32))
        is_shared = depends_on_threads(weights)
        # Exceptions: a single row, a long sum, and a wide weight that must not be copied.
        is_wide = n_out > 128 and weights is weight
        assert is_shared == (weight.size > 450_000 or is_wide or (n_out == 1 and n_in > 4096))
        for n_rows in N_ROWS:
            if n_rows * weight.size > MOST_WORK:
                continue
            Counted.seen = []
            product(np.zeros((n_rows, n_in), np.float32).view(Counted))
            largest = max(Counted.seen)
            assert sum(Counted.seen) <= n_rows * weight.size
            if n_rows == 1:
                assert largest == weight.size
            elif n_out == 1:  # a matrix times a vector
                assert largest <= 450_000
            elif n_rows <= 256 or weights is not weight:
                assert largest <= MILLION


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", [1, 2, 10, 50, 64, 129, 192, 300])
@pytest.mark.parametrize("n_in", [3, 784, 1100, 4000, 16_000])
def test_threads_change_no_bit_of_unshared_products(n_in, n_out, dtype):
    if not unpacked_limit():
        pytest.skip("this BLAS may divide every product among threads")
    random = np.random.default_rng(4)
    weight = random.normal(size=(n_in, n_out)).astype(dtype)
    bias = random.normal(size=n_out).astype(dtype)
    for weights in (weight, constant(weight), in_columns(weight)):
        if depends_on_threads(weights):
            continue
        product = affine(weights, bias)
        for n_rows in N_ROWS:
            x = random.normal(size=(min(n_rows, MOST_WORK // weight.size), n_in)).astype(dtype)
            for rows in (x, np.asfortranarray(x)):
                with POOLS.limit(limits=1):
                    alone = product(rows)
                with POOLS.limit(limits=2):
                    np.testing.assert_array_equal(product(rows), alone)


def test_what_may_be_shared_out(monkeypatch):
    small = np.zeros((784, 50), np.float32)
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: MILLION)
    assert not depends_on_threads(small)
    for other in (small.astype(np.float16), np.asfortranarray(small), small[:, ::2], small[::-1]):
        assert depends_on_threads(other)
    assert depends_on_threads(np.zeros((784, 1024), np.float32))
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: 0)
    assert depends_on_threads(small)


# Sizes of whole and of last batches; numbers of inputs, including primes.
BATCH_ROWS = [1, 2, 3, 4, 5, 7, 8, 12, 31, 60, 64, 97, 100, 128, 256, 300]
BATCH_IN = [1, 2, 7, 31, 97, 127, 784, 1009]
BATCH_OUT = [1, 2, 10, 50, 127, 128, 129, 300]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", BATCH_OUT)
@pytest.mark.parametrize("n_in", BATCH_IN)
@pytest.mark.usefixtures("most")
def test_products_of_batches_are_exact(n_in, n_out, dtype):
    weight, bias = whole((n_in, n_out), dtype), whole(n_out, dtype, seed=1)
    for n_rows in BATCH_ROWS:
        x, slope = whole((n_rows, n_in), dtype, seed=2), whole((n_rows, n_out), dtype, seed=3)
        y = affine_once(weight, bias, x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, x @ weight + bias)
        parts = transposed_product(x, slope)
        assert {part.dtype for part in parts} == {np.dtype(dtype)}
        np.testing.assert_array_equal(np.concatenate(parts), x.T @ slope)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 70), st.integers(1, 140)),
    st.integers(40_000, 400_000),
    st.sampled_from(["rows", "columns", "every_other_row", "rows_backwards", "read_only"]),
)
def test_products_of_batches_of_any_shape_and_order(shape, most, layout):
    n_rows, n_in, n_out = shape
    weight, bias = whole((n_in, n_out)), whole(n_out, seed=1)
    x, slope = whole((n_rows, n_in), seed=2), whole((n_rows, n_out), seed=3)
    laid_out = LAYOUTS[layout]
    with patch.object(blocked_matmul, "unpacked_limit", lambda: most):
        y = affine_once(laid_out(weight), laid_out(bias), laid_out(x))
        parts = transposed_product(laid_out(x), laid_out(slope))
    np.testing.assert_array_equal(y, x @ weight + bias)
    np.testing.assert_array_equal(np.concatenate(parts), x.T @ slope)


def test_products_of_batches_of_other_libraries(xp_backend, most):
    weight, bias = whole((784, 100)), whole(100, seed=1)
    x, slope = whole((60, 784), seed=2), whole((60, 100), seed=3)
    there = [xp_backend.asarray(array) for array in (weight, bias, x, slope)]
    y = affine_once(*there[:3])
    values = xp_backend.check(y, dtype="float32", shape=(60, 100))
    np.testing.assert_array_equal(values, x @ weight + bias)
    parts = transposed_product(there[2], there[3])
    assert (len(parts) > 1) == (bool(most) and xp_backend.library == "numpy")
    found = [xp_backend.check(part, dtype="float32", shape=tuple(part.shape)) for part in parts]
    np.testing.assert_array_equal(np.concatenate(found), x.T @ slope)


@pytest.mark.parametrize("n_rows", [1, 60, 100])
@pytest.mark.parametrize("n_out", [10, 100, 300])
@pytest.mark.usefixtures("most")
def test_products_of_batches_are_new_memory(n_out, n_rows):
    given = [
        whole((784, n_out)), whole(n_out, seed=1), whole((n_rows, 784), seed=2),
        whole((n_rows, n_out), seed=3),
    ]  # fmt: skip
    copies = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    weight, bias, x, slope = given
    results = [affine_once(weight, bias, x), *transposed_product(x, slope)]
    assert not any(np.may_share_memory(result, array) for result in results for array in given)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("n_out", [1, 10, 50, 128])
@pytest.mark.parametrize("n_in", [7, 97, 784, 1009])
def test_products_of_batches_are_small_enough(monkeypatch, n_in, n_out):
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: MILLION)
    weight, bias = np.zeros((n_in, n_out), np.float32), np.zeros(n_out, np.float32)
    for n_rows in (60, 96, 300):
        x = np.zeros((n_rows, n_in), np.float32)
        sizes = [part.shape[0] * n_rows * n_out for part in transposed_product(x, x[:, :1] * bias)]
        assert sum(sizes) == n_rows * n_in * n_out
        # Up to three columns more make up a whole block.
        assert max(sizes) <= MILLION + 3 * n_rows * n_out
        if n_rows * n_in * n_out > MILLION:
            assert affine_once(weight, bias, x).shape == (n_rows, n_out)
            assert len(sizes) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "n_in"), [(100, 3072), (100, 2003), (3, 9000), (5, 4001), (300, 100_003)]
)
def test_many_inputs_leave_fewer_rows_than_a_block(monkeypatch, n_rows, n_in):
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: MILLION)
    weight, bias, x = whole((n_in, 128)), whole(128, seed=1), whole((n_rows, n_in), seed=2)
    np.testing.assert_array_equal(affine_once(weight, bias, x), x @ weight + bias)


@pytest.mark.parametrize("function", [affine_once, transposed_product])
def test_products_of_no_rows(monkeypatch, function):
    monkeypatch.setattr(blocked_matmul, "unpacked_limit", lambda: MILLION)
    x, weight = np.zeros((0, 5), np.float32), np.ones((5, 3), np.float32)
    if function is affine_once:
        assert affine_once(weight, weight[0], x).shape == (0, 3)
    else:
        parts = np.concatenate(transposed_product(x, np.zeros((0, 3), np.float32)))
        np.testing.assert_array_equal(parts, np.zeros((5, 3)))
