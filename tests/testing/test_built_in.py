"""Reasons why libraries and devices are unavailable."""

import sys
from types import SimpleNamespace

import pytest

from xpnet.testing import built_in
from xpnet.testing.built_in import library_reason, torch_reason
from xpnet.testing.registry import unavailable_reason


def test_numpy_is_always_available():
    assert library_reason("numpy", "numpy") is None


def test_libraries_that_are_not_installed_are_unavailable(monkeypatch):
    monkeypatch.setattr(built_in.importlib.util, "find_spec", lambda _: None)
    assert library_reason("torch", "torch") == "torch is not installed"
    reason = "array-api-strict is not installed"
    assert library_reason("array-api-strict", "array_api_strict") == reason


def test_an_old_array_api_strict_is_unavailable(monkeypatch):
    pytest.importorskip("array_api_strict")
    monkeypatch.setattr(built_in.importlib.metadata, "version", lambda _: "2.3")
    reason = "array-api-strict 2.3 is too old: 2.6.1 or newer is needed"
    assert library_reason("array-api-strict", "array_api_strict") == reason


def test_cupy_is_diagnosed(monkeypatch):
    diagnosis = type("Diagnosis", (), {"usable": False, "__str__": lambda _: "no driver; buy one"})
    monkeypatch.setattr(built_in, "diagnose", diagnosis)
    assert library_reason("cupy", "cupy") == "no driver; buy one"


@pytest.mark.parametrize(
    ("version", "device", "available", "reason"),
    [
        ("2.9.0+cpu", "cuda", None, "this build of torch has no CUDA"),
        ("2.9.0", "cuda", False, "torch finds no usable GPU (cuda)"),
        ("2.9.0+cu130", "cuda", True, None),
        ("2.9.0+cpu", "mps", False, "torch finds no usable GPU (mps)"),
        ("2.9.0", "mps", True, None),
    ],
)
def test_torch_needs_a_gpu(monkeypatch, version, device, available, reason):
    monkeypatch.setattr(built_in.importlib.metadata, "version", lambda _: version)
    answer = SimpleNamespace(is_available=lambda: available)
    torch = SimpleNamespace(cuda=answer, backends=SimpleNamespace(mps=answer))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert torch_reason(device) == reason


def test_a_broken_torch_is_unavailable(monkeypatch):
    monkeypatch.setattr(built_in.importlib.metadata, "version", lambda _: "2.9.0")
    monkeypatch.setattr(built_in.importlib.util, "find_spec", lambda _: "found")
    monkeypatch.setitem(sys.modules, "torch", None)
    unavailable_reason.cache_clear()
    assert unavailable_reason("torch:mps").startswith("import of torch halted")
    unavailable_reason.cache_clear()
