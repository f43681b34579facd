"""Errors as shares of their bounds, and networks of other libraries."""

import numpy as np
import pytest

from xpnet.testing.backends import open_backend


@pytest.fixture(scope="session")
def shares():
    """Return a function: the largest error of each stage as a share of its bound.

    In float64 it is the share of twice the bound.
    """

    def of_each_stage(found, results):
        largest, n_bounds = [], 2.0 if found.dtype == "float64" else 1.0
        for stage, result in zip(found.stages, results, strict=True):
            y = result.astype(np.float64)
            assert not np.any(np.isnan(stage.bound))
            with np.errstate(all="ignore"):
                error = np.abs(y - stage.values) / (n_bounds * stage.bound)
            is_same = (y == stage.values) | (np.isnan(y) & np.isnan(stage.values))
            error = np.where(is_same | np.isinf(stage.bound), 0.0, np.nan_to_num(error, nan=np.inf))
            largest.append(float(np.max(error, initial=0.0)))
        return largest

    return of_each_stage


@pytest.fixture(scope="session")
def moved():
    """Return a function: a network of a library, or the test is skipped."""

    def of_library(network, library):
        pytest.importorskip(library.partition(":")[0].replace("-", "_"))
        return network.map_arrays(open_backend(library).make)

    return of_library
