"""Constants of float32 and float64: limits, and polynomials as their program fits them."""

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.functions import exact_namespace
from xpnet.functions.dtype_constants import DTYPE_CONSTANTS, TAIL_BEND

FITS = Path(__file__).parent / "tables" / "fit_polynomials.py"


def test_polynomials_are_what_their_program_fits():
    pytest.importorskip("mpmath", reason="polynomials are fitted by mpmath")
    spec = importlib.util.spec_from_file_location("fit_polynomials", FITS)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert set(program.FITS) == set(DTYPE_CONSTANTS)
    for bits, fits in program.FITS.items():
        for name, coefficients in fits.items():
            assert getattr(DTYPE_CONSTANTS[bits], name) == tuple(coefficients), (bits, name)
    for name, coefficients in program.REPRODUCIBLE.items():
        assert getattr(exact_namespace, name) == tuple(coefficients), name


@pytest.mark.parametrize(("bits", "dtype"), [(32, "float32"), (64, "float64")])
def test_limits(bits, dtype):
    constants, limits = DTYPE_CONSTANTS[bits], np.finfo(dtype)
    number = limits.dtype.type
    with np.errstate(over="ignore"):
        end = number(constants.largest_exponent)
        assert end == constants.largest_exponent
        assert np.isfinite(np.exp(end))
        assert np.isinf(np.exp(np.nextafter(end, number(np.inf))))
        assert np.isfinite(2 * np.exp(number(constants.safe_exponent)))
        assert 1 / np.exp(number(constants.safe_exponent)) < limits.tiny
    assert TAIL_BEND == 0.4375


@pytest.mark.parametrize(("bits", "dtype"), [(32, "float32"), (64, "float64")])
def test_the_largest_selu(bits, dtype):
    largest, number = DTYPE_CONSTANTS[bits].largest_selu, np.dtype(dtype).type
    assert number(largest) == largest
    scale = Fraction("1.0507009873554804934193349852946")
    following = float(np.nextafter(number(largest), number(np.inf)))
    # From half a unit beyond the largest number on, values round to infinity.
    eps = Fraction(float(np.finfo(dtype).eps))
    end = Fraction(float(np.finfo(dtype).max)) * (1 + eps / (4 - 2 * eps))
    assert scale * Fraction(largest) < end <= scale * Fraction(following)
    y = xpnet.selu(np.asarray([largest, np.nextafter(number(largest), number(np.inf))], dtype))
    assert np.isfinite(y[0])
    assert np.isinf(y[1])
