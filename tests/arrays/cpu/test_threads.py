"""Tasks in threads, and BLAS limited to one thread: errors, interrupts, forks, other threads."""

import contextvars
import ctypes
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from xpnet.arrays.cpu import threads
from xpnet.arrays.cpu.threads import _State, blas_threads, one_blas_thread, run_tasks

WORD = contextvars.ContextVar("WORD", default="nothing")


@pytest.fixture(autouse=True)
def state(monkeypatch):
    """Give each test a new pool: its threads never end."""
    monkeypatch.setattr(threads, "_state", _State())


def both_run(do, n_tasks=2):
    """Call `do` in the caller and in another thread at the same time, with whether it is there.

    Further tasks are run by the first thread that is free.
    """
    both, caller = threading.Barrier(2, timeout=20), threading.current_thread()

    def wait_and_do(i):
        if i < 2:
            both.wait()
        do(threading.current_thread() is caller)

    run_tasks(wait_and_do, range(n_tasks), 2)


@pytest.mark.parametrize("n_threads", [1, 2, 50])
@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_each_task_runs_once(n, n_threads):
    done = []
    run_tasks(done.append, iter(range(n)), n_threads)
    assert sorted(done) == list(range(n))
    assert n_threads > 1 or done == list(range(n))


def test_the_caller_is_one_of_the_threads_which_are_used_again():
    found = set()
    for _ in range(20 + os.cpu_count()):
        both_run(lambda is_caller: found.add((is_caller, threading.current_thread())))
    others = [thread for is_caller, thread in found if not is_caller]
    # A thread that is not yet idle is not used again, so there may be as many as processors.
    assert len(found) == 1 + len(others)
    assert 0 < len(others) <= os.cpu_count()


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, StopIteration])
@pytest.mark.parametrize("where", [True, False], ids=["caller", "other"])
def test_an_error_in_one_thread_stops_the_other_one_after_its_task(error, where):
    finished = []

    def fail(is_caller):
        if is_caller is where:
            raise error
        time.sleep(0.02)
        finished.append(True)

    with pytest.raises(error):
        both_run(fail, 200)
    n_finished = len(finished)
    assert 0 < n_finished < 150
    time.sleep(0.05)
    assert len(finished) == n_finished
    test_each_task_runs_once(100, 2)  # the threads are still alive


def test_threads_have_a_copy_of_the_context():
    seen = []

    def look(is_caller):
        seen.append(WORD.get())
        if not is_caller:
            WORD.set("left behind")

    for word in ("first", "second"):
        WORD.set(word)
        both_run(look)
        assert [*seen[-2:], WORD.get()] == [word] * 3


def test_tasks_run_tasks_and_many_callers_run_at_once():
    def count(depth):
        found = []
        run_tasks(lambda _: found.append(count(depth - 1) if depth else 1), range(4), 3)
        return sum(found)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(count, 3) for _ in range(20)]
        assert {call.result(timeout=60) for call in calls} == {4**4}


def test_without_threads_the_caller_runs_the_tasks(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError))
        test_each_task_runs_once(50, 8)
    test_the_caller_is_one_of_the_threads_which_are_used_again()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
@pytest.mark.parametrize("lacks", [None, "processor", "affinity"])
def test_other_threads_keep_off_the_callers_processor(monkeypatch, lacks):
    mine, found = os.sched_getaffinity(0), {}
    assert ctypes.pythonapi.sched_getcpu() in mine
    libc = {} if lacks == "processor" else {"sched_getcpu": lambda: max(mine)}
    monkeypatch.setattr(ctypes, "pythonapi", SimpleNamespace(**libc))
    if lacks == "affinity":
        monkeypatch.setattr(os, "sched_setaffinity", Mock(side_effect=PermissionError))
    both_run(lambda is_caller: found.update({is_caller: os.sched_getaffinity(0)}))
    others = mine if lacks else mine - {max(mine)} or mine
    assert found == {True: mine, False: others}


START = """
import os, signal, threading, time
from xpnet.arrays.cpu.threads import blas_threads, one_blas_thread, run_tasks

def work(seconds=0.002):
    caller, names, end = threading.current_thread().name, set(), time.monotonic() + 20
    def do(_):
        names.add(threading.current_thread().name)
        time.sleep(seconds)
        # On a busy machine, one thread would do all tasks before another one is there.
        while not (caller in names and len(names) > 1) and time.monotonic() < end:
            time.sleep(seconds)
    with one_blas_thread():
        run_tasks(do, range(12), 3)
    return caller in names and len(names) > 1

work()
"""
FORK = """
before, is_over = blas_threads(), False
def busy():
    while not is_over:
        work(0.0001)

other = threading.Thread(target=busy)
other.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(40)
        os._exit(0 if work() and blas_threads() == before else 1)
    if os.waitpid(child, 0)[1]:
        print("child")
is_over = True
other.join()
print(work())
"""
INTERRUPT = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # even if it was ignored
for seconds, n, n_threads in [(0.01, 10_000, 1), (0.01, 10_000, 3), (0.5, 3, 3)]:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        run_tasks(lambda _: time.sleep(seconds), range(n), n_threads)
        print("not interrupted")
    except KeyboardInterrupt:
        print(time.monotonic() - start < 5)
print(work())
"""
AT_EXIT = "import atexit\natexit.register(run_tasks, print, 'abc', 3)\n"
POSIX = pytest.mark.skipif(os.name != "posix", reason="no forks, and signals interrupt no lock")
SCRIPTS = [
    pytest.param(FORK, "True", marks=POSIX, id="forks"),
    pytest.param(INTERRUPT, "True " * 4, marks=[POSIX, pytest.mark.slow], id="interrupts"),
    pytest.param(AT_EXIT, "a b c", id="at exit, after idle threads"),
]


@pytest.mark.parametrize(("script", "expected"), SCRIPTS)
def test_in_a_process_of_its_own(script, expected):
    words = [sys.executable, "-W", "ignore", "-c", START + script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", expected.split())


def blas_counts():
    return {x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"}


@pytest.fixture
def two():
    """Let the user limit BLAS to two threads."""
    with threadpool_limits(2, user_api="blas"):
        if blas_counts() != {2}:
            pytest.skip("NumPy's BLAS takes no number of threads")
        yield
        assert blas_counts() == {2}


@pytest.mark.usefixtures("two")
def test_a_block_limits_blas_and_keeps_the_users_limit_after_an_error():
    @one_blas_thread()
    def fail():
        with one_blas_thread():
            assert (blas_counts(), blas_threads()) == ({1}, 2)
        assert blas_counts() == {1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert blas_threads() == 2


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("first_to_end", [0, 1])
def test_threads_enter_and_leave_crosswise_after_another_one_used_threadpoolctl(first_to_end):
    with ThreadPoolExecutor(1) as user, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        limits = user.submit(threadpool_limits, 2, "blas").result()  # its thread stays alive
        blocks = [(one, one_blas_thread()), (two, one_blas_thread())]
        for thread, block in blocks:
            thread.submit(block.__enter__).result()
        for i, count in ((first_to_end, 1), (0, 2)):
            assert blas_counts() == {1}
            thread, block = blocks.pop(i)
            thread.submit(block.__exit__, None, None, None).result()
            assert blas_counts() == {count}
        user.submit(limits.restore_original_limits).result()
        assert blas_counts() == {2}


def test_any_number_of_libraries(monkeypatch):
    class Library:
        def __init__(self, n_threads):
            self.get_num_threads, self.set_num_threads = lambda: n_threads, self.__init__

    for counts, expected in [([], 1), ([None], 1), ([3, 5], 5)]:
        found = [Library(n) for n in counts]
        monkeypatch.setattr(threads, "_libraries", lambda found=found: found)
        with one_blas_thread():
            assert {x.get_num_threads() or 1 for x in found} <= {1}
            assert blas_threads() == expected
        assert [x.get_num_threads() for x in found] == counts
