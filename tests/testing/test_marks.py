"""Marks by which tests are skipped or expected to fail on backends."""

import pytest

from xpnet.testing.marks import SKIP, XFAIL, Verdicts, verdicts_of
from xpnet.testing.words import default_names, unavailable_reason

pytest.importorskip("array_api_strict")
NAMES = ("numpy", "dask", "torch", "torch:cuda", "jax")  # and those of array-api-strict
STRICT = {name for name in default_names() if name.startswith("array-api-strict")}
DEVICES = {"array-api-strict:device1", "array-api-strict:no_float64"}
LAZY = {"dask", "jax", "array-api-strict:strictest"}
NOT_NUMPY = {*NAMES[1:], *STRICT}


def skip(*names, **options):
    return SKIP, names, options


@pytest.mark.parametrize(
    ("marks", "names"),
    [
        ([], set()),
        ([skip("torch")], {"torch", "torch:cuda"}),
        ([skip("torch:cuda")], {"torch:cuda"}),
        ([skip("array_api_strict")], STRICT),
        ([skip("jax.numpy"), skip("dask.array", reason="no")], {"jax", "dask"}),
        ([skip(eager_only=True)], LAZY),
        ([skip(eager_only=True, exceptions=["jax.numpy"])], LAZY - {"jax"}),
        (
            [skip("torch:cuda", eager_only=True, exceptions=["jax"])],
            LAZY - {"jax"} | {"torch:cuda"},
        ),
        ([skip(np_only=True, exceptions=["dask", "torch"])], {*STRICT, "jax"}),
        ([skip(cpu_only=False)], set()),
        ([skip(cpu_only=True)], DEVICES),
        ([skip(cpu_only=True, exceptions=["array-api-strict"])], set()),
    ],
)
def test_marks_skip_backends(marks, names):
    # The device of a library that is not here is unknown, and so is its laziness.
    is_named = not any(options for _, _, options in marks)
    tested = [x for x in (*NAMES, *STRICT) if is_named or unavailable_reason(x) is None]
    assert set(verdicts_of(marks, tested).skipped) == names.intersection(tested)


@pytest.mark.parametrize(
    ("marks", "reason"),
    [
        ([skip("numpy", reason=None)], "skip_xp_backends names it"),
        ([skip(np_only=True)], None),
        ([skip(np_only=True, reason="option"), skip("numpy", reason="name")], "name"),
        ([skip("numpy", reason="name"), skip("numpy", reason="other")], "name"),
    ],
)
def test_the_reason_of_a_name_takes_precedence(marks, reason):
    assert verdicts_of(marks, ["numpy"]).skipped.get("numpy") == reason


def test_expected_failures_are_those_that_are_not_skipped():
    marks = [(XFAIL, ("torch", "jax"), {"reason": "wrong"}), skip("jax", reason="slow")]
    assert verdicts_of(marks, ["numpy", "torch", "jax"]) == Verdicts(
        {"jax": "slow"}, {"torch": "wrong"}
    )


@pytest.mark.parametrize(
    ("mark", "error", "words"),
    [
        (skip("cuppy"), ValueError, "skip_xp_backends .*'cuppy'"),
        ((XFAIL, (), {"np_only": True, "exceptions": ["cuppy"]}), ValueError, "xfail.*'cuppy'"),
        (skip("torch", gpu=True), TypeError, "'gpu'"),
        (skip(), ValueError, "neither"),
        (skip(reason="none"), ValueError, "neither"),
        (skip(["torch"]), TypeError, "strings"),
    ],
)
def test_invalid_marks_are_rejected(mark, error, words):
    with pytest.raises(error, match=words):
        verdicts_of([mark], ["numpy"])
