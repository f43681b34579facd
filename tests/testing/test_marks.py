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
        ([skip("dask", reason=None)], "skip_xp_backends names it"),
        ([skip(np_only=True, exceptions=["dask"])], None),
        ([skip(np_only=True, reason="option"), skip("dask", reason="name")], "name"),
        ([skip("dask", reason="name"), skip("dask", reason="other")], "name"),
    ],
)
def test_the_reason_of_a_name_takes_precedence(marks, reason):
    assert verdicts_of(marks, ["dask"]).skipped.get("dask") == reason


def test_expected_failures_are_those_that_are_not_skipped():
    marks = [(XFAIL, ("torch", "jax"), {"reason": "wrong"}), skip("jax", reason="slow")]
    assert verdicts_of(marks, ["numpy", "torch", "jax"]) == Verdicts(
        {"jax": "slow"}, {"torch": "wrong"}
    )


def test_marks_skip_tests_or_expect_failures(run):
    result = run(
        """
        import pytest

        @pytest.mark.gpu
        @pytest.mark.uses_xp
        @pytest.mark.skip_xp_backends("array_api_strict", reason="slow")
        def test_skipped(xp):
            assert xp.__name__ == "array_api_compat.numpy"

        @pytest.mark.xfail_xp_backends("array-api-strict:device1", reason="wrong")
        def test_fails(xp_backend):
            assert xp_backend.name != "array-api-strict:device1"

        @pytest.mark.xfail_xp_backends(np_only=True, exceptions=["array-api-strict:device1"])
        class TestPasses:
            @pytest.mark.skip_xp_backends("numpy")
            def test_it(self, xp):
                pass
        """,
        "--xp-backends=numpy,array-api-strict:device1,array-api-strict:no_float64",
        "--strict-markers",
    )
    result.assert_outcomes(passed=1 + 2 + 1, skipped=2 + 1, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it[[]array-api-strict:no_float64]*",
            "[[]XPASS(strict)] it runs on NumPy only",
            "NOT TESTED xp backend array-api-strict:device1: slow (1 test)",
        ]
    )


def test_marks_hold_within_assert_parity(run):
    result = run(
        """
        import numpy as np
        import pytest
        from xpnet.testing import assert_parity, parity

        @pytest.mark.skip_xp_backends(np_only=True, reason="it converts to NumPy")
        def test_numpy():
            parity(backends="numpy")(np.asarray, [1.0, 2.0])

        @pytest.mark.skip_xp_backends(np_only=True, reason="it converts to NumPy")
        def test_skipped():
            assert_parity(np.asarray, [1.0, 2.0])

        @pytest.mark.xfail_xp_backends("array-api-strict", reason="it converts to NumPy")
        def test_fails():
            assert_parity(np.asarray, [1.0, 2.0])

        @pytest.mark.xfail_xp_backends("array-api-strict:device1")
        def test_others_fail():
            assert_parity(np.asarray, [1.0, 2.0])

        @pytest.mark.xfail_xp_backends("array-api-strict:device1")
        def test_passes():
            assert_parity(abs, [1.0, 2.0])

        @pytest.mark.skip_xp_backends('cuppy')
        def test_invalid(xp):
            pass
        """,
        "--xp-backends=numpy,array-api-strict",
    )
    result.assert_outcomes(passed=2, skipped=1, failed=2, errors=5)
    result.stdout.fnmatch_lines_random(
        [
            "E *ValueError: skip_xp_backends must *'cuppy'*",
            "E *asarray fails on 3 of 4 backends:",
            "E *array-api-strict:device1: it passes, but*",
        ]
    )


@pytest.mark.parametrize(("expression", "n"), [("uses_xp", 5), ("not uses_xp", 2)])
def test_tests_with_our_fixtures_are_marked(run, expression, n):
    tests = """
        import pytest

        def test_plain():
            pass

        @pytest.mark.parametrize("xp", ["mine"])
        def test_own(xp):
            pass

        def test_it(xp_device):
            pass
        """
    run(tests, "--xp-backends=numpy,array-api-strict", "-m", expression).assert_outcomes(
        passed=n, deselected=7 - n
    )
