"""Process-wide settings of libraries, within a context."""

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


def test_an_error_restores_the_settings():
    before = strict.get_array_api_strict_flags()
    with pytest.raises(ZeroDivisionError), strict_flags(boolean_indexing=False):
        _ = 1 / 0
    assert strict.get_array_api_strict_flags() == before
