"""Properties of NumPy's BLAS, and its limitation to one thread."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_limits

from xpnet.arrays.cpu import blas_threads as module
from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread, openblas_kernel


class Library:
    """A stand-in for a library that threadpoolctl found."""

    def __init__(
        self, internal_api="openblas", architecture="SkylakeX", version="0.3.31.188.0", n_threads=3
    ):
        self.internal_api, self.architecture, self.version = internal_api, architecture, version
        self.n_threads = n_threads

    def info(self):
        return {"architecture": self.architecture} if self.architecture else {}

    def get_num_threads(self):
        return self.n_threads

    def set_num_threads(self, n_threads):
        self.n_threads = n_threads


@pytest.fixture
def libraries(monkeypatch):
    """Replace the real libraries, with no open block."""
    there = [Library(n_threads=3), Library(n_threads=5)]
    monkeypatch.setattr(module, "_libraries", lambda: there)
    monkeypatch.setattr(module, "_ONE_THREAD", module._OneThread())  # noqa: SLF001 (its state is under test)
    return there


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([("openblas", "SkylakeX")], "SkylakeX"),
        ([("openblas", "SkylakeX"), ("openblas", "Haswell")], "SkylakeX"),
        ([("openblas", "SkylakeX"), ("mkl", None)], "SkylakeX"),
        ([("openblas", "Haswell", "0.4")], "Haswell"),
        ([("openblas", "Haswell", "0.3.30.9")], ""),
        ([("openblas", "Haswell", None)], ""),
        ([("openblas", None)], ""),
        ([("mkl", "SkylakeX")], ""),
        ([], ""),
    ],
    ids=str,
)
def test_the_kernel_is_that_of_the_first_library(monkeypatch, found, expected):
    monkeypatch.setattr(module, "_libraries", lambda: [Library(*names) for names in found])
    assert openblas_kernel.__wrapped__() == expected


def test_all_libraries_are_limited_and_restored(libraries):
    with one_blas_thread():
        assert [library.n_threads for library in libraries] == [1, 1]
        assert blas_threads() == 5
    assert [library.n_threads for library in libraries] == [3, 5]
    assert blas_threads() == 5


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_error_restores_them(libraries, error):
    with pytest.raises(error), one_blas_thread(), one_blas_thread():
        raise error
    assert [library.n_threads for library in libraries] == [3, 5]


def test_no_libraries_have_one_thread(monkeypatch):
    monkeypatch.setattr(module, "_libraries", list)
    with one_blas_thread():
        assert blas_threads() == 1
    assert blas_threads() == 1


def test_an_unknown_count_is_one_thread(monkeypatch):
    unknown = Library(n_threads=None)
    monkeypatch.setattr(module, "_libraries", lambda: [unknown])
    assert blas_threads() == 1


def test_the_last_of_many_threads_restores_them(libraries):
    start = threading.Barrier(8, timeout=20)

    def hold(_):
        start.wait()
        counts = []
        for _ in range(200):
            with one_blas_thread():
                counts.append(libraries[0].n_threads)
        return counts

    with ThreadPoolExecutor(8) as pool:
        found = [count for counts in pool.map(hold, range(8)) for count in counts]
    assert found == [1] * 1600
    assert [library.n_threads for library in libraries] == [3, 5]


def test_overlapping_blocks_restore_the_first_counts(libraries):
    holders = SimpleNamespace(first=one_blas_thread(), second=one_blas_thread())
    holders.first.__enter__()
    holders.second.__enter__()
    holders.first.__exit__(None, None, None)
    assert [library.n_threads for library in libraries] == [1, 1]
    holders.second.__exit__(None, None, None)
    assert [library.n_threads for library in libraries] == [3, 5]


def real_counts():
    return {library.get_num_threads() for library in module._libraries()}  # noqa: SLF001


def in_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_any_thread_may_restore_the_real_blas():
    with threadpool_limits(2):
        one_blas_thread().__enter__()
        assert real_counts() == {1}
        in_thread(lambda: one_blas_thread().__exit__(None, None, None))
        assert real_counts() == {2}


def test_a_thread_that_once_set_the_real_blas_does_not_keep_it():
    with ThreadPoolExecutor(1) as pool:  # its thread stays alive
        limits = pool.submit(threadpool_limits, 2).result()
        with one_blas_thread():
            assert real_counts() == {1}
        assert real_counts() == {2}
        pool.submit(limits.restore_original_limits).result()
