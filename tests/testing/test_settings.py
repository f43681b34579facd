"""Process-wide settings of libraries, in several threads."""

import threading
from contextlib import ExitStack

import pytest

from xpnet.testing.built_in import jax_settings, strict_flags

strict = pytest.importorskip("array_api_strict")


def test_flags_of_array_api_strict_hold_within_their_context():
    before = strict.get_array_api_strict_flags()
    with strict_flags(boolean_indexing=False, enabled_extensions=()):
        flags = strict.get_array_api_strict_flags()
        assert not flags["boolean_indexing"]
        assert flags["enabled_extensions"] == ()
        assert not hasattr(strict, "linalg")
    assert strict.get_array_api_strict_flags() == before
    assert hasattr(strict, "linalg")


def test_the_innermost_context_applies():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    with jax_settings():
        with jax_settings(has_64_bits=False):
            assert not jax.config.jax_enable_x64
        assert jax.config.jax_enable_x64
    assert jax.config.jax_enable_x64 == before


def test_a_platform_keeps_all_digits():
    jax = pytest.importorskip("jax")
    with jax_settings(platform="cpu"):
        assert jax.config.jax_default_matmul_precision == "highest"
        assert jax.config.jax_default_device == jax.devices("cpu")[0]
    assert jax.config.jax_default_matmul_precision is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first_in_first_out", "nested"])
@pytest.mark.parametrize("library", ["jax", "array-api-strict"])
def test_contexts_may_be_left_in_any_order(library, order):
    if library == "jax":
        config = pytest.importorskip("jax").config
        is_on = config.jax_enable_x64  # which other tests may have changed
        contexts = jax_settings(has_64_bits=is_on), jax_settings(has_64_bits=not is_on)

        def read():
            return config.jax_enable_x64
    else:
        contexts = strict_flags(boolean_indexing=False), strict_flags(enabled_extensions=())
        read = strict.get_array_api_strict_flags
    before = read()
    stacks = [ExitStack(), ExitStack()]
    for stack, context in zip(stacks, contexts, strict=True):
        stack.enter_context(context)
    assert read() != before
    for i in order:
        stacks[i].close()
    assert read() == before


def test_many_threads_leave_nothing_changed():
    before = strict.get_array_api_strict_flags()
    barrier = threading.Barrier(4)

    def enter_and_leave():
        barrier.wait()
        for _ in range(200):
            with strict_flags(boolean_indexing=False), strict_flags(enabled_extensions=()):
                pass

    threads = [threading.Thread(target=enter_and_leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert strict.get_array_api_strict_flags() == before


def test_an_error_restores_the_settings():
    before = strict.get_array_api_strict_flags()
    with pytest.raises(ZeroDivisionError), strict_flags(boolean_indexing=False):
        _ = 1 / 0
    assert strict.get_array_api_strict_flags() == before


def test_the_last_to_enter_decides_until_it_leaves():
    with strict_flags(boolean_indexing=False), strict_flags(enabled_extensions=()):
        before = strict.get_array_api_strict_flags()
        with strict_flags(boolean_indexing=False):
            assert strict.get_array_api_strict_flags()["enabled_extensions"] != ()
        assert strict.get_array_api_strict_flags() == before
        assert before["enabled_extensions"] == ()
