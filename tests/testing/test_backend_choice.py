"""Names of the backends, words that select them, and reasons why one is unavailable."""

import sys

import pytest

from xpnet.testing import backend_choice
from xpnet.testing.backend_choice import (
    NAMES,
    no_cuda_reason,
    select_backends,
    selected_backends,
    unavailable_reason,
    use_backends,
)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["all"], NAMES),
        (["jax", "numpy"], ("numpy", "jax")),
        (["torch"], ("torch", "torch:cuda")),
        (["torch:cuda", "torch:cuda"], ("torch:cuda",)),
        ("jax, torch", ("torch", "torch:cuda", "jax")),
        ("torch,-torch:cuda", ("torch",)),
        ("-array-api-strict,-cupy", ("numpy", "dask", "torch", "torch:cuda", "jax")),
        ([], ()),
    ],
)
def test_words_stand_for_backends(words, names):
    assert select_backends(words) == names


def test_unknown_words_are_rejected_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"^--xp must name backends; got 'cuppy', known are all, numpy, .*, cupy$"
    ):
        select_backends(["numpy", "cuppy"], "--xp")


def test_a_choice_ends_with_its_context():
    before = selected_backends()
    with use_backends(("numpy",)):
        assert selected_backends() == ("numpy",)
    assert selected_backends() == before


def test_numpy_is_always_available():
    assert unavailable_reason("numpy") is None


def test_words_that_remove_start_from_a_selection():
    assert select_backends("-numpy", start=("numpy", "jax")) == ("jax",)


def test_an_old_array_api_strict_is_unavailable(monkeypatch):
    monkeypatch.setattr(backend_choice.importlib.metadata, "version", lambda _: "2.3")
    reason = "array-api-strict 2.3 is too old: 2.6.1 or newer is needed"
    assert unavailable_reason.__wrapped__("array-api-strict:device1") == reason


def test_a_broken_torch_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    reason = no_cuda_reason(str(tmp_path / "__init__.py"))
    assert reason.startswith("torch cannot be imported: ModuleNotFoundError: ")


def test_libraries_that_are_not_installed_are_unavailable(monkeypatch):
    monkeypatch.setattr(backend_choice.importlib.util, "find_spec", lambda _: None)
    assert unavailable_reason.__wrapped__("torch:cuda") == "torch is not installed"
    assert (
        unavailable_reason.__wrapped__("array-api-strict:device1")
        == "array-api-strict is not installed"
    )


@pytest.mark.parametrize(
    ("line", "available", "reason"),
    [
        ("cuda: Optional[str] = None\n", None, "this build of torch has no CUDA"),
        ("cuda: Optional[str] = '13.0'\n", False, "torch finds no usable GPU"),
        ("cuda: Optional[str] = '13.0'\n", True, None),
    ],
)
def test_torch_needs_cuda_for_its_gpu(tmp_path, monkeypatch, line, available, reason):
    (tmp_path / "version.py").write_text("__version__ = '2.0'\n" + line)
    answer = type("cuda", (), {"is_available": staticmethod(lambda: available)})
    torch = type("torch", (), {"cuda": answer})
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert no_cuda_reason(str(tmp_path / "__init__.py")) == reason


def test_cupy_is_diagnosed(monkeypatch):
    diagnosis = type("Diagnosis", (), {"usable": False, "__str__": lambda _: "no driver; buy one"})
    monkeypatch.setattr(backend_choice, "diagnose", diagnosis)
    assert unavailable_reason.__wrapped__("cupy") == "no driver; buy one"
