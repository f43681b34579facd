"""The inputs: what is timed, and the points at which errors are measured."""

import math
from typing import Any

import numpy as np

from speed.cases import Case
from speed.expressions import WIDTH

SIZE = 100_000


def timed_input(case: Case) -> Any:
    """Return 100,000 numbers in the shape of the case (twice as many where half are gates)."""
    shape = (SIZE // WIDTH, case.width) if case.width else (SIZE,)
    return _normal(np.random.default_rng(0), shape)


def checked_input(case: Case, count: int) -> Any:
    """Return points from a fixed seed: some 2.5 times `count`, or `count` in rows and as many."""
    rng = np.random.default_rng(1)
    normal = _normal(rng, (count,))
    if case.width:
        return _rows(case, normal[: count // case.width * case.width].reshape(-1, case.width), rng)
    # Evenly spaced bit patterns reach every binade of either sign.
    bits = np.arange(0, 2**32, 2**32 // count).astype(np.uint32).view(np.float32)
    middle = rng.uniform(-120, 120, count // 2).astype(np.float32)
    limits = np.finfo(np.float32)
    special = [0.0, 0.5, 1.0, 3.0, 6.0, float(limits.tiny), float(limits.max), math.inf]
    edges = np.asarray([*special, *(-value for value in special), np.nan], np.float32)
    beside = [np.nextafter(edges[:5], np.float32(to)) for to in (-np.inf, np.inf)]
    return np.concatenate([bits[~np.isnan(bits)], normal, middle, edges, *beside])


def _rows(case: Case, rows: Any, rng: Any) -> Any:
    """Return ordinary rows, others with large numbers, and some with infinities and NaN."""
    if case.name == "glu":
        # Where the gate is a normal number, or as good as 0 or 1.
        gates = rng.uniform(-87, 120, rows[:, WIDTH:].shape).astype(np.float32)
        gates[:4] = np.asarray([[np.inf], [-np.inf], [np.nan], [-100]])
        return np.concatenate([rows, np.concatenate([rows[:, :WIDTH], gates], axis=1)])
    odd = rows[:8].copy()
    odd[0, 3], odd[1, 3], odd[2, :2] = np.nan, -np.inf, -np.inf
    if case.name != "sparsemax":  # which takes finite numbers, and -inf
        odd[3, 3], odd[4, :2], odd[5], odd[6] = np.inf, np.inf, -np.inf, np.inf
    return np.concatenate([rows, rows * np.float32(10), odd])


def _normal(rng: Any, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape, np.float32) * np.float32(3)
