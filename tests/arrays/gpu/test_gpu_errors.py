"""Errors of CuPy, and errors of the system in CuPy's code."""

import errno
from contextlib import contextmanager
from functools import partial

import pytest

from xpnet.arrays.gpu.gpu_errors import cause_of, is_from_cupy


def function_of(module, source):
    """Return the function `run` of a source that belongs to a module of this name."""
    scope = {"__name__": module}
    exec(source, scope)
    return scope["run"]


def caught(run, *args):
    with pytest.raises(OSError, match=r"\S") as info:
        run(*args)
    return info.value


WRITE = "def run(code=28):\n    raise OSError(code, 'No space left on device')"
CALL = "def run(function):\n    return function()"


@pytest.mark.parametrize(
    ("module", "is_cupys"),
    [("cupy.cuda._compiler_cache", True), ("cupy", True), ("cupyx", False), ("mine", False)],
)
def test_the_module_that_called_the_system(module, is_cupys):
    assert is_from_cupy(caught(function_of(module, WRITE))) is is_cupys


@pytest.mark.parametrize(
    ("modules", "is_cupys"),
    [
        (("xpnet.inference.runner", "cupy.cuda.compiler", "tempfile"), True),
        (("cupy.cuda.stream", "xpnet.datasets.csv_files", "gzip"), False),
        (("xpnet.inference.runner", "numpy"), False),
    ],
)
def test_the_last_of_the_callers_decides(modules, is_cupys):
    *outer, innermost = modules
    run = function_of(innermost, WRITE)
    for module in reversed(outer):
        run = partial(function_of(module, CALL), run)
    assert is_from_cupy(caught(run)) is is_cupys


def test_an_error_that_was_not_raised_is_nobodys():
    assert not is_from_cupy(OSError(28, "No space left on device"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_the_cause_names_the_folder_to_set(code):
    cause = cause_of(caught(function_of("cupy.cuda.compiler", WRITE), code))
    assert cause.code == "cache-unwritable"
    assert f"[Errno {code}]" in cause.message
    assert cause.fix.startswith("set CUPY_CACHE_DIR and TMPDIR to writable folders")


@contextmanager
def small_files():
    """Let no file of this process grow above a kilobyte, nor the one that pytest may write to."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_real_cupy_cannot_save_a_kernel(tmp_path):
    cache = pytest.importorskip("cupy.cuda._compiler_cache", reason="needs the real CuPy, 14.1")
    save = cache.DiskKernelCacheBackend(str(tmp_path)).save
    with small_files():
        error = caught(save, "kernel.cubin", bytes(100_000), "")
    assert error.filename is None
    assert is_from_cupy(error)
    assert cause_of(error).code == "cache-unwritable"
