"""Products, whole and in blocks: correct for every shape and memory order."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, strategies as st
from threadpoolctl import ThreadpoolController

from xpnet.arrays.cpu import blocked_matmul
from xpnet.arrays.cpu.blocked_matmul import affine, rows_on_one_thread
from xpnet.arrays.frozen import frozen

POOLS = ThreadpoolController().select(user_api="blas")
# Two to the power of -k is the unit roundoff.
DIGITS = {"float16": 11, "float32": 24, "float64": 53}
ALL = 10**9

N_ROWS = [0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 47, 100, 257, 1000]
N_IN = [1, 3, 784, 4000, 16_000]
N_OUT = [1, 2, 10, 63, 64, 65, 128, 129, 192, 300]
# Larger products take too long for all combinations.
MOST_WORK = 4 * 10**7


@pytest.fixture(params=[0, 12, 10**9], ids=["whole", "few_rows_in_blocks", "all_in_blocks"])
def block_rows(request, monkeypatch):
    """Choose what is computed in blocks, regardless of the processor."""
    monkeypatch.setattr(blocked_matmul, "rows_in_blocks", lambda: request.param)


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
@pytest.mark.usefixtures("block_rows")
def test_products_of_integers_are_exact(n_in, n_out):
    weight, bias = whole((n_in, n_out)), whole(n_out, seed=1)
    x = whole((1000, n_in), seed=2)[: MOST_WORK // weight.size]
    expected = x @ weight + bias  # exact, in any order: no sum is above 2**24
    assert np.max(np.abs(x) @ np.abs(weight)) < 2**24
    for dtype in ("float32", "float64"):
        rows, addend = x.astype(dtype), bias.astype(dtype)
        plain = weight.astype(dtype)
        for weights in (plain, frozen(plain), in_columns(plain)):
            product = affine(weights, addend)
            for n_rows in N_ROWS:
                y = product(rows[:n_rows])
                assert y.dtype == dtype
                np.testing.assert_array_equal(y, expected[:n_rows])


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
@pytest.mark.usefixtures("block_rows")
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
    for weights in (weight, frozen(weight), np.asfortranarray(weight)):
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
def test_blocks_of_any_size_make_up_the_matrix(shape, most, is_frozen, has_order_of_columns):
    n_rows, n_in, n_out = shape
    weight, bias, x = whole((n_in, n_out)), whole(n_out, seed=1), whole((n_rows, n_in), seed=2)
    expected = x @ weight + bias
    if has_order_of_columns:
        x = np.asfortranarray(x)
    with patch.multiple(blocked_matmul, rows_in_blocks=lambda: ALL, _UNPACKED=most):
        product = affine(frozen(weight) if is_frozen else weight, bias)
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
@pytest.mark.usefixtures("block_rows")
def test_the_order_in_memory_does_not_matter(layout, n_rows):
    weight, bias, x = whole((784, 300)), whole(300, seed=1), whole((n_rows, 784), seed=2)
    expected = x @ weight + bias
    laid_out = LAYOUTS[layout]
    np.testing.assert_array_equal(laid_out(weight), weight)
    for weights in (weight, frozen(weight), laid_out(weight), frozen(laid_out(weight))):
        for rows in (x, laid_out(x)):
            np.testing.assert_array_equal(affine(weights, bias)(rows), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_out", [10, 65, 300])
@pytest.mark.usefixtures("block_rows")
def test_nonfinite_inputs_affect_their_row_only(n_out, bad):
    weight, bias, x = whole((784, n_out)), whole(n_out, seed=1), whole((300, 784), seed=2)
    weight[7] = np.where(weight[7] == 0, 1, weight[7])  # infinity times 0 would be NaN
    expected = x @ weight + bias
    places = [0, 11, 12, 150, 299]
    x[places, 7] = bad
    expected[places] = bad * weight[7]
    for weights in (weight, frozen(weight)):
        for n_rows in (1, 12, 13, 47, 300):
            # OpenBLAS pads registers with zeros, whose products with infinity are NaN.
            with np.errstate(invalid="ignore"):
                y = affine(weights, bias)(x[:n_rows])
            np.testing.assert_array_equal(y, expected[:n_rows])


@pytest.mark.parametrize("n_rows", [1, 4, 12, 47, 300])
@pytest.mark.parametrize("n_out", [1, 10, 300])
@pytest.mark.usefixtures("block_rows")
def test_results_are_new_memory(n_rows, n_out):
    weight, bias, x = whole((784, n_out)), whole(n_out, seed=1), whole((n_rows, 784), seed=2)
    expected = x @ weight + bias
    for weights in (weight, frozen(weight)):
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
    [np.array, np.asfortranarray, in_columns, lambda weight: weight.T.copy().T],
    ids=["owner", "fortran", "columns", "transposed"],
)
@pytest.mark.parametrize("is_read_only_view", [False, True])
@pytest.mark.usefixtures("block_rows")
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


def test_arrays_of_other_libraries(xp_backend):
    weight, bias, x = whole((7, 5)), whole(5, seed=1), whole((3, 7), seed=2)
    there = xp_backend.asarray(weight)
    if xp_backend.library != "numpy":
        assert rows_on_one_thread(there) == 0
    y = affine(frozen(there), xp_backend.asarray(bias))(xp_backend.asarray(x))
    values = xp_backend.check(y, dtype="float32", shape=(3, 5))
    np.testing.assert_array_equal(values, x @ weight + bias)


class Counted(np.ndarray):
    """Rows that record the number of multiplications of each product."""

    seen: list[int]

    def __array_ufunc__(self, ufunc, method, x, y, out=()):
        assert (ufunc, method) == (np.matmul, "__call__")
        self.seen.append(x.shape[-2] * x.shape[-1] * y.shape[-1])
        return np.matmul(x.view(np.ndarray), y, out=out[0])

    def dot(self, other):
        self.seen.append(len(self) * other.size)
        return self.view(np.ndarray).dot(other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", N_OUT)
@pytest.mark.parametrize("n_in", N_IN)
def test_blocks_are_multiplied_without_packing(monkeypatch, n_in, n_out, dtype):
    monkeypatch.setattr(blocked_matmul, "rows_in_blocks", lambda: ALL)
    weight = frozen(np.zeros((n_in, n_out), dtype))
    product = affine(weight, np.zeros(n_out, dtype))
    width = 256 // weight.itemsize
    width = width if 8 * n_in * width <= 10**6 else width // 2
    width = width if n_out >= 2 * width else n_out
    padding = -n_out % width
    for n_rows in N_ROWS:
        if n_rows * weight.size > MOST_WORK:
            continue
        Counted.seen = []
        product(np.zeros((n_rows, n_in), dtype).view(Counted))
        is_few = n_rows <= 12 or (weight.size <= 2**21 and padding <= 0.07 * n_out)
        if n_rows == 1 or 8 * n_in * width > 10**6 or not is_few:
            assert Counted.seen == [n_rows * weight.size]
        else:
            assert len(Counted.seen) <= 2
            assert max(Counted.seen) <= 10**6


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", [1, 2, 10, 50, 64, 129, 192, 300])
@pytest.mark.parametrize("n_in", [3, 784, 1100, 4000, 16_000])
def test_threads_change_no_bit_up_to_the_number_of_rows(n_in, n_out, dtype):
    random = np.random.default_rng(4)
    weight = random.normal(size=(n_in, n_out)).astype(dtype)
    bias = random.normal(size=n_out).astype(dtype)
    for weights in (weight, frozen(weight), in_columns(weight)):
        most = min(rows_on_one_thread(weights), 20_000)
        product = affine(weights, bias)
        for n_rows in {*N_ROWS, most}:
            if n_rows > most:
                continue
            x = random.normal(size=(n_rows, n_in)).astype(dtype)
            for rows in (x, np.asfortranarray(x)):
                with POOLS.limit(limits=1):
                    alone = product(rows)
                with POOLS.limit(limits=2):
                    np.testing.assert_array_equal(product(rows), alone)


@pytest.mark.parametrize("kernel", ["SkylakeX", "Haswell", "Neoverse", ""])
def test_how_many_rows_are_computed_on_one_thread(monkeypatch, kernel):
    monkeypatch.setattr(blocked_matmul, "openblas_kernel", lambda: kernel)
    small, wide = np.zeros((784, 50), np.float32), np.zeros((784, 1024), np.float32)
    expected = 6 if kernel in {"SkylakeX", "Haswell"} else 0
    assert rows_on_one_thread(small) == rows_on_one_thread(frozen(small)) == expected
    long = np.zeros((4097, 1), np.float32)
    for never in (wide, long, small.astype(np.float16), small.astype(">f4")):
        assert rows_on_one_thread(never) == 0


def test_the_largest_weights_are_not_copied(monkeypatch):
    monkeypatch.setattr(blocked_matmul, "_LARGEST", 784 * 128)
    monkeypatch.setattr(blocked_matmul, "rows_in_blocks", lambda: ALL)
    for n_out, n_expected in ((128, 2), (256, 1)):
        Counted.seen = []
        product = affine(frozen(whole((784, n_out))), whole(n_out))
        product(np.zeros((30, 784), np.float32).view(Counted))
        assert len(Counted.seen) == n_expected
