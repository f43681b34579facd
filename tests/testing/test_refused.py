"""What the kit refuses: arguments, functions and options of `parity`, words and marks."""

import math
from functools import partial
from unittest import mock

import numpy as np
import pytest

from xpnet.testing import parity
from xpnet.testing.backends import open_backend
from xpnet.testing.marks import SKIP, XFAIL, verdicts_of
from xpnet.testing.words import select_backends

pytest.importorskip("array_api_strict")
STRICT = ["numpy", "array-api-strict"]
X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def call_with(options, function, *arguments):
    parity(**({"backends": STRICT} | options))(function, *arguments)


def checked(function, *arguments, **options):
    return partial(call_with, options, function, *arguments)


def options(**given):
    return checked(lambda x: x * 1.0, X, **given)


def tolerance(**given):
    return partial(parity, **given)  # refused before any call


def marked(mark, *names, **given):
    return partial(verdicts_of, [(mark, names, given)], ["numpy"])


def selected(word):
    return partial(select_backends, ["numpy", word], "--xp")


# Call, class of the error, words of the message.
REFUSED = [
    (checked(3, X), TypeError, "function"),
    *((checked(np.exp, *given), TypeError, "array") for given in [(), (3.0,), (np.float64(3),)]),
    *(
        (checked(np.exp, X, second), TypeError, "argument 2")
        for second in [
            *(np.ma.masked_array(X), object(), [X, (object(),)], np.asarray(["a"]), {1: {2}}),
        ]
    ),
    *(
        (checked(function, X), TypeError, "`function` must return")
        for function in [
            *(lambda _: object(), lambda _: None, lambda _: (None, None)),
            *(mock.Mock(), mock.MagicMock()),
        ]
    ),
    (options(dtype="int8"), ValueError, "dtype"),
    (options(dtypes="float16"), ValueError, "`dtypes` must be among"),
    (options(dtypes="flot"), ValueError, "`dtypes` must be among"),
    (options(dtypes=[np.int8]), ValueError, "`dtypes` must be among"),
    (options(shapes="1d"), ValueError, "`shapes` must be among"),
    (options(bound=[1.0, 2.0]), ValueError, r"bound.* \(5, 7\); got shape \(2,\)"),
    (options(bound=X * X, shapes="0d"), ValueError, "bound"),
    (options(expected=X, dtypes="float"), ValueError, "expected"),
    (options(backends=[]), ValueError, "backends"),
    (options(backends=["cuppy"]), ValueError, "cuppy"),
    (options(compare="order"), TypeError, "compare"),
    (options(mutates=0), TypeError, "mutates"),
    (options(lazy=1), TypeError, "lazy"),
    (tolerance(bound=1, atol=1), TypeError, "`bound`"),
    (tolerance(bound=1, rtol=1), TypeError, "`bound`"),
    *((tolerance(bound=x), TypeError, "`bound`") for x in ("2", True, np.asarray(["a"]), [1j])),
    *((tolerance(bound=x), ValueError, "`bound`") for x in (-1, math.nan, math.inf, [1.0, -2.0])),
    *((tolerance(rtol=x), TypeError, "`rtol`") for x in ("2", True, [1.0])),
    *((tolerance(atol=x), ValueError, "`atol`") for x in (-1, math.nan, math.inf)),
    (marked(SKIP, "cuppy"), ValueError, "skip_xp_backends .*'cuppy'"),
    (marked(XFAIL, np_only=True, exceptions=["cuppy"]), ValueError, "xfail.*'cuppy'"),
    (marked(SKIP, "torch", gpu=True), TypeError, "'gpu'"),
    (marked(SKIP), ValueError, "neither"),
    (marked(SKIP, reason="none"), ValueError, "neither"),
    (marked(SKIP, ["torch"]), TypeError, "strings"),
    *((selected(x), ValueError, f"--xp .*'{x}'.* all, .* mlx") for x in ("cuppy", "cuppy:x")),
    *((selected(x), ValueError, f"--xp .*'{x}'") for x in ("torch:", "host", "default")),
    *((partial(open_backend, x), KeyError, "cuppy") for x in ("cuppy", "cuppy:0")),
    (selected("-cuppy"), ValueError, "--xp .*'cuppy'"),
    (selected("torch*"), ValueError, r"--xp .*'torch\*'"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
