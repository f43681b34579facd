"""Threads that stay: all is done once, errors surface, nothing waits for ever."""

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

from xpnet.inference import thread_pool
from xpnet.inference.thread_pool import begin_all, do_all

WORD = contextvars.ContextVar("WORD", default="nothing")


@pytest.fixture(autouse=True)
def crew(monkeypatch):
    """Give each test threads of its own, none of which is there yet."""
    mine = thread_pool._Crew()  # noqa: SLF001 (threads are never given back)
    monkeypatch.setattr(thread_pool, "_crew", mine)
    return mine


def ends(function, seconds=30):
    """Show that a call ends, in a thread that may be left behind if it does not."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    assert results, "it raised an error"
    return results[0]


def soon(is_so, seconds=10):
    """Wait a little for helpers, which come late where all is done already."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.001)
    return is_so()


@pytest.mark.parametrize("n_at_a_time", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_each_is_done_once(n, n_at_a_time):
    done = []
    do_all(done.append, range(n), n_at_a_time)
    assert sorted(done) == list(range(n))


def test_arguments_may_come_from_an_iterator():
    done = []
    do_all(done.append, (i * i for i in range(5)), 2)
    assert sorted(done) == [0, 1, 4, 9, 16]


def test_one_at_a_time_is_done_by_the_caller_in_order():
    done, names = [], set()

    def do(i):
        done.append(i)
        names.add(threading.current_thread())

    do_all(do, range(100), 1)
    assert done == list(range(100))
    assert names == {threading.current_thread()}


@pytest.mark.parametrize("n_at_a_time", [2, 3, 6])
def test_so_many_at_a_time_and_the_caller_is_one_of_them(n_at_a_time):
    all_there, names = threading.Barrier(n_at_a_time, timeout=20), set()
    lock, now, most = threading.Lock(), 0, 0

    def do(i):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if i < n_at_a_time:
            all_there.wait()  # passes only if so many are there at once
        names.add(threading.current_thread())
        with lock:
            now -= 1

    do_all(do, range(200), n_at_a_time)
    assert most == n_at_a_time
    assert threading.current_thread() in names


def test_threads_stay_and_are_used_again(crew):
    def names_of_three():
        names, all_there = set(), threading.Barrier(3, timeout=20)

        def do(_):
            all_there.wait()
            names.add(threading.current_thread().name)

        do_all(do, range(3), 3)
        return names

    assert all(names_of_three() == names_of_three() for _ in range(20))
    assert len(crew._threads) == 2  # noqa: SLF001 (nothing else tells how many there are)


ERRORS = [ArithmeticError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration]


@pytest.mark.parametrize("n_at_a_time", [1, 2, 4])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_ends_it_and_surfaces(error, n_at_a_time):
    started = []

    def do(i):
        started.append(i)
        if i == 3:
            msg = "broken"
            raise error(msg)
        time.sleep(0.0005)

    with pytest.raises(error, match="broken"):
        do_all(do, range(2000), n_at_a_time)
    n_started = len(started)
    assert n_started < 1900
    time.sleep(0.01)
    assert len(started) == n_started  # nobody goes on with it
    test_each_is_done_once(100, n_at_a_time)  # the threads have survived it


def test_the_first_of_several_errors_is_raised():
    for _ in range(50):
        both = threading.Barrier(2, timeout=20)

        def do(i, both=both):
            both.wait()
            time.sleep(0.0005 * (1 - i))  # the second one ends first
            raise ValueError(str(i))

        with pytest.raises(ValueError, match=r"^0$"):
            do_all(do, range(2), 2)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_a_helper_is_raised_for_the_caller(error):
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=20)

    def do(_):
        both.wait()
        if threading.current_thread() is not caller:
            raise error

    with pytest.raises(error):
        do_all(do, range(2), 2)


def test_it_waits_for_what_others_have_started():
    caller, both, finished = threading.current_thread(), threading.Barrier(2, timeout=20), []

    def do(_):
        both.wait()
        if threading.current_thread() is caller:
            msg = "broken"
            raise ArithmeticError(msg)
        time.sleep(0.05)
        finished.append(True)

    with pytest.raises(ArithmeticError):
        do_all(do, range(2), 2)
    assert finished == [True]


def test_helpers_see_the_callers_context_and_keep_it_to_themselves():
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
            do_all(look, range(4), 4)
            assert np.geterr()["over"] == over
        assert seen == [(word, over, "call")] * 4
        assert WORD.get() == word
        WORD.reset(token)


def test_an_errstate_that_raises_does_so_in_helpers():
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=20)

    def divide(_):
        both.wait()
        if threading.current_thread() is not caller:
            np.float32([1]) / np.float32([0])

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        do_all(divide, range(2), 2)
    both.reset()
    with np.errstate(divide="ignore"):
        do_all(divide, range(2), 2)


@pytest.mark.parametrize("n_at_a_time", [2, 3, 5])
def test_helpers_may_need_help_themselves(n_at_a_time):
    def count(depth):
        if depth == 0:
            return 1
        found = []
        do_all(lambda _: found.append(count(depth - 1)), range(4), n_at_a_time)
        return sum(found)

    assert ends(lambda: count(4)) == 4**4


def test_an_error_passes_through_all_levels():
    def fail(depth):
        if depth == 0:
            msg = "at the bottom"
            raise ArithmeticError(msg)
        do_all(lambda _: fail(depth - 1), range(3), 3)

    def call():
        with pytest.raises(ArithmeticError, match="at the bottom"):
            fail(3)
        return True

    assert ends(call)


def test_many_callers_at_once():
    def call(k):
        done = Counter()
        do_all(lambda i: done.update([i + k]), range(50), 3)
        return sorted(done) == list(range(k, k + 50)) and set(done.values()) == {1}

    with ThreadPoolExecutor(8) as pool:
        assert all(ends(lambda: list(pool.map(call, range(200)))))


@pytest.mark.parametrize("fails", [False, True], ids=["well", "with_an_error"])
def test_nothing_of_it_is_kept(fails):
    array = np.zeros(1000)
    is_there = weakref.ref(array)

    def do(i, array=array):
        if fails and i == 3:
            raise ArithmeticError
        return array[i]

    try:
        do_all(do, range(20), 4)
    except ArithmeticError:
        assert fails
    del do, array

    def is_gone():
        gc.collect()  # a traceback and its frame hold each other
        return is_there() is None

    assert soon(is_gone)


def test_a_busy_helper_keeps_nobody_waiting():
    may_go, is_busy = threading.Event(), threading.Event()

    def block(i):
        if i == 0:
            is_busy.set()
            assert may_go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(do_all, block, range(1), 2)
        assert is_busy.wait(20)
        assert ends(lambda: do_all(lambda _: None, range(50), 2) or True)
        may_go.set()
        slow.result(20)


def test_a_thread_that_cannot_be_started_is_not_counted(monkeypatch, crew):
    def refuse(_):
        msg = "can't start new thread"
        raise RuntimeError(msg)

    done = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        try:
            do_all(done.append, range(5), 3)
        except RuntimeError:
            assert not done
    assert crew._threads == []  # noqa: SLF001 (else as many helpers would be missing for ever)
    test_so_many_at_a_time_and_the_caller_is_one_of_them(3)


# What is begun, and finished later


@pytest.mark.parametrize("n_at_a_time", [1, 2, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_what_is_begun_is_done_once(n, n_at_a_time):
    done = []
    finish = begin_all(done.append, range(n), n_at_a_time)
    assert finish() is None
    assert sorted(done) == list(range(n))


def test_helpers_begin_before_it_is_finished():
    done, caller = [], threading.current_thread()

    def do(_):
        done.append(threading.current_thread())

    finish = begin_all(do, range(20), 3)
    assert soon(lambda: len(done) == 20)
    assert caller not in done
    finish()
    assert len(done) == 20


def test_without_helpers_the_caller_does_it_when_it_finishes():
    done = []
    finish = begin_all(done.append, iter(range(5)), 1)
    time.sleep(0.01)
    assert done == []
    finish()
    assert done == list(range(5))


def test_finishing_waits_for_helpers():
    may_go, is_busy, done = threading.Event(), threading.Event(), []

    def do(i):
        is_busy.set()
        assert may_go.wait(20)
        done.append(i)

    finish = begin_all(do, range(2), 3)
    assert is_busy.wait(20)
    threading.Timer(0.05, may_go.set).start()
    finish()
    assert sorted(done) == [0, 1]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_what_was_begun_comes_when_it_is_finished(error):
    started = []

    def do(i):
        started.append(i)
        if i == 3:
            msg = "broken"
            raise error(msg)
        time.sleep(0.0005)

    finish = begin_all(do, range(2000), 3)
    assert soon(lambda: len(started) > 3)
    with pytest.raises(error, match="broken"):
        finish()
    n_started = len(started)
    assert n_started < 1900
    time.sleep(0.01)
    assert len(started) == n_started


def test_an_error_between_begin_and_finish_leaves_nothing_undone():
    done = []

    def call():
        finish = begin_all(done.append, range(100), 3)
        try:
            raise ArithmeticError
        finally:
            finish()

    with pytest.raises(ArithmeticError):
        call()
    assert sorted(done) == list(range(100))


def test_several_are_begun_and_finished_in_any_order():
    done = [[] for _ in range(6)]
    finishes = [begin_all(part.append, range(50), 3) for part in done]
    for i in (3, 0, 5, 1, 4, 2):
        finishes[i]()
        assert sorted(done[i]) == list(range(50))


def test_what_is_begun_sees_the_context_of_then():
    seen, caller = [], threading.current_thread()

    def look(_):
        if threading.current_thread() is not caller:
            seen.append((WORD.get(), np.geterr()["over"]))

    token = WORD.set("then")
    with np.errstate(over="raise"):
        finish = begin_all(look, range(10), 3)
    WORD.reset(token)
    assert soon(lambda: len(seen) == 10)
    finish()
    assert set(seen) == {("then", "raise")}


@pytest.mark.parametrize("n_helpers", [0, 1])
def test_where_threads_are_refused_the_caller_does_it(n_helpers, monkeypatch, crew):
    original, done = threading.Thread.start, []

    def start(thread):
        if len(crew._threads) >= n_helpers:  # noqa: SLF001 (as above)
            msg = "can't start new thread"
            raise RuntimeError(msg)
        original(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        finish = begin_all(done.append, range(50), 8)
    assert ends(lambda: finish() or True)
    assert sorted(done) == list(range(50))


def test_what_is_never_finished_keeps_nobody_waiting():
    done = []
    begin_all(done.append, range(100), 3)
    assert ends(lambda: do_all(lambda _: None, range(50), 3) or True)
    assert soon(lambda: len(done) == 100)


def run(script):
    words = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


START = """
import os, signal, sys, threading, time
from xpnet.inference.thread_pool import begin_all, do_all

def work(seconds=0.002, n_at_a_time=3):
    names = set()
    def do(i):
        names.add(threading.current_thread().name)
        time.sleep(seconds)
    do_all(do, range(12), n_at_a_time)
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
        signal.alarm(20)
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
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it was ignored
parts = []
def do(i):
    parts.append(threading.current_thread() is threading.main_thread())
    time.sleep({seconds})
for _ in range(3):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        do_all(do, range({n}), {n_at_a_time})
        print("not interrupted")
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - start < 5)
print(len(work()) > 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    assert run(START + FORK) == "True\n"


@pytest.mark.skipif(os.name != "posix", reason="signals interrupt no lock here")
@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0.01, "n": 10_000, "n_at_a_time": 1},
        {"seconds": 0.01, "n": 10_000, "n_at_a_time": 3},
        {"seconds": 0.5, "n": 3, "n_at_a_time": 3},
    ],
    ids=["alone", "with_helpers", "at_its_last_task"],
)
def test_the_user_can_interrupt_it(options):
    lines = run(START + INTERRUPT.format(**options)).splitlines()
    assert lines == ["interrupted True"] * 3 + ["True"]


def test_threads_that_wait_do_not_keep_the_process():
    assert run(START + "print('end')") == "end\n"


def test_it_works_while_the_process_ends():
    script = "import atexit\natexit.register(lambda: print(len(work(n_at_a_time=3)) > 1))\n"
    assert run(START + script) == "True\n"
