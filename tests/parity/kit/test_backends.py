"""The backends themselves: their arrays, their names, and which are here."""

import subprocess
import sys
import unittest

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.parity.kit import backends
from xpnet.parity.kit.backends import (
    NAMES,
    Backend,
    choosing,
    chosen,
    expand,
    open_backend,
    why_not,
)

strict = pytest.importorskip("array_api_strict")
DEVICE1 = open_backend("array-api-strict:device1")


def test_arrays_are_made_on_the_backend(xp_backend):
    x = xp_backend.asarray([[1, 2]])
    assert array_namespace(x) is xp_backend.xp
    assert device_of(x) == xp_backend.device
    np.testing.assert_array_equal(xp_backend.check(x, dtype="float32", shape=(1, 2)), [[1, 2]])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3.0, "must be an array of array-api-strict; got float"),
        (np.zeros(2, "float32"), "must be an array of array-api-strict; got one of numpy"),
        (
            strict.zeros(2, dtype=strict.float32),
            r"must be on device .*'device1'\); got .*'CPU_DEVICE'\)",
        ),
        (DEVICE1.asarray([1, 2], "float64"), "must be of dtype float32; got float64"),
        (DEVICE1.asarray([1, 2, 3]), r"must have shape \(2,\); got \(3,\)"),
    ],
)
def test_a_result_from_elsewhere_fails(result, message):
    with pytest.raises(AssertionError, match=f"on array-api-strict:device1, the result {message}$"):
        DEVICE1.check(result, dtype="float32", shape=(2,))


def test_a_result_that_is_right_has_no_faults():
    x = DEVICE1.asarray([1, 2], "int32")
    assert list(DEVICE1.faults(x, dtypes=("int64", "int32"), shape=(2,))) == []


def test_float64_is_a_skip_where_there_is_none():
    backend = open_backend("array-api-strict:no_float64")
    assert not backend.has_float64
    with pytest.raises(unittest.SkipTest, match=r"^array-api-strict:no_float64 has no float64$"):
        backend.asarray([1.0], "float64")


def test_jax_has_64_bits():
    pytest.importorskip("jax")
    x = open_backend("jax").asarray([1.0], "float64")
    assert x.dtype == "float64"


def test_the_strictest_backend_refuses_masks_while_it_is_in_use():
    backend = open_backend("array-api-strict:strictest")
    x = backend.asarray([1.0])
    with backend.flags, pytest.raises(RuntimeError, match="boolean_indexing"):
        x[x > 0]
    assert x[x > 0].shape == (1,)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["all"], NAMES),
        (["jax", "numpy"], ("numpy", "jax")),
        (["torch"], ("torch", "torch:cuda")),
        (["torch:cuda", "torch:cuda"], ("torch:cuda",)),
        ([], ()),
    ],
)
def test_words_stand_for_backends(words, names):
    assert expand(words) == names


def test_unknown_words_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"^--xp must name backends; got 'cuppy', known are all, numpy, .*, cupy$"
    ):
        expand(["numpy", "cuppy"], "--xp")


def test_a_choice_ends_with_its_context():
    before = chosen()
    with choosing(("numpy",)):
        assert chosen() == ("numpy",)
    assert chosen() == before


def test_numpy_is_always_here():
    assert why_not("numpy") is None


def test_what_is_not_installed_is_not_here(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _: None)
    assert why_not.__wrapped__("torch:cuda") == "torch is not installed"
    assert why_not.__wrapped__("array-api-strict:device1") == "array-api-strict is not installed"


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
    assert backends._why_no_cuda(str(tmp_path / "__init__.py")) == reason  # noqa: SLF001


def test_cupy_is_diagnosed(monkeypatch):
    diagnosis = type("Diagnosis", (), {"usable": False, "__str__": lambda _: "no driver; buy one"})
    monkeypatch.setattr(backends, "diagnose", diagnosis)
    assert why_not.__wrapped__("cupy") == "no driver; buy one"


def test_a_backend_of_numpy_hands_out_the_namespace_of_array_api_compat():
    import array_api_compat

    backend = Backend("numpy", np, "cpu")
    assert backend.namespace is array_api_compat.array_namespace(np.zeros(1))


def test_nothing_above_the_room_of_arrays_is_loaded():
    code = "import xpnet.parity.plugin, xpnet.parity.kit.comparing, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("xpnet.")}
    assert rooms == {"arrays", "parity"}
    assert not {"torch", "jax", "dask", "cupy", "array_api_strict"} & set(loaded)


def test_the_comparison_needs_no_pytest():
    code = "import xpnet.parity.kit.comparing, sys; print('pytest' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
