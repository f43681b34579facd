"""Marks by which tests are skipped or expected to fail on backends."""

from types import SimpleNamespace

import pytest

from xpnet.arrays.known_libraries import KNOWN
from xpnet.testing import marks as marks_module
from xpnet.testing.backends import Backend
from xpnet.testing.marks import (
    SKIP,
    XFAIL,
    Verdicts,
    verdicts_of,
)
from xpnet.testing.registry import default_names
from xpnet.testing.run_settings import RUN, use

GPU = {"torch:cuda", "cupy", "dpnp", "array-api-strict:device1", "array-api-strict:no_float64"}
LAZY = {"dask", "jax", "array-api-strict:strictest"}
STRICT = {name for name in default_names() if name.startswith("array-api-strict")}
NOT_NUMPY = set(default_names()) - {"numpy"}


def skip(*names, **options):
    return SKIP, names, options


@pytest.mark.parametrize(
    ("marks", "names"),
    [
        ([], set()),
        ([skip("torch")], {"torch", "torch:cuda"}),
        ([skip("torch:cuda")], {"torch:cuda"}),
        ([skip("array_api_strict")], STRICT),
        ([skip("jax.numpy", "dask.array")], {"jax", "dask"}),
        ([skip("jax"), skip("dask", reason="no")], {"jax", "dask"}),
        ([skip(eager_only=True)], LAZY),
        ([skip(eager_only=True, exceptions=["jax.numpy"])], LAZY - {"jax"}),
        ([skip(np_only=True)], NOT_NUMPY),
        ([skip(np_only=True, exceptions=["dask", "cupy"])], NOT_NUMPY - {"dask", "cupy"}),
        ([skip(cpu_only=False)], set()),
        ([skip("torch", "dask", eager_only=True, exceptions=["jax"])], LAZY - {"jax"} | {"torch", "torch:cuda"}),
        ([skip(cpu_only=True)], GPU),
        ([skip(cpu_only=True, exceptions=["cupy", "array-api-strict"])], {"torch:cuda", "dpnp"}),
    ],
)  # fmt: skip
def test_marks_skip_backends(marks, names):
    found = set(verdicts_of(marks, default_names()).skipped)
    if any("cpu_only" in options for _, _, options in marks):
        found.discard("jax")  # whose default device may be a GPU
    assert found == names


@pytest.mark.parametrize(("platform", "n"), [("cpu", 0), ("gpu", 1)])
def test_jax_is_where_its_default_device_is(monkeypatch, platform, n):
    jax = Backend("jax", KNOWN["jax"])
    vars(jax).update(unavailable=None, device=SimpleNamespace(platform=platform))
    monkeypatch.setattr(marks_module, "open_backend", lambda _: jax)
    assert len(verdicts_of([skip(cpu_only=True)], ["jax"]).skipped) == n


@pytest.mark.parametrize("marks", [
    [skip(np_only=True, reason="option"), skip("torch", reason="name")],
    [skip("torch", reason="name"), skip("torch", reason="other"), skip(cpu_only=True)],
])  # fmt: skip
def test_the_reason_of_a_name_takes_precedence(marks):
    assert verdicts_of(marks, ["torch"]).skipped == {"torch": "name"}


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (skip("torch"), "skip_xp_backends names it"),
        (skip("torch", reason=None), "skip_xp_backends names it"),
        (skip(np_only=True), "it runs on NumPy only"),
        (skip(cpu_only=True), "it runs on the CPU only"),
        (skip(eager_only=True, reason="mine"), None),
    ],
)
def test_marks_without_a_reason_have_one(mark, reason):
    assert verdicts_of([mark], ["torch:cuda"]).skipped.get("torch:cuda") == reason


def test_expected_failures_are_those_that_are_not_skipped():
    marks = [(XFAIL, ("torch", "jax"), {"reason": "wrong"}), skip("jax", reason="slow")]
    names = ["numpy", "torch", "jax"]
    assert verdicts_of(marks, names) == Verdicts({"jax": "slow"}, {"torch": "wrong"})


def test_the_marks_of_a_running_test_end_with_it():
    mark = skip("torch", reason="slow")
    with use(marks=(mark,)):
        assert RUN.marks == (mark,)
        with use(marks=()):
            assert RUN.marks == ()
        assert RUN.marks == (mark,)
    assert mark not in RUN.marks


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (skip("cuppy"), "skip_xp_backends must name backends; got 'cuppy', known are all, .*"),
        (
            (XFAIL, (), {"np_only": True, "exceptions": ["cuppy"]}),
            "xfail_xp_backends must name backends; got 'cuppy', known are all, .*",
        ),
    ],
)
def test_invalid_marks_are_rejected(mark, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        verdicts_of([mark], ["numpy"])


def test_unknown_options_are_rejected():
    with pytest.raises(TypeError, match=r"xp_backends_mark\(\) got an unexpected .* 'gpu'"):
        verdicts_of([skip("torch", gpu=True)], ["numpy"])


@pytest.mark.parametrize(
    ("mark", "error", "message"),
    [
        (skip(), ValueError, "skip_xp_backends must have names of .*; got neither"),
        (skip(reason="none"), ValueError, "skip_xp_backends must have names of .*; got neither"),
        (skip(["torch"]), TypeError, r"skip_xp_backends must have .* strings; got \['torch'\]"),
    ],
)
def test_marks_without_effect_are_rejected(mark, error, message):
    with pytest.raises(error, match=message):
        verdicts_of([mark], ["torch"])
