"""Tasks in threads, and BLAS limited to one thread: errors, interrupts, forks, other threads."""

import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from xpnet.arrays.cpu import threads
from xpnet.arrays.cpu.threads import blas_threads, one_blas_thread, run_tasks

WORD = contextvars.ContextVar("WORD", default="nothing")


@pytest.fixture(autouse=True)
def state(monkeypatch):
    """Give each test a new pool without threads."""
    monkeypatch.setattr(threads, "_state", threads._State())  # noqa: SLF001 (threads never end)


def both_run(do):
    """Run a task in the caller and one in another thread, at the same time."""
    both = threading.Barrier(2, timeout=20)

    def wait_and_do(i):
        both.wait()
        do(i)

    run_tasks(wait_and_do, range(2), 2)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_each_task_runs_once(n, n_threads):
    done = []
    run_tasks(done.append, iter(range(n)), n_threads)
    assert sorted(done) == list(range(n))
    assert n_threads > 1 or done == list(range(n))


def test_the_caller_is_one_of_the_threads_which_are_used_again():
    names = set()
    for _ in range(20):
        both_run(lambda _: names.add(threading.current_thread()))
    assert threading.current_thread() in names
    assert len(names) == 2


ERRORS = [ArithmeticError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration]


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_stops_the_tasks_and_is_raised(error, n_threads):
    started = []

    def fail_at_three(i):
        started.append(i)
        if i == 3:
            msg = "broken"
            raise error(msg)
        time.sleep(0.0005)

    with pytest.raises(error, match="broken"):
        run_tasks(fail_at_three, range(2000), n_threads)
    n_started = len(started)
    assert n_started < 1900
    time.sleep(0.01)
    assert len(started) == n_started  # no thread continues
    test_each_task_runs_once(100, n_threads)  # the threads are still alive


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("is_in_caller", [True, False])
def test_an_error_in_one_thread_waits_for_the_other_one(error, is_in_caller):
    caller, finished = threading.current_thread(), []

    def fail(_):
        if (threading.current_thread() is caller) is is_in_caller:
            raise error
        time.sleep(0.02)
        finished.append(True)

    with pytest.raises(error):
        both_run(fail)
    assert finished == [True]


def test_threads_have_a_copy_of_the_context():
    seen, caller = [], threading.current_thread()

    def look(_):
        seen.append((WORD.get(), np.geterr()["over"]))
        if threading.current_thread() is not caller:
            WORD.set("left behind")
            np.seterr(over="print")

    for word, over in [("first", "raise"), ("second", "ignore")]:
        WORD.set(word)
        with np.errstate(over=over):
            both_run(look)
            assert seen[-2:] == [(word, over)] * 2
            assert (WORD.get(), np.geterr()["over"]) == (word, over)


def test_tasks_run_tasks_and_many_callers_run_at_once():
    def count(depth):
        found = []
        run_tasks(lambda _: found.append(count(depth - 1) if depth else 1), range(4), 3)
        return sum(found)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(count, 3) for _ in range(20)]
        assert {call.result(timeout=60) for call in calls} == {4**4}


@pytest.mark.slow
def test_no_reference_is_kept_after_an_error():
    array = np.zeros(1000)
    is_there = weakref.ref(array)

    def fail(_, array=array):
        raise ArithmeticError(array[0])

    with pytest.raises(ArithmeticError):
        both_run(fail)
    del fail, array
    end = time.monotonic() + 10  # threads of the pool may be late
    while is_there() is not None and time.monotonic() < end:
        gc.collect()  # a traceback and its frame hold each other
        time.sleep(0.001)
    assert is_there() is None


def no_more_threads(monkeypatch):
    def start(_):
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_without_threads_the_caller_runs_the_tasks(monkeypatch):
    with monkeypatch.context() as patched:
        no_more_threads(patched)
        test_each_task_runs_once(50, 8)
    test_the_caller_is_one_of_the_threads_which_are_used_again()


def test_a_task_in_a_thread_that_comes_late_is_waited_for(monkeypatch):
    caller, done = threading.current_thread(), []
    begun, may_end = threading.Event(), threading.Event()
    busy = threading.Barrier(3, timeout=20)
    other_call = threading.Thread(
        target=both_run, args=(lambda _: (busy.wait(), may_end.wait(20)),)
    )
    other_call.start()
    busy.wait()  # and so is the only thread of the pool
    no_more_threads(monkeypatch)

    def do(i):
        if threading.current_thread() is caller:
            may_end.set()
            begun.wait(1)
        else:
            begun.set()
            time.sleep(0.1)
        done.append(i)

    run_tasks(do, range(2), 2)
    assert sorted(done) == [0, 1]
    other_call.join()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
@pytest.mark.parametrize("place", [0, -1])
def test_other_threads_keep_off_the_callers_processor(monkeypatch, place):
    mine = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(threads, "_current_processor", lambda: lambda: mine[place])
    caller, found = threading.current_thread(), {}

    def look(_):
        found[threading.current_thread() is caller] = os.sched_getaffinity(0)

    both_run(look)
    others = set(mine) - {mine[place]}
    assert found == {True: set(mine), False: others or set(mine)}


@pytest.mark.parametrize("lacks", ["processor", "affinity"])
def test_tasks_run_although_the_affinity_cannot_be_set(monkeypatch, lacks):
    def refuse(*_):
        raise PermissionError

    if lacks == "processor":
        monkeypatch.setattr(threads, "_current_processor", lambda: None)
    else:
        monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    test_the_caller_is_one_of_the_threads_which_are_used_again()


START = """
import os, signal, sys, threading, time
from xpnet.arrays.cpu.threads import one_blas_thread, run_tasks

def work(seconds=0.002, n_threads=3):
    caller, names, end = threading.current_thread().name, set(), time.monotonic() + 20
    def do(i):
        names.add(threading.current_thread().name)
        time.sleep(seconds)
        # On a busy machine, one thread would do all tasks before another one is there.
        while not (caller in names and len(names) > 1) and time.monotonic() < end:
            time.sleep(seconds)
    with one_blas_thread():
        run_tasks(do, range(12), n_threads)
    return names

work()
"""
FORK = """
from threadpoolctl import threadpool_info
def counts():
    return {x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"}

before = counts()
def busy():
    while not is_over:
        work(0.0001, 5)

is_over = False
others = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
for other in others:
    other.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(40)
        names = work()
        os._exit(0 if "MainThread" in names and len(names) > 1 and counts() == before else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print("child", code)
is_over = True
for other in others:
    other.join()
print(len(work()) > 1)
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
print(len(work()) > 1)
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            FORK,
            ["True"],
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
        ),
        pytest.param(
            INTERRUPT,
            ["True"] * 4,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(os.name != "posix", reason="signals interrupt no lock here"),
            ],
        ),
        ("import atexit\natexit.register(run_tasks, print, 'abc', 3)\n", ["a", "b", "c"]),
        ("print('end')  # idle threads do not keep the process alive", ["end"]),
    ],
    ids=["forks", "interrupts", "at_exit", "idle"],
)
def test_in_a_process_of_its_own(script, expected):
    words = [sys.executable, "-W", "ignore", "-c", START + script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == expected


# Threads of BLAS


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
@pytest.mark.parametrize("error", ERRORS)
def test_a_block_limits_blas_and_keeps_the_users_limit_after_an_error(error):
    def fail():
        with one_blas_thread():
            with one_blas_thread():
                assert blas_counts() == {1}
                assert blas_threads() == 2
            assert blas_counts() == {1}
            raise error

    with pytest.raises(error):
        fail()
    assert blas_threads() == 2


@pytest.mark.usefixtures("two")
def test_the_last_of_many_threads_ends_the_limit():
    def hold(_):
        with one_blas_thread():
            return blas_counts()

    with ThreadPoolExecutor(8) as pool:
        assert all(counts == {1} for counts in pool.map(hold, range(100)))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("first_to_end", [0, 1])
def test_threads_enter_and_leave_crosswise_after_another_one_used_threadpoolctl(first_to_end):
    with ThreadPoolExecutor(1) as user, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        limits = user.submit(threadpool_limits, 2, "blas").result()  # its thread stays alive
        blocks = [(one, one_blas_thread()), (two, one_blas_thread())]
        for thread, block in blocks:
            thread.submit(block.__enter__).result()
        assert blas_counts() == {1}
        thread, block = blocks.pop(first_to_end)
        thread.submit(block.__exit__, None, None, None).result()
        assert blas_counts() == {1}
        thread, block = blocks.pop()
        thread.submit(block.__exit__, None, None, None).result()
        assert blas_counts() == {2}
        user.submit(limits.restore_original_limits).result()
        assert blas_counts() == {2}


def test_any_number_of_libraries(monkeypatch):
    class Library:
        def __init__(self, n_threads):
            self.n_threads = n_threads

        def get_num_threads(self):
            return self.n_threads

        def set_num_threads(self, n_threads):
            self.n_threads = n_threads

    for counts, expected in [([], 1), ([None], 1), ([3, 5], 5)]:
        there = [Library(n) for n in counts]
        monkeypatch.setattr(threads, "_libraries", lambda there=there: there)
        with one_blas_thread():
            assert {x.n_threads or 1 for x in there} <= {1}
            assert blas_threads() == expected
        assert [x.n_threads or 1 for x in there] == [n or 1 for n in counts]
        assert blas_threads() == expected
