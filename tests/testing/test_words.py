"""Words that select backends."""

import pytest

import xpnet
from xpnet.testing.words import (
    RUN,
    backends_named,
    default_names,
    select_backends,
    selected_backends,
)

STRICT = tuple(f"array-api-strict{x}" for x in ("", ":device1", ":no_float64", ":strictest"))
DEFAULT = ("numpy", *STRICT, "dask", "torch", "torch:cuda", "jax", "cupy", "dpnp")
ALL = (*DEFAULT, "numpy:readonly", "dask:chunks", "torch:mps", "mlx")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("all", ALL),
        ("all,-array-api-strict", tuple(x for x in ALL if "strict" not in x)),
        (["jax", "numpy"], ("numpy", "jax")),
        (["torch"], ("torch", "torch:cuda")),
        (["torch:cuda", "torch:cuda"], ("torch:cuda",)),
        ("jax.numpy, dask.array,", ("dask", "jax")),
        ("array_api_strict:device1", ("array-api-strict:device1",)),
        ("torch,-torch:cuda", ("torch",)),
        ("-array-api-strict,-cupy", ("numpy", "dask", "torch", "torch:cuda", "jax", "dpnp")),
        # Any device of a library is a backend; those without a place in the order are last.
        ("torch:xpu:1,numpy,torch:cuda:1", ("numpy", "torch:cuda:1", "torch:xpu:1")),
        ("jax.numpy:cpu:1", ("jax:cpu:1",)),
        ("torch:cpu,numpy,-torch", ("numpy",)),
        ("mlx", ("mlx",)),
        ([], ()),
    ],
)
def test_words_stand_for_backends(words, names):
    assert select_backends(words) == names
    assert default_names() == DEFAULT


def test_words_that_remove_start_from_the_selection(monkeypatch):
    monkeypatch.setattr(RUN, "backends", ("numpy", "jax"))
    assert selected_backends() == ("numpy", "jax")
    assert select_backends("-numpy") == ("jax",)


def test_a_library_is_added(mine):
    xpnet.register_library("mine", mine.__name__)
    assert default_names() == (*DEFAULT, "mine")
    assert select_backends("mine:gpu,mine") == ("mine", "mine:gpu")
    assert "mine" in backends_named("all")
