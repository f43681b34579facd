"""Names of the backends, words that select them, and libraries that users add."""

import re
import sys

import pytest

import xpnet
from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.device_errors import DeviceError
from xpnet.testing.backends import open_backend
from xpnet.testing.marks import verdicts_of
from xpnet.testing.registry import (
    backend_names,
    default_names,
    select_backends,
    selected_backends,
    unavailable_reason,
)
from xpnet.testing.run_settings import use

DEFAULT = (
    "numpy",
    "array-api-strict",
    "array-api-strict:device1",
    "array-api-strict:no_float64",
    "array-api-strict:strictest",
    "dask",
    "torch",
    "torch:cuda",
    "jax",
    "cupy",
    "dpnp",
)


@pytest.fixture
def own(monkeypatch, fresh_reasons):
    """Remove the libraries that a test adds."""
    del fresh_reasons
    monkeypatch.setattr(libraries_module, "_registered", {})


def test_the_default_backends_are_these():
    assert default_names() == DEFAULT


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("all", backend_names()),
        ("all,-array-api-strict", tuple(x for x in backend_names() if "strict" not in x)),
        (["jax", "numpy"], ("numpy", "jax")),
        (["torch"], ("torch", "torch:cuda")),
        (["torch:cuda", "torch:cuda"], ("torch:cuda",)),
        ("jax, torch", ("torch", "torch:cuda", "jax")),
        ("jax.numpy,dask.array", ("dask", "jax")),
        ("array_api_strict:device1", ("array-api-strict:device1",)),
        ("torch,-torch:cuda", ("torch",)),
        ("-array-api-strict,-cupy", ("numpy", "dask", "torch", "torch:cuda", "jax", "dpnp")),
        # Any device of a known library is a backend; those without a place in the order are last.
        ("torch:xpu:1,numpy,torch:cuda:1", ("numpy", "torch:cuda:1", "torch:xpu:1")),
        ("jax.numpy:cpu:1", ("jax:cpu:1",)),
        ("dpnp:gpu,dpnp", ("dpnp", "dpnp:gpu")),
        ("torch,torch:cpu,-torch:cuda", ("torch", "torch:cpu")),
        ("torch:cpu,numpy,-torch", ("numpy",)),
        ("mlx", ("mlx",)),
        ([], ()),
    ],
)
def test_words_stand_for_backends(words, names):
    assert select_backends(words) == names


@pytest.mark.parametrize(
    "word", ["cuppy", "cuppy:x", "-cuppy", "torch:", "torch*", "host", "default"]
)
def test_unknown_words_are_rejected_with_the_known_ones(word):
    with pytest.raises(
        ValueError, match=f"--xp .*'{re.escape(word.removeprefix('-'))}'.*known.* dask"
    ):
        select_backends(["numpy", word], "--xp")


def test_a_choice_ends_with_its_context():
    before = selected_backends()
    with use(backends=("numpy",)):
        assert selected_backends() == ("numpy",)
    assert selected_backends() == before


def test_words_that_remove_start_from_a_selection():
    with use(backends=("numpy", "jax")):
        assert select_backends("-numpy") == ("jax",)


@pytest.mark.usefixtures("own")
def test_a_library_is_added():
    xpnet.register_library("mine", "no_such_module", is_lazy=True)
    assert default_names() == (*DEFAULT, "mine")
    assert select_backends("mine,mine:gpu") == ("mine", "mine:gpu")
    assert select_backends("all,-mine") == backend_names()[:-1]
    assert (
        unavailable_reason("mine")
        == "mine is not installed; install a package with the module no_such_module"
    )
    for name, part, default in (("mine", "", True), ("mine:gpu", "gpu", False)):
        backend = open_backend(name)
        assert (backend.part, backend.default) == (part, default)
        assert (backend.is_lazy, backend.in_host_memory) == (True, True)


@pytest.mark.usefixtures("own")
def test_a_second_registration_replaces_the_first():
    xpnet.register_library("mine", "numpy")
    assert unavailable_reason("mine") is None
    cause = DeviceError("asleep", "not today", "wait")
    xpnet.register_library("mine", "numpy", check=lambda _: cause)
    assert unavailable_reason("mine") == "not today; wait"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("no such device"), "no such device"), (KeyError(), "KeyError")],
)
def test_a_device_that_cannot_be_opened_is_unavailable(error, reason):
    def refuse(_):
        raise error

    xpnet.register_library("mine", "numpy", open=refuse)
    assert unavailable_reason("mine:gpu").startswith(f"mine:gpu is not usable ({reason}); ")


def test_every_device_of_a_known_library_may_be_available():
    pytest.importorskip("array_api_strict")
    assert unavailable_reason("array-api-strict:device2") is None
    assert unavailable_reason("array-api-strict:device9").startswith(
        "array-api-strict:device9 is not usable (The device 'device9' is not a valid choice.)"
    )


def test_settings_that_a_variant_cannot_have_are_its_reason():
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "cpu":
        pytest.skip("JAX has a GPU")
    assert unavailable_reason("jax:cuda").startswith("Unknown backend cuda")


@pytest.mark.usefixtures("fresh_reasons")
def test_a_device_without_a_driver_is_unavailable(monkeypatch):
    error = DeviceError("no-driver", "no driver", "buy one")

    def open_gpu(_):
        raise error

    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    monkeypatch.setattr("xpnet.arrays.gpu.open_gpu", open_gpu)
    for name in ("cupy", "cupy:1", "cupy:7"):
        assert unavailable_reason(name) == "no driver; buy one"


@pytest.mark.usefixtures("own")
def test_a_broken_torch_is_unavailable(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.9.0")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch:mps", "torch:cpu", "torch:cuda"):
        assert unavailable_reason(name).startswith(f"{name} is not usable (import of torch halted")


@pytest.mark.parametrize("name", ["torch", "torch:cpu", "jax:cpu:0", "numpy", "array-api-strict"])
def test_a_device_of_the_processor_is_on_the_cpu(name):
    if unavailable_reason(name):
        pytest.skip(unavailable_reason(name))
    assert open_backend(name).is_cpu
    assert verdicts_of([("skip_xp_backends", (), {"cpu_only": True})], [name]).skipped == {}


@pytest.mark.parametrize("name", ["array-api-strict:device2", "dpnp:cpu", "dpnp:0"])
def test_a_device_in_its_own_memory_is_not_on_the_cpu(name):
    if unavailable_reason(name):
        pytest.skip(unavailable_reason(name))
    assert not open_backend(name).is_cpu
    marks = [("skip_xp_backends", (), {"cpu_only": True})]
    assert verdicts_of(marks, [name]).skipped == {name: "it runs on the CPU only"}


@pytest.mark.parametrize("name", ["cuppy", "cuppy:0", ""])
def test_an_unknown_library_has_no_backend(name):
    with pytest.raises(KeyError):
        open_backend(name)
