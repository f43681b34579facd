"""Functions with the same bits in every library: values, special values, and bits."""

from itertools import pairwise

import numpy as np
import pytest

from xpnet.arrays.transfer import to_numpy
from xpnet.functions.arithmetic_check import _operations
from xpnet.functions.exact_division import exact_quotient
from xpnet.functions.exact_namespace import exact_namespace
from xpnet.functions.exact_products import inverse_power, power_of_two
from xpnet.testing.backends import open_backend

FUNCTIONS = exact_namespace(np.zeros(1))
INF, NAN = np.inf, np.nan


def both_signs(low, high, n=400):
    """Return numbers of all sizes from 2^low to 2^high."""
    x = 2.0 ** np.random.default_rng(0).uniform(low, high, n)
    return np.concatenate([x, -x])


def evenly(low, high, n=1200):
    return np.random.default_rng(1).uniform(low, high, n)


# The numbers that each function takes, and where it is hardest; the largest error in ULP.
POINTS = {
    "exp": (np.concatenate([evenly(-707.9, 709.3), both_signs(-60, 4)]), 1.0),
    "expm1": (np.concatenate([evenly(-707.9, 709.3), evenly(-1, 1), both_signs(-1000, 2)]), 2.0),
    "tanh": (np.concatenate([evenly(-20, 20), evenly(-1, 1), both_signs(-1000, 5)]), 3.0),
    "log": (
        np.concatenate([evenly(0.5, 2), 1 + evenly(-1, 1) / 2**20, 2.0 ** evenly(-900, 900)]),
        3,
    ),
    "log1p": (np.concatenate([evenly(-0.99, 1), both_signs(-900, -1), 2.0 ** evenly(0, 899)]), 3.0),
    "sqrt": (np.concatenate([evenly(1, 4), 2.0 ** evenly(-500, 500)]), 1.0),
}


def ulp_error(found, exact, mp):
    """Return the error in units in the last place of the exact value."""
    exponent = mp.frexp(exact)[1] - 53
    return abs(mp.mpf(found) - exact) / mp.mpf(2) ** exponent if exact else abs(found)


@pytest.mark.parametrize("name", POINTS)
def test_errors(name):
    mp = pytest.importorskip("mpmath")
    x, bound = POINTS[name]
    with mp.workdps(60):
        exact = [getattr(mp, name)(mp.mpf(number)) for number in x.tolist()]
        errors = map(ulp_error, getattr(FUNCTIONS, name)(x).tolist(), exact, [mp.mp] * len(x))
        assert max(errors) <= bound


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [0.0, -0.0, INF, 709.5, NAN], [1.0, 1.0, INF, INF, NAN]),
        ("expm1", [0.0, -INF, -1000.0, NAN], [0.0, -1.0, -1.0, NAN]),
        ("expm1", [709.45, 709.78, 800.0, INF], [INF] * 4),
        ("tanh", [0.0, -0.0, INF, -INF, 1e300, NAN], [0.0, -0.0, 1.0, -1.0, 1.0, NAN]),
        ("log", [1.0, 2.0**-900, NAN, 0.0, INF], [0.0, -900 * np.log(2.0), NAN, -INF, INF]),
        ("log", [-1.0, -INF, 2.0**-901, 2.0**901], [NAN] * 4),
        ("log1p", [0.0, NAN, -1.0, INF, -2.0, 2.0**901], [0.0, NAN, -INF, INF, NAN, NAN]),
        ("sqrt", [1.0, 4.0, 2.0**-500, 2.25, NAN], [1.0, 2.0, 2.0**-250, 1.5, NAN]),
        ("sqrt", [0.0, INF, -1.0, -INF, 2.0**-901, 2.0**901], [0.0, INF, NAN, NAN, 0.0, NAN]),
    ],
)
def test_special_values(name, x, expected):
    with np.errstate(all="ignore"):
        found = getattr(FUNCTIONS, name)(np.asarray(x))
    np.testing.assert_array_equal(found, expected)
    is_number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[is_number], np.signbit(expected)[is_number])


def test_exp_never_becomes_subnormal():
    found = FUNCTIONS.exp(np.asarray([-708.0, -709.0, -1000.0, -INF]))
    assert set(found) == {found[0]}
    assert found[0] >= np.finfo(np.float64).tiny


@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "log", "log1p", "sqrt"])
def test_functions_grow_where_their_pieces_meet(name):
    """Neighbours of the bounds between pieces, where the exponent changes."""
    at = [2.0, 1.0, 0.5, 4.0, 2**0.5, 2.0**10] if "log" in name or name == "sqrt" else None
    if at is None:
        at = [(k + 0.5) * np.log(2.0) for k in range(-4, 5)]
    for x in at:
        near = np.sort(x + np.arange(-20, 21) * np.spacing(x))
        y = getattr(FUNCTIONS, name)(near)
        ulp = np.spacing(np.abs(y))
        assert all(b >= a - 3 * u for (a, b), u in zip(pairwise(y), ulp, strict=False))


def powers_near(exponents):
    """Return the powers of two and their neighbours, with their exponents."""
    power = 2.0 ** np.asarray(exponents, float)
    x = np.concatenate([power, np.nextafter(power, INF), np.nextafter(2 * power, 0.0)])
    return x, np.tile(exponents, 3)


def test_power_of_two():
    x, exponents = powers_near(np.arange(-1022, 970))
    np.testing.assert_array_equal(power_of_two(x, np), 2.0**exponents)
    assert power_of_two(np.asarray([0.0]), np) == [0.0]
    x = 2.0 ** evenly(-1000, 900)
    np.testing.assert_array_equal(power_of_two(x, np), 2.0 ** (np.frexp(x)[1] - 1))


def test_exponents():
    x, exponents = powers_near(np.arange(-500, 501))
    found = FUNCTIONS._exponent(x)  # noqa: SLF001 - log and sqrt rest on it
    np.testing.assert_array_equal(found, exponents)


def test_powers_of_every_library(xp_backend):
    exponents = np.arange(-1022.0, 1025.0)
    expected = np.append(2.0 ** exponents[:-1], INF)
    there = xp_backend.asarray(exponents, "float64")
    found = exact_namespace(there)._power(there)  # noqa: SLF001 - exp and log rest on it
    np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13, 100, 257])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sums(n, axis):
    x = np.random.default_rng(n).integers(-(2**40), 2**40, (n, 3) if axis == 0 else (3, n)) * 1.0
    np.testing.assert_array_equal(FUNCTIONS.sum(x, axis=axis), x.sum(axis))
    kept = FUNCTIONS.sum(x, axis=axis, keepdims=True)
    np.testing.assert_array_equal(kept, x.sum(axis, keepdims=True))
    np.testing.assert_array_equal(FUNCTIONS.cumulative_sum(x, axis=axis), x.cumsum(axis))
    np.testing.assert_array_equal(FUNCTIONS.mean(x, axis=axis), x.sum(axis) / n)


def test_sums_have_the_errors_of_a_tree():
    x = np.random.default_rng(0).uniform(0, 1, (20, 1000))
    for found, expected in (
        (FUNCTIONS.sum(x, axis=1), np.sum(x.astype(np.longdouble), axis=1)),
        (FUNCTIONS.cumulative_sum(x, axis=1), np.cumsum(x.astype(np.longdouble), axis=1)),
    ):
        assert np.max(np.abs(found / expected - 1)) <= 10 * 2.0**-53


def results(asarray):
    """Return what each function makes of many numbers, on a library."""
    functions = exact_namespace(asarray(np.zeros(1)))
    yield from (getattr(functions, name)(asarray(x)) for name, (x, _) in POINTS.items())
    special = asarray(np.asarray([0.0, -0.0, INF, -INF, NAN, 1e-307, -1e300, 709.5, -708.5]))
    yield from (getattr(functions, name)(special) for name in ("exp", "tanh"))
    table, row = asarray(evenly(-4, 4, 200).reshape(8, 25)), asarray(evenly(1, 9, 25))
    for x, y in (
        *((table, row), (row, table), (table, 7.0), (0.3, table), (table, table[:, :1])),
        *((row, 3.3), (1.1, row)),
    ):
        yield functions.divide(x, y)
    for axis in (0, 1):
        yield functions.sum(table, axis=axis)
        yield functions.cumulative_sum(table, axis=axis)
    yield power_of_two(asarray(2.0 ** evenly(-1000, 900)), functions)


def test_every_library_gives_the_same_bits(xp_backend):
    def asarray(x):
        return xp_backend.asarray(x, "float64")

    for i, (found, expected) in enumerate(zip(results(asarray), results(np.asarray), strict=True)):
        bits = [np.where(np.isnan(x), NAN, x).tobytes() for x in (to_numpy(found), expected)]
        assert bits[0] == bits[1], i


def test_divide_is_correctly_rounded():
    x, y = both_signs(-300, 300), both_signs(-200, 200)
    np.testing.assert_array_equal(FUNCTIONS.divide(x, y), x / y)
    np.testing.assert_array_equal(FUNCTIONS.divide(x, 3.3), x / 3.3)


def test_everything_else_is_the_library_itself():
    assert FUNCTIONS.maximum is np.maximum
    assert FUNCTIONS.__name__ == "numpy"
    assert exact_namespace(np.zeros((2, 3))) is FUNCTIONS


def test_functions_without_an_exact_form_are_missing():
    for name in ("sin", "log2", "var", "pow", "arange", "einsum", "cumsum", "ordinary_"):
        with pytest.raises(AttributeError, match=f"'{name}' has no exact form"):
            getattr(FUNCTIONS, name)


def test_arrays_of_float64_alone_have_an_exact_namespace():
    with pytest.raises(TypeError, match=r"must be an array of float64.*got float32"):
        exact_namespace(np.zeros(1, np.float32))
    with pytest.raises(TypeError, match="must be an array, a number"):
        exact_namespace("x")


@pytest.mark.parametrize("name", POINTS)
def test_functions_reject_float32(name):
    with pytest.raises(TypeError, match=r"^exact functions take arrays of float64; got float32$"):
        getattr(FUNCTIONS, name)(np.ones(2, np.float32))


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "sqrt"])
def test_functions_reject_integers(name):
    with pytest.raises(TypeError, match=r"^exact functions take arrays of float64; got int64$"):
        getattr(FUNCTIONS, name)(np.ones(2, np.int64))


@pytest.mark.parametrize("x", [np.arange(3), np.ones(3, bool)])
def test_quotients_and_sums_reject_integers(x):
    for call in (
        lambda: FUNCTIONS.divide(x, np.ones(3)),
        lambda: FUNCTIONS.divide(1.0, x),
        lambda: FUNCTIONS.sum(x),
        lambda: FUNCTIONS.mean(x, axis=0),
        lambda: FUNCTIONS.cumulative_sum(x, axis=0),
    ):
        with pytest.raises(TypeError, match=r"^exact functions take arrays of float64; got "):
            call()


def test_traced_functions_are_rejected():
    jax = pytest.importorskip("jax")
    backend = open_backend("jax")
    with backend.flags:
        x = backend.asarray(np.ones(3), "float64")
        for function in (exact_namespace(x).exp, exact_namespace):
            with pytest.raises(TypeError, match=r"cannot be traced, by jax.jit, torch.compile"):
                jax.jit(function)(x)


def test_sums_of_all_numbers_keep_dimensions():
    found = FUNCTIONS.sum(np.ones((2, 3, 4)), keepdims=True)
    np.testing.assert_array_equal(found, [[[24.0]]], strict=True)


def test_matmul_of_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`y` must be a matrix; got the shape \(3,\)"):
        FUNCTIONS.matmul(np.ones(3), np.ones(3))


def test_the_sum_of_no_numbers_is_0():
    assert FUNCTIONS.sum(np.ones((0, 2)), axis=0).tolist() == [0.0, 0.0]
    assert FUNCTIONS.sum(np.ones((2, 0))) == 0.0


def test_inverse_powers():
    power = 2.0 ** np.arange(-1020.0, 972.0)
    np.testing.assert_array_equal(inverse_power(power, np), 1.0 / power)


def by_inverse(x, y):
    return x * (1.0 / y)


def in_few_bits(x, y):
    return (x / y) * (1.0 + 2.0**-30)


@pytest.mark.parametrize("divide", [by_inverse, in_few_bits])
def test_a_quotient_is_corrected(divide):
    class Inaccurate:
        def __getattr__(self, name):
            return divide if name == "divide" else getattr(np, name)

    x, y = both_signs(-400, 400, 100_000), np.tile(both_signs(-400, 400, 50_000), 2)
    x[:63], y[:63] = _operations()[0].operands  # close to half way between two numbers
    assert np.sum(divide(x, y) != x / y) > 10_000
    np.testing.assert_array_equal(exact_quotient(x, y, Inaccurate()), x / y)
    edges = np.asarray([0.0, -0.0, INF, -INF, NAN, 2.0**-901, 2.0**901])
    x, y = (np.ravel(a) for a in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(exact_quotient(x, y, Inaccurate()), divide(x, y))
