"""Functions with the same bits in every library: values, special values, and bits."""

import numpy as np
import pytest

from xpnet.arrays.transfer import to_numpy
from xpnet.functions.exact_division import exact_quotient
from xpnet.functions.exact_namespace import checked_namespace

FUNCTIONS = checked_namespace(np.zeros(1))
INF, NAN = np.inf, np.nan
SMALLEST, LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max


def evenly(low, high, n=600):
    return np.random.default_rng(1).uniform(low, high, n)


def sizes(low, high, n=400):
    """Return numbers of all sizes from 2^low to 2^high."""
    return 2.0 ** evenly(low, high, n)


def near(*points):
    """Return the neighbours of points at which a function has another form."""
    return np.ravel([x + np.arange(-3, 4) * np.spacing(x) for x in points])


# Numbers of each function over its whole range, the most where it is hardest.
TIES = near(*((np.arange(-4, 5) + 0.5) * np.log(2.0)))
ROOTS = near(0.5, 2**-0.5, 1.0, 2**0.5, 2.0, 4.0, 2.0**10, 2.0**-600, 2.0**1000)
EXP = [evenly(-708.03, 709.78), evenly(-708.03, -707.5), evenly(709, 709.78), [-708.03, 709.7827]]
POSITIVE = [sizes(-1022, 1024, 2000), ROOTS, [SMALLEST, LARGEST], evenly(0.5, 2)]
SMALL = [sizes(-1022, 2), -sizes(-1022, 2), evenly(-1, 1), TIES]
POINTS = {
    "exp": np.concatenate([*EXP, *SMALL]),
    "expm1": np.concatenate([*EXP, *SMALL]),
    "tanh": np.concatenate([evenly(-20, 20), *SMALL, sizes(2, 1023)]),
    "log": np.concatenate([*POSITIVE, 1 + evenly(-1, 1) / 2**20]),
    "log1p": np.concatenate([evenly(-0.99, 1), sizes(-50, -1) - 1, -sizes(-1022, -1), *POSITIVE]),
    "sqrt": np.concatenate(POSITIVE),
}


@pytest.mark.parametrize("name", POINTS)
def test_errors_are_at_most_3_ulp(name):
    mp = pytest.importorskip("mpmath")
    x = POINTS[name]
    with mp.workprec(200):
        for number, found in zip(x.tolist(), getattr(FUNCTIONS, name)(x).tolist(), strict=True):
            exact = getattr(mp, name)(mp.mpf(number))
            unit = mp.mpf(2) ** max(mp.frexp(exact)[1] - 53, -1074)
            assert np.isfinite(found), number
            assert abs(mp.mpf(found) - exact) <= 3 * unit, number


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        (
            "exp",
            [0.0, INF, 709.79, -708.05, -1e300, -INF, NAN],
            [1.0, INF, INF, 0.0, 0.0, 0.0, NAN],
        ),
        ("expm1", [0.0, -INF, -1000.0, NAN, 709.79, INF], [0.0, -1.0, -1.0, NAN, INF, INF]),
        ("tanh", [0.0, -0.0, INF, -INF, 1e300, NAN], [0.0, -0.0, 1.0, -1.0, 1.0, NAN]),
        ("log", [1.0, NAN, 0.0, 1e-310, INF, -1.0, -INF], [0.0, NAN, -INF, -INF, INF, NAN, NAN]),
        ("log1p", [0.0, NAN, -1.0, INF, -2.0], [0.0, NAN, -INF, INF, NAN]),
        ("sqrt", [2.25, NAN, 0.0, 1e-310, INF, -1.0, -INF], [1.5, NAN, 0.0, 0.0, INF, NAN, NAN]),
    ],
)
def test_special_values(name, x, expected):
    with np.errstate(all="ignore"):
        found = getattr(FUNCTIONS, name)(np.asarray(x))
    np.testing.assert_array_equal(found, expected)
    is_number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[is_number], np.signbit(expected)[is_number])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 257])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sums(n, axis):
    x = np.random.default_rng(n).integers(-(2**40), 2**40, (n, 3) if axis == 0 else (3, n)) * 1.0
    for keepdims in (False, True):
        found = FUNCTIONS.sum(x, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(found, x.sum(axis, keepdims=keepdims), strict=True)
    assert FUNCTIONS.sum(x) == x.sum()
    np.testing.assert_array_equal(FUNCTIONS.mean(x, axis=axis), x.sum(axis) / n)


def test_sums_have_the_errors_of_a_tree():
    x = evenly(0, 1, 20_000).reshape(20, 1000)
    found, expected = FUNCTIONS.sum(x, axis=1), np.sum(x.astype(np.longdouble), axis=1)
    assert np.max(np.abs(found / expected - 1)) <= 10 * 2.0**-53


def results(asarray):
    """Return what each function makes of many numbers, on a library."""
    functions = checked_namespace(asarray(np.zeros(1)))
    special = np.asarray([0.0, -0.0, INF, -INF, NAN, -1.0, 1e-307, -1e300, 709.5, -708.3])
    for name, x in POINTS.items():
        yield getattr(functions, name)(asarray(np.append(x, special)))
    table, row = asarray(evenly(-4, 4, 200).reshape(8, 25)), asarray(evenly(1, 9, 25))
    for x, y in ((table, row), (table, 7.0), (0.3, table), (table, table[:, :1]), (1.1, row)):
        yield functions.divide(x, y)
    for axis in (0, 1):
        yield functions.sum(table, axis=axis)
    for n in (25, 511):
        x, weight = evenly(-4, 4, 8 * n).reshape(8, n), evenly(-1, 4, 3 * n).reshape(n, 3)
        yield functions.matmul(asarray(x), asarray(weight))


def test_every_library_gives_the_same_bits(xp_backend):
    def asarray(x):
        return xp_backend.asarray(x, "float64")

    with np.errstate(all="ignore"):
        for i, pair in enumerate(zip(results(asarray), results(np.asarray), strict=True)):
            found, expected = (np.where(np.isnan(x), NAN, x) for x in map(to_numpy, pair))
            assert found.tobytes() == expected.tobytes(), i


def test_only_functions_that_do_not_round_are_those_of_the_library():
    assert FUNCTIONS.maximum is np.maximum
    assert checked_namespace(np.zeros((2, 3))) is FUNCTIONS
    for name in ("sin", "log2", "var", "pow", "arange", "cumulative_sum"):
        assert not hasattr(FUNCTIONS, name)


@pytest.mark.parametrize(
    "divide",
    [lambda x, y: x * (1.0 / y), lambda x, y: (x / y) * (1.0 + 2.0**-30)],
    ids=["by the inverse", "in few bits"],
)
def test_a_quotient_is_corrected(divide):
    class Inaccurate:
        def __getattr__(self, name):
            return divide if name == "divide" else getattr(np, name)

    x, y = sizes(-500, 400, 100_000), np.tile(sizes(-400, 400, 50_000), 2)
    x[::2] *= -1.0
    assert np.sum(divide(x, y) != x / y) > 10_000
    np.testing.assert_array_equal(exact_quotient(x, y, Inaccurate()), x / y)
    edges = np.asarray([0.0, -0.0, INF, -INF, NAN, 2.0**-1021, 2.0**971])
    x, y = (np.ravel(a) for a in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(exact_quotient(x, y, Inaccurate()), divide(x, y))
