"""Products of slices, compared with exact ones."""

from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from xpnet.functions.exact_products import SlicedWeight

# Odd numbers show a lost bit: sums of an even number of equal terms end with zeros.
WIDTHS = (1, 2, 3, 31, 63, 255, 511, 513, 783, 1023, 1999)
LARGEST = 2.0**400
SCALE = 2.0**200  # makes integers of all operands here
UNITS = {"float32": 2.0**-40, "float64": 2.0**-55}


def operands(n_in, n=2, n_out=2):
    """Yield inputs and weights that fill the bits of the slices."""
    full = 1.0 - 2.0**-53
    yield np.full((n, n_in), full), np.full((n_in, n_out), full)
    bits = (53 - (n_in - 1).bit_length()) // 2
    for used in (bits, bits + 1):
        largest = 1.0 - 2.0**-used  # an odd number of units
        yield np.full((n, n_in), largest), np.full((n_in, n_out), -largest)
    draw = np.random.default_rng(n_in).uniform
    yield draw(-1, 1, (n, n_in)), draw(-1, 1, (n_in, n_out))
    yield draw(-1, 1, (n, n_in)) * 2.0 ** draw(-60, 60, (n, 1)), draw(0, 1, (n_in, n_out)) * 1e30
    several = 2.0 ** -(np.arange(n_in) % 13.0)[:, None]  # sizes
    yield draw(-(2**14), 2**14, (n, n_in)).astype("int16"), several * draw(0, 1, (n_in, n_out))
    # Half a unit of the first slice, and nearly half of the second one's, are left.
    number = 0.5 + 2.0 ** -(bits + 1) + 0.99 * 2.0 ** -(2 * bits + 3)
    x, weight = np.full((n, n_in), number), np.full((n_in, n_out), number)
    x[:, 0], weight[-1] = 0.51, 0.51
    yield x, weight


def exact(x, weight):
    """Return x @ weight as fractions, by way of integers."""
    rows, columns = (np.vectorize(int, otypes=[object])(a * SCALE).tolist() for a in (x, weight.T))
    sums = [[sum(map(int.__mul__, a, b)) for b in columns] for a in rows]
    return [[Fraction(number, int(SCALE) ** 2) for number in row] for row in sums]


def exact_product(x, matrix):
    """Return x @ matrix by NumPy, which must not have rounded anything."""
    found = x @ matrix
    assert found.dtype == matrix.dtype
    assert found.tolist() == exact(x.astype(float), matrix.astype(float))
    return found


class Exact:
    """NumPy, whose matrix products must not be rounded."""

    matmul = staticmethod(exact_product)

    def __getattr__(self, name):
        return getattr(np, name)


def worst_error(x, weight, dtype):
    """Return the largest error per term, relative to the largest input times weight of a row."""
    found = SlicedWeight(weight, dtype, np).multiply(x, Exact())
    true = exact(x.astype(float), weight)
    sizes = np.max(np.abs(x) * np.max(np.abs(weight), axis=1), axis=1)
    worst = Fraction(0)
    for i, j in np.ndindex(found.shape):
        # The result is rounded to float64, as is each sum of products.
        rounding = 4 * abs(true[i][j]) / 2**53
        error = abs(Fraction(found[i, j]) - true[i][j]) - rounding
        worst = max(worst, error / (len(weight) * Fraction(sizes[i])))
    return float(worst)


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("n_in", WIDTHS)
def test_products_of_slices_are_exact_and_err_as_stated(n_in, dtype):
    for x, weight in operands(n_in):
        assert worst_error(x, weight, dtype) <= UNITS[dtype]


def weights_for_bytes():
    """Yield a name, a weight, and whether bytes are multiplied in float64 and float32."""
    rng = np.random.default_rng(0)
    numbers, inputs = rng.standard_normal((784, 20)) / 255.0, np.arange(784)[:, None]
    yield "usual", numbers, True
    yield "of float32", numbers.astype(np.float32).astype(float), True
    yield "an unused input and unit", numbers * (inputs != 3) * (np.arange(20) != 5), True
    yield "positive", np.abs(numbers), True
    yield "full bits", np.full((784, 2), 1.0 - 2.0**-53), True
    yield "one input", numbers[:1], True
    yield "2,049 inputs", rng.uniform(-1, 1, (2049, 20)), True
    yield "3,072 inputs", rng.standard_normal((3072, 20)), True
    yield "units of many sizes", numbers * 2.0 ** -np.repeat([0, 30], [15, 5]), True
    yield "large", numbers * 2.0**70, True
    yield "zero", 0.0 * numbers, False
    yield "inputs of many sizes", numbers * 2.0 ** (inputs % 11), False
    yield "inputs of all sizes", numbers * 2.0 ** (inputs % 181 - 90), False
    yield "one small input", numbers * np.where(inputs == 5, 2.0**-11, 1.0), False
    yield "too small for float32", numbers * 2.0**-80, False
    yield "too large for float32", numbers * 2.0**120, False
    yield "NaN", numbers * np.where(inputs == 5, np.nan, 1.0), False
    yield "infinite", numbers * np.where(inputs == 5, np.inf, 1.0), False


def bytes_of(weight, kind):
    """Return random bytes, and rows with the largest sums of positive or negative products."""
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    x = np.random.default_rng(0).integers(least, most, (5, len(weight)), endpoint=True)
    signs = [weight.T > 0.0, weight.T < 0.0]
    return np.concatenate([x, *(np.where(sign, most, least) for sign in signs)]).astype(kind)


class Watched(np.ndarray):
    """An array that keeps the matrices that it is multiplied by."""

    matrices: ClassVar[list] = []

    def __matmul__(self, matrix):
        self.matrices.append(matrix)
        return np.asarray(self) @ matrix


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("weight", "is_split"), [pytest.param(*x[1:], id=x[0]) for x in weights_for_bytes()]
)
def test_bytes_have_the_bits_of_other_numbers_by_exact_products(weight, is_split, kind):
    x = bytes_of(weight, kind)
    Watched.matrices.clear()
    with np.errstate(all="ignore"):
        product = SlicedWeight(weight, "float32", np)
        found = product.multiply(x.view(Watched), np)
        for other in ("float64", "int16"):
            np.testing.assert_array_equal(found, product.multiply(x.astype(other), np))
    matrices = list(Watched.matrices)
    assert [matrix.dtype.name for matrix in matrices] == ["float64", "float32"] * is_split
    for matrix in matrices:
        exact_product(bytes_of(matrix, kind)[::3].astype(matrix.dtype), matrix)


def test_numbers_that_are_out_of_range():
    weight = np.asarray([[1.0, 0.0], [1.0, 1e-200]])
    found = SlicedWeight(weight, "float64", np).multiply(
        np.asarray([[np.inf, 0.0], [-np.inf, 0.0], [0.0, 0.0], [1e-300, 0.0], [np.nan, 1.0]]), np
    )
    expected = [[LARGEST, 0], [-LARGEST, 0], [0, 0], [0, 0], [np.nan, np.nan]]
    np.testing.assert_array_equal(found, expected)
