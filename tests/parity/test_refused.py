"""What comparisons and bounds refuse."""

import math
from functools import partial

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network
from xpnet.parity import compare, error_bound

ROWS = np.random.default_rng(1).normal(size=(30, 20)).astype("f4")
NETWORK, RECORDED = xpnet.init_network([20, 16, 10]), [np.zeros((30, n)) for n in (20, 16, 10)]
NOT_FINITE = Network([Dense([[1.0, 1.0]], [0.0, math.nan]), Dense([[1.0], [1.0]], [0.0])])


def compared(*candidates, rows=ROWS):
    return partial(compare, NETWORK, rows, dict(enumerate(candidates)))


def bounded(network=NETWORK, x=ROWS, **options):
    return partial(error_bound, network, x, **options)


# Call, class of the error, word of the message.
REFUSED = [
    (compared(xpnet.init_network([21, 16, 10])), ValueError, "n_in 20"),
    (compared(xpnet.init_network([20, 16, 9])), ValueError, "n_out 10"),
    (compared(xpnet.init_network([20, 10], output="values")), ValueError, "output logits"),
    (compared(xpnet.init_network([20, 10], classes=range(10, 20))), ValueError, "classes"),
    (compared(RECORDED[:2]), ValueError, "3 stages"),
    (compared(RECORDED, rows=ROWS[[0, *range(30)]]), ValueError, "31 rows"),
    (compared(NETWORK, rows=ROWS[:0]), ValueError, "empty"),
    (compared(), ValueError, "empty"),
    (compared("cpu"), TypeError, "got a str"),
    (compared([[1.0], [2.0], [3.0]]), TypeError, "NumPy"),
    (bounded("sample"), TypeError, "Network"),
    (bounded(NOT_FINITE, np.zeros((1, 1))), ValueError, "bias of layer 1"),
    (bounded(x=ROWS.astype(complex)), TypeError, "complex128"),
    (bounded(x=ROWS[:, 1:]), ValueError, "20"),
    (bounded(x="pixels"), TypeError, "str"),
    *((bounded(confidence=p), ValueError, "confidence") for p in (0.0, 1.5, math.nan)),
]


@pytest.mark.parametrize(("call", "error", "word"), REFUSED)
def test_what_is_refused(call, error, word):
    with pytest.raises(error, match=word):
        call()
