"""No result depends on the number of rows, also where the preprocessing or a layer overflows."""

from itertools import pairwise

import numpy as np
import pytest

import xpnet
from xpnet.arrays.ranges import RangeError
from xpnet.inference.nonfinite import count_nonfinite

FEW = 6


def random_case(seed):
    """Return a network with a preprocessing of any size, and a few rows of any size."""
    rng = np.random.default_rng(seed)
    n_in = int(rng.choice([3, 64]))  # means are folded for 64 inputs
    scales = 10.0 ** rng.integers(-36, 36, 2)
    steps = (
        xpnet.Scale(scales[0]),
        xpnet.Standardize(rng.normal(0.0, scales[0], n_in), np.full(n_in, scales[0])),
        xpnet.Standardize(0.0, scales[1]),
        xpnet.Whiten(np.zeros(n_in), rng.normal(0.0, scales[1], (n_in, n_in))),
    )
    used = [steps[i] for i in rng.permutation(4)[: rng.integers(0, 3)]]
    widths = (n_in, 5, 3)
    layers = [
        xpnet.Dense(rng.normal(0.0, size, shape).astype("f4"), np.zeros(shape[1], "f4"), name)
        for shape, name, size in zip(
            pairwise(widths),
            (str(rng.choice(["tanh", "relu", "hard_sigmoid"])), "identity"),
            10.0 ** rng.integers(-5, 20, 2),
            strict=True,
        )
    ]
    dtype = str(rng.choice(["float32", "float64", "uint8", "int32", "int64", "float16"]))
    largest = {"float16": 4, "uint8": 2, "int32": 9, "int64": 15}.get(dtype, 37)
    rows = np.clip(rng.normal(size=(FEW, n_in)), 0.01, 2.0) * 10.0 ** rng.integers(0, largest)
    return xpnet.Network(layers, used), rows.astype(dtype)


def clear_rows(network, rows):
    """Return for which rows rounding cannot change the label."""
    with np.errstate(all="ignore"):
        y = np.sort(np.abs(network.astype("float64")(rows.astype("float64"))), axis=1)
        return y[:, -1] - y[:, -2] > 1e-3 * y[:, -1]


def outcome(network, is_clear, images, n=FEW, **options):
    """Return labels and lost rows of `n` rows, repeated, or the error."""
    with count_nonfinite() as count:
        try:
            labels = xpnet.predict(network, images, **options)
        except RangeError as error:
            return type(error), error.row, error.column, error.value
    is_lost = np.isin(np.arange(len(labels)), count.rows).reshape(-1, n)
    assert (is_lost == is_lost[0]).all()
    is_compared = is_clear & ~is_lost[0]
    labels = np.where(is_compared, labels.reshape(-1, n), -1)
    assert (labels == labels[0]).all()
    return labels[0].tolist(), is_lost[0].tolist()


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
@pytest.mark.parametrize("seed", range(150))
def test_a_prediction_does_not_depend_on_other_rows(seed):
    network, rows = random_case(seed)
    many, is_clear = np.tile(rows, (500, 1)), clear_rows(network, rows)
    expected = outcome(network, is_clear, rows)
    assert outcome(network, is_clear, many) == expected
    assert outcome(network, is_clear, many, batch_size=77, threads=2) == expected


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
@pytest.mark.parametrize("seed", range(150))
def test_a_prediction_does_not_depend_on_a_row_of_nan(seed):
    network, rows = random_case(seed)
    if rows.dtype.kind != "f":
        rows = rows.astype("float32")
    is_clear, added = clear_rows(network, rows), np.full_like(rows, np.nan)
    found = outcome(network, is_clear, rows)
    both = outcome(network, np.r_[is_clear, np.zeros(FEW, bool)], np.r_[rows, added], n=2 * FEW)
    if found[0] is RangeError:
        assert both == found
    else:
        assert [part[:FEW] for part in both] == list(found)


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
@pytest.mark.parametrize("seed", range(150))
def test_sums_are_inspected_where_there_is_no_plan(seed, monkeypatch):
    network, rows = random_case(seed)
    many, is_clear = np.tile(rows, (500, 1)), clear_rows(network, rows)
    expected = outcome(network, is_clear, rows)
    monkeypatch.setattr(xpnet.Network, "plan", None)
    assert outcome(network, is_clear, rows) == expected
    assert outcome(network, is_clear, many, threads=2) == expected


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
def test_the_cases_cover_each_outcome():
    outcomes = [
        outcome(network, np.zeros(FEW, bool), rows)
        for network, rows in map(random_case, range(150))
    ]
    n_errors = sum(kind is RangeError for kind, *_ in outcomes)
    n_lost = sum(any(found[1]) for found in outcomes if len(found) == 2)
    assert min(n_errors, n_lost, 150 - n_errors - n_lost) > 10
