"""Names of the backends, words that select them, and libraries that users add."""

import sys
from types import SimpleNamespace

import pytest

from xpnet.testing import registry
from xpnet.testing.registry import (
    backend_names,
    default_names,
    register_backend,
    select_backends,
    selected_backends,
    spec_of,
    unavailable_reason,
    use_backends,
)

NUMPY = ("numpy:readonly", "numpy:strided")
TORCH = ("torch:cuda", "torch:mps", "torch:meta", "torch:grad")
CUPY = ("cupy:0", "cupy:1")
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
)


@pytest.fixture
def own(monkeypatch):
    """Remove the backends that a test adds."""
    monkeypatch.setattr(registry, "_specs", {name: spec_of(name) for name in backend_names()})
    yield
    unavailable_reason.cache_clear()


def test_the_default_backends_are_these():
    assert default_names() == DEFAULT


@pytest.mark.parametrize(
    ("words", "names"),
    [
        # Older versions of the standard lack functions that right code may use.
        (["all", "array-api-strict:20*"], backend_names()),
        ("all,-array-api-strict", tuple(x for x in backend_names() if "strict" not in x)),
        ("default", DEFAULT),
        (["jax", "numpy"], ("numpy", "jax")),
        (["torch"], ("torch", "torch:cuda")),
        (["torch:cuda", "torch:cuda"], ("torch:cuda",)),
        ("jax, torch", ("torch", "torch:cuda", "jax")),
        ("jax.numpy,dask.array", ("dask", "jax")),
        ("array_api_strict:device1", ("array-api-strict:device1",)),
        ("torch,-torch:cuda", ("torch",)),
        ("-array-api-strict,-cupy", ("numpy", "dask", "torch", "torch:cuda", "jax")),
        ("torch:*", TORCH),
        ("numpy*,-numpy:strided", ("numpy", "numpy:readonly")),
        ("all,-default,-torch:*,-jax:*,-array-api-strict:*", (*NUMPY, "dask:chunks", *CUPY)),
        ("torch*,numpy:*,-torch", NUMPY),
        ("cupy:*,array-api-strict:2024.12,jax", ("array-api-strict:2024.12", "jax", *CUPY)),
        ([], ()),
    ],
)
def test_words_stand_for_backends(words, names):
    assert select_backends(words) == names


@pytest.mark.parametrize("word", ["cuppy", "cuppy:*", "cupy:x", "-cuppy"])
def test_unknown_words_are_rejected_with_the_known_ones(word):
    got = word.removeprefix("-").replace("*", r"\*")
    message = f"^--xp must name backends; got '{got}', known are all, default, numpy, .*, cupy:1,"
    with pytest.raises(ValueError, match=message):
        select_backends(["numpy", word], "--xp")


def test_a_choice_ends_with_its_context():
    before = selected_backends()
    with use_backends(("numpy",)):
        assert selected_backends() == ("numpy",)
    assert selected_backends() == before


def test_words_that_remove_start_from_a_selection():
    assert select_backends("-numpy", start=("numpy", "jax")) == ("jax",)


def test_settings_of_all_threads_are_no_business_of_threads():
    unsafe = {name for name in backend_names() if not spec_of(name).thread_safe}
    assert unsafe == {
        *(name for name in backend_names() if spec_of(name).library in {"dask", "jax"}),
        "array-api-strict:strictest",
        "array-api-strict:no_extensions",
        "array-api-strict:2023.12",
        "array-api-strict:2024.12",
    }


@pytest.mark.usefixtures("own")
def test_a_library_is_added():
    register_backend("mine", "no_such_module", is_lazy=True, thread_safe=False)
    register_backend("mine:gpu", "numpy", device="gpu", is_cpu=False, default=False)
    assert default_names() == (*DEFAULT, "mine")
    assert select_backends("mine") == ("mine",)
    assert select_backends("mine:*") == ("mine:gpu",)
    assert select_backends("all,array-api-strict:20*,-mine") == backend_names()[:-2]
    assert unavailable_reason("mine") == "mine is not installed"
    assert unavailable_reason("mine:gpu") is None
    assert (spec_of("mine").is_lazy, spec_of("mine").thread_safe) == (True, False)
    assert (spec_of("mine:gpu").device, spec_of("mine:gpu").is_cpu) == ("gpu", False)


@pytest.mark.usefixtures("own")
def test_a_second_registration_replaces_the_first():
    register_backend("mine", "numpy")
    assert unavailable_reason("mine") is None
    register_backend("mine", "numpy", unavailable=lambda: "not today")
    assert unavailable_reason("mine") == "not today"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("error", "reason"),
    [(ImportError("mine needs yours"), "mine needs yours"), (ImportError(), "ImportError")],
)
def test_a_function_may_find_the_namespace(error, reason):
    def find():
        raise error

    register_backend("mine", find)
    assert unavailable_reason("mine") == reason
    register_backend("mine", lambda: registry)
    assert unavailable_reason("mine") is None


@pytest.mark.usefixtures("own")
def test_settings_that_a_variant_cannot_have_are_its_reason():
    def refuse():
        msg = "no such device"
        raise RuntimeError(msg)

    register_backend("mine:gpu", "numpy", settings=refuse)
    assert unavailable_reason("mine:gpu") == "no such device"


def test_jax_needs_a_device(monkeypatch):
    def devices(platform):
        raise RuntimeError(platform)

    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=devices))
    monkeypatch.setattr(registry, "library_reason", lambda *_: None)
    unavailable_reason.cache_clear()
    assert unavailable_reason("jax:cuda") == "cuda"
    unavailable_reason.cache_clear()


@pytest.mark.parametrize("name", ["torch:meta", "numpy", "", "a,b", "all", "-a", "a:b:c", "a b"])
def test_names_are_new_and_like_those_of_libraries(name):
    message = f"^`name` must be like 'library' or 'library:variant', and not xpnet's; got '{name}'$"
    with pytest.raises(ValueError, match=message):
        register_backend(name, "numpy")
