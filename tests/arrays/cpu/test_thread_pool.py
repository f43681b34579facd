"""The thread pool: each task runs once, errors are raised, and nothing deadlocks."""

import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from xpnet.arrays.cpu import thread_pool
from xpnet.arrays.cpu.thread_pool import _current_processor, _keep_off_processor, run_tasks

WORD = contextvars.ContextVar("WORD", default="nothing")


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """Give each test a new pool without threads."""
    mine = thread_pool._Pool()  # noqa: SLF001 (threads are never given back)
    monkeypatch.setattr(thread_pool, "_pool", mine)
    return mine


def ends(function, seconds=30):
    """Assert that a call returns; run it in a daemon thread that a deadlock leaves behind."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    assert results, "it raised an error"
    return results[0]


def soon(is_so, seconds=10):
    """Wait until a condition holds: pool threads may be late."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.001)
    return is_so()


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_each_task_runs_once(n, n_threads):
    done = []
    run_tasks(done.append, iter(range(n)), n_threads)
    assert sorted(done) == list(range(n))


def test_one_thread_runs_tasks_in_order():
    done, names = [], set()

    def do(i):
        done.append(i)
        names.add(threading.current_thread())

    run_tasks(do, range(100), 1)
    assert done == list(range(100))
    assert names == {threading.current_thread()}


@pytest.mark.parametrize("n_threads", [2, 3, 6])
def test_the_caller_is_one_of_the_threads(n_threads):
    all_there, names = threading.Barrier(n_threads, timeout=20), set()
    lock, now, most = threading.Lock(), 0, 0

    def do(i):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if i < n_threads:
            all_there.wait()  # passes only if that many threads run at once
        names.add(threading.current_thread())
        with lock:
            now -= 1

    run_tasks(do, range(200), n_threads)
    assert most == n_threads
    assert threading.current_thread() in names


def test_threads_are_reused(pool):
    def names_of_three():
        names, all_there = set(), threading.Barrier(3, timeout=20)

        def do(_):
            all_there.wait()
            names.add(threading.current_thread().name)

        run_tasks(do, range(3), 3)
        return names

    assert all(names_of_three() == names_of_three() for _ in range(20))
    assert len(pool._threads) == 2  # noqa: SLF001 (no public name gives their number)


ERRORS = [ArithmeticError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration]


@pytest.mark.parametrize("n_threads", [1, 2, 4])
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


def test_the_first_of_several_errors_is_raised():
    for _ in range(50):
        both = threading.Barrier(2, timeout=20)

        def do(i, both=both):
            both.wait()
            time.sleep(0.0005 * (1 - i))  # the second one ends first
            raise ValueError(str(i))

        with pytest.raises(ValueError, match=r"^0$"):
            run_tasks(do, range(2), 2)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_another_thread_is_raised(error):
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=20)

    def do(_):
        both.wait()
        if threading.current_thread() is not caller:
            raise error

    with pytest.raises(error):
        run_tasks(do, range(2), 2)


def test_an_error_waits_for_running_tasks():
    caller, both, finished = threading.current_thread(), threading.Barrier(2, timeout=20), []

    def do(_):
        both.wait()
        if threading.current_thread() is caller:
            msg = "broken"
            raise ArithmeticError(msg)
        time.sleep(0.05)
        finished.append(True)

    with pytest.raises(ArithmeticError):
        run_tasks(do, range(2), 2)
    assert finished == [True]


def test_threads_have_a_copy_of_the_context():
    seen, caller = [], threading.current_thread()

    def look(_):
        all_there.wait()
        seen.append((WORD.get(), np.geterr()["over"], np.geterr()["invalid"]))
        if threading.current_thread() is not caller:
            WORD.set("left behind")
            np.seterr(over="print")

    for word, over in [("first", "raise"), ("second", "ignore")]:
        all_there, seen[:] = threading.Barrier(4, timeout=20), []
        token = WORD.set(word)
        with np.errstate(over=over, invalid="call"):
            run_tasks(look, range(4), 4)
            assert np.geterr()["over"] == over
        assert seen == [(word, over, "call")] * 4
        assert WORD.get() == word
        WORD.reset(token)


@pytest.mark.parametrize("n_threads", [2, 3, 5])
def test_tasks_may_run_tasks(n_threads):
    def count(depth):
        if depth == 0:
            return 1
        found = []
        run_tasks(lambda _: found.append(count(depth - 1)), range(4), n_threads)
        return sum(found)

    assert ends(lambda: count(4)) == 4**4


def test_many_callers_at_once():
    def call(k):
        done = Counter()
        run_tasks(lambda i: done.update([i + k]), range(50), 3)
        return sorted(done) == list(range(k, k + 50)) and set(done.values()) == {1}

    with ThreadPoolExecutor(8) as pool:
        assert all(ends(lambda: list(pool.map(call, range(200)))))


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True], ids=["well", "with_an_error"])
def test_no_reference_is_kept(fails):
    array = np.zeros(1000)
    is_there = weakref.ref(array)

    def do(i, array=array):
        if fails and i == 3:
            raise ArithmeticError
        return array[i]

    try:
        run_tasks(do, range(20), 4)
    except ArithmeticError:
        assert fails
    del do, array

    def is_gone():
        gc.collect()  # a traceback and its frame hold each other
        return is_there() is None

    assert soon(is_gone)


def test_a_busy_thread_blocks_no_other_call():
    may_go, is_busy = threading.Event(), threading.Event()

    def block(i):
        if i == 0:
            is_busy.set()
            assert may_go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(run_tasks, block, range(1), 2)
        assert is_busy.wait(20)
        assert ends(lambda: run_tasks(lambda _: None, range(50), 2) or True)
        may_go.set()
        slow.result(20)


@pytest.mark.parametrize("n_helpers", [0, 1])
def test_without_threads_the_caller_runs_the_tasks(n_helpers, monkeypatch, pool):
    original, done = threading.Thread.start, []

    def start(thread):
        if len(pool._threads) >= n_helpers:  # noqa: SLF001 (as above)
            msg = "can't start new thread"
            raise RuntimeError(msg)
        original(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        run_tasks(done.append, range(50), 8)
    assert sorted(done) == list(range(50))
    assert len(pool._threads) == n_helpers  # noqa: SLF001 (else they would be missing for ever)
    test_the_caller_is_one_of_the_threads(3)


def run(script):
    words = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


START = """
import os, signal, sys, threading, time
from xpnet.arrays.cpu.thread_pool import run_tasks

def work(seconds=0.002, n_threads=3):
    caller, names, end = threading.current_thread().name, set(), time.monotonic() + 20
    def do(i):
        names.add(threading.current_thread().name)
        time.sleep(seconds)
        # On a busy machine, one thread would do all tasks before another one is there.
        while not (caller in names and len(names) > 1) and time.monotonic() < end:
            time.sleep(seconds)
    run_tasks(do, range(12), n_threads)
    return names

work()
"""

FORK = """
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
        os._exit(0 if "MainThread" in names and len(names) > 1 else 1)
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
parts = []
def do(i):
    parts.append(threading.current_thread() is threading.main_thread())
    time.sleep({seconds})
for _ in range(3):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        run_tasks(do, range({n}), {n_threads})
        print("not interrupted")
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - start < 5)
print(len(work()) > 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    assert run(START + FORK) == "True\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals interrupt no lock here")
@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0.01, "n": 10_000, "n_threads": 1},
        {"seconds": 0.01, "n": 10_000, "n_threads": 3},
        {"seconds": 0.5, "n": 3, "n_threads": 3},
    ],
    ids=["alone", "with_helpers", "at_its_last_task"],
)
def test_the_user_can_interrupt_it(options):
    lines = run(START + INTERRUPT.format(**options)).splitlines()
    assert lines == ["interrupted True"] * 3 + ["True"]


def test_idle_threads_do_not_keep_the_process_alive():
    assert run(START + "print('end')") == "end\n"


def test_tasks_run_while_the_process_ends():
    script = "import atexit\natexit.register(lambda: print(len(work(n_threads=3)) > 1))\n"
    assert run(START + script) == "True\n"


# Affinity of threads


NEEDS_AFFINITY = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system has no thread affinity"
)


@pytest.fixture
def thread():
    """Yield the id of a waiting thread."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield thread.native_id
    end.set()
    thread.join()


@NEEDS_AFFINITY
@pytest.mark.parametrize("place", [0, -1])
def test_the_callers_processor_is_excluded(monkeypatch, thread, place):
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) == 1:
        pytest.skip("needs two processors")
    monkeypatch.setattr(thread_pool, "_current_processor", lambda: lambda: mine[place])
    _keep_off_processor([thread, None])
    assert os.sched_getaffinity(thread) == set(mine) - {mine[place]}
    assert os.sched_getaffinity(0) == set(mine)


@NEEDS_AFFINITY
def test_the_only_processor_is_kept(monkeypatch, thread):
    before = os.sched_getaffinity(thread)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    monkeypatch.setattr(thread_pool, "_current_processor", lambda: lambda: 3)
    _keep_off_processor([thread])
    monkeypatch.undo()
    assert os.sched_getaffinity(thread) == before


@NEEDS_AFFINITY
def test_a_thread_that_has_ended(monkeypatch):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    _keep_off_processor([thread.native_id])
    monkeypatch.setattr(thread_pool, "_current_processor", lambda: None)
    _keep_off_processor([thread.native_id])  # and if the processor is unknown


def test_the_current_processor():
    current = _current_processor()
    assert current is None or current() in range(os.cpu_count())
