"""Reservation of a path for one thread of one process, until it ends."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xpnet.files import reserving
from xpnet.files.locking import temporary_prefix, try_lock
from xpnet.files.reserving import exclusive

pytestmark = pytest.mark.skipif(not reserving.HAS_LOCKS, reason="this system has no file locks")

HOLDER = """
import sys, time
from xpnet.files.reserving import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def hold(path, script=HOLDER):
    """Return a process that holds a path until its standard input is closed."""
    command = [sys.executable, "-c", script, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_nothing_is_left(tmp_path):
    with exclusive(tmp_path / "a"):
        assert names(tmp_path) == [f"{temporary_prefix(Path('a'))}lock.tmp"]
    assert names(tmp_path) == []
    with exclusive(tmp_path / "a"):
        pass


def test_another_process_is_refused_with_the_name_of_the_first(tmp_path):
    with hold(tmp_path / "a") as process:
        rule = f"in use by process {process.pid}: wait until it ends, or choose another file"
        with pytest.raises(BlockingIOError, match=rule) as caught, exclusive(tmp_path / "a"):
            pytest.fail("the block must not run")
        assert caught.value.filename == str(tmp_path / "a")
        assert caught.value.errno == errno.EWOULDBLOCK
        with exclusive(tmp_path / "b"):
            pass
    assert names(tmp_path) == []
    with exclusive(tmp_path / "a"):
        pass


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    with hold(tmp_path / "a") as process:
        process.kill()
    assert names(tmp_path) == [f"{temporary_prefix(Path('a'))}lock.tmp"]
    with exclusive(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_one_file_has_one_lock_whatever_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path)
    with hold("a"):
        for name in (tmp_path / "a", "link", "./a"):
            with pytest.raises(BlockingIOError), exclusive(name):
                pytest.fail("the block must not run")


def test_a_thread_may_hold_a_path_twice_but_two_threads_may_not(tmp_path):
    faults = []

    def try_it():
        try:
            with exclusive(tmp_path / "a"):
                pass
        except BlockingIOError as error:
            faults.append(error)

    with exclusive(tmp_path / "a"):
        with exclusive(tmp_path / "a"):
            pass
        for _ in range(2):  # the inner block has not released it
            thread = threading.Thread(target=try_it)
            thread.start()
            thread.join()
    assert [f"process {os.getpid()}" in str(fault) for fault in faults] == [True, True]
    assert names(tmp_path) == []


def test_one_of_many_threads_gets_it(tmp_path):
    barrier, inside, refused = threading.Barrier(8), [], []

    def enter():
        barrier.wait()
        for _ in range(50):
            try:
                with exclusive(tmp_path / "a"):
                    inside.append(1)
                    assert len(inside) == 1
                    inside.pop()
            except BlockingIOError:
                refused.append(1)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, names(tmp_path)) == ([], [])


def test_a_started_process_inherits_no_lock(tmp_path):
    with exclusive(tmp_path / "a"):
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)
    with process, exclusive(tmp_path / "a"):
        pass


# The parent is killed; the child lives until its standard input is closed.
ORPHAN = """
import os, signal, sys
from xpnet.files.reserving import exclusive
with exclusive(sys.argv[1]):
    if os.fork() == 0:
        print("held", flush=True)
        sys.stdin.read()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
# The child leaves the block; the parent stays in it.
DESERTER = """
import os, sys
from xpnet.files.reserving import exclusive
with exclusive(sys.argv[1]):
    if child := os.fork():
        os.waitpid(child, 0)
        print("held", flush=True)
        sys.stdin.read()
"""


def test_the_child_of_a_killed_process_holds_nothing(tmp_path):
    with hold(tmp_path / "a", ORPHAN) as process:
        assert process.wait() == -signal.SIGKILL
        with exclusive(tmp_path / "a"):
            pass
    assert names(tmp_path) == []


def test_a_child_that_leaves_the_block_takes_nothing_away(tmp_path):
    with hold(tmp_path / "a", DESERTER):
        assert names(tmp_path) == [f"{temporary_prefix(Path('a'))}lock.tmp"]
        with pytest.raises(BlockingIOError), exclusive(tmp_path / "a"):
            pytest.fail("the block must not run")
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_fault_releases_it(tmp_path, fault):
    with pytest.raises(fault), exclusive(tmp_path / "a"):
        raise fault
    assert names(tmp_path) == []


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    locked = []

    def lock_too_late(file):
        locked.append(file)
        if len(locked) == 1:
            (tmp_path / f"{temporary_prefix(Path('a'))}lock.tmp").unlink()
        return try_lock(file)

    monkeypatch.setattr(reserving, "try_lock", lock_too_late)
    with exclusive(tmp_path / "a"):
        assert locked[0].closed
        assert names(tmp_path) == [f"{temporary_prefix(Path('a'))}lock.tmp"]
    assert names(tmp_path) == []


def test_a_holder_that_has_not_written_its_number(tmp_path):
    with (tmp_path / f"{temporary_prefix(Path('a'))}lock.tmp").open("wb") as file:
        assert try_lock(file)
        rule = "in use by another process: wait"
        with pytest.raises(BlockingIOError, match=rule), exclusive(tmp_path / "a"):
            pytest.fail("the block must not run")


@pytest.mark.parametrize("kind", ["link", "broken link", "hard link", "pipe"])
def test_another_file_with_the_name_of_the_lock_file_is_left_alone(tmp_path, kind):
    thesis, name = tmp_path / "thesis", tmp_path / f"{temporary_prefix(Path('a'))}lock.tmp"
    thesis.write_text("thesis")
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "hard link":
        os.link(thesis, name)
    else:
        name.symlink_to("missing" if kind == "broken link" else thesis)

    def state():
        return [(x.lstat().st_ino, x.lstat().st_mtime_ns) for x in sorted(tmp_path.iterdir())]

    before = state()
    with (
        pytest.raises(FileExistsError, match="is not a lock file: remove it") as caught,
        exclusive(tmp_path / "a"),
    ):
        pytest.fail("the block must not run")
    assert caught.value.filename == str(name)
    assert (state(), thesis.read_text()) == (before, "thesis")


def test_a_file_system_without_locks_locks_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with exclusive(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_a_system_without_locks_locks_nothing(tmp_path, monkeypatch):
    with hold(tmp_path / "a"):
        monkeypatch.setattr(reserving, "HAS_LOCKS", False)
        with exclusive(tmp_path / "a"):
            pass


def test_devices_are_not_locked():
    with exclusive(os.devnull):
        assert not Path("/dev", f"{temporary_prefix(Path('null'))}lock.tmp").exists()


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError), exclusive(tmp_path / "no" / "a"):
        pytest.fail("the block must not run")
