"""The proof that the true values are true: the formulas in float64 against mpmath."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from truth.formulas import F64, Inputs
from truth.table import ROWS, mp

# What a formula may differ from the truth, relatively: some 1e-5 units in float32's last place.
TOLERANCE = 1e-12
# Far below float32, where only the absolute value counts, and far above.
NOTHING, EVERYTHING = 1e-60, 1e60


def prove(names: Iterable[str]) -> None:
    """Hold the formulas of these rows against mpmath.

    Raises
    ------
    ValueError
        If one of them is not true somewhere.
    """
    points = some_points(100)
    for name in names:
        with np.errstate(all="ignore"):
            values = ROWS[name].values(Inputs(points), all_finite=True)
        for x, value in zip(points.tolist(), values.tolist(), strict=True):
            exact = ROWS[name].exact(mp.mpf(x))
            if not agree(value, exact):
                msg = f"{name} at {x!r} is {mp.nstr(exact, 20)}; its formula is false: {value!r}"
                raise ValueError(msg)


def some_points(n: int) -> F64:
    """Return random numbers of float32: of any size, around 0, and where exp is a number."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)
    around = rng.uniform(-8, 8, n).astype(np.float32)
    wide = rng.uniform(-110, 95, n).astype(np.float32)
    return np.concatenate([patterns[np.isfinite(patterns)], around, wide]).astype(np.float64)


def agree(value: float, exact: Any) -> bool:
    """Tell whether a value is the exact one, as far as float32 could tell."""
    if isinstance(exact, mp.mpc):  # outside the domain
        return math.isnan(value)
    if math.isnan(value):
        return False
    if abs(exact) > EVERYTHING:
        return abs(value) > EVERYTHING and (value > 0) == (exact > 0)
    return bool(abs(exact - value) <= max(NOTHING, TOLERANCE * abs(exact)))
