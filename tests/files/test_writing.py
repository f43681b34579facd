import errno
import os
import stat
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from xpnet.files import atomic_write, locking, writing
from xpnet.files.locking import temporary_prefix, try_lock


def write_and_raise(path, fault, *, force):
    with atomic_write(path, force=force) as stream:
        stream.write(b"half")
        raise fault


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"whole")
        assert "a" not in names(tmp_path)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_left_behind_by_a_fault(tmp_path, fault, force):
    with pytest.raises(fault):
        write_and_raise(tmp_path / "a", fault, force=force)
    assert names(tmp_path) == []


def test_a_fault_keeps_the_file_that_was_to_be_replaced(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_and_raise(tmp_path / "a", RuntimeError, force=True)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_existing_file_is_replaced_only_by_force(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    rule = r"already exists \(--force or force=True replaces it\)"
    with pytest.raises(FileExistsError, match=rule), atomic_write(path):
        pytest.fail("the block must not run")
    assert path.read_bytes() == b"old"
    with atomic_write(path, force=True) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_came_in_between_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    writing = atomic_write(path)
    writing.__enter__().write(b"mine")
    path.write_bytes(b"theirs")
    with pytest.raises(FileExistsError, match="already exists"):
        writing.__exit__(None, None, None)
    assert names(tmp_path) == ["a"]
    assert path.read_bytes() == b"theirs"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "a") as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    with atomic_write(path, force=True) as stream:
        stream.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link", force=True) as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_the_longest_name_works(tmp_path):
    with atomic_write(tmp_path / ("n" * 255)) as stream:
        stream.write(b"x")
    assert names(tmp_path) == ["n" * 255]


def test_a_missing_folder_is_named_as_the_user_named_it(tmp_path):
    path = tmp_path / "missing" / "a"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        pytest.fail("the block must not run")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(path)


def test_a_link_into_a_missing_folder_is_named_with_the_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "a")
    message = rf"cannot be written: no such folder {tmp_path}/missing, to which it links"
    with pytest.raises(FileNotFoundError, match=message) as caught, atomic_write(tmp_path / "link"):
        pytest.fail("the block must not run")
    assert caught.value.filename == str(tmp_path / "link")


def test_a_directory_is_refused_even_by_force(tmp_path):
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path, force=True):
        pytest.fail("the block must not run")


def test_a_device_is_written_to_as_it_is():
    with atomic_write(os.devnull) as stream:
        assert stream.write(b"x") == 1
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these names are Linux's")
def test_standard_output_goes_on_where_the_shell_appends(tmp_path, name):
    script = (
        f"from xpnet.files import atomic_write\nwith atomic_write({name!r}) as f: f.write(b'2')"
    )
    path = tmp_path / "a"
    path.write_bytes(b"1")
    with path.open("ab") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert path.read_bytes() == b"12"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "a") as stream:
        stream.write(b"x")
    assert names(tmp_path) == []


@pytest.fixture
def no_hard_links(monkeypatch):
    def refuse(_temporary, _target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_hard_links")
def test_a_file_system_without_hard_links_will_do(tmp_path):
    for text in (b"first", b"second"):
        with suppress(FileExistsError), atomic_write(tmp_path / "a") as stream:
            stream.write(text)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("no_hard_links")
def test_a_file_that_cannot_be_renamed_leaves_nothing(tmp_path, monkeypatch):
    def refuse(_temporary, _target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError), atomic_write(tmp_path / "a") as stream:
        stream.write(b"x")
    assert names(tmp_path) == []


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write() -> None:
        with atomic_write(path) as stream:
            stream.write(b"x")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left on device") as caught:
        write()
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_cleaned_up_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "temporary")

    def write() -> None:
        with atomic_write(tmp_path / "file"):
            msg = "the first error"
            raise ArithmeticError(msg)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ArithmeticError, match="the first error"):
        write()


needs_locks = pytest.mark.skipif(not locking.HAS_LOCKS, reason="this system has no file locks")


def stale(target, content=b"half"):
    path = target.with_name(f"{temporary_prefix(target)}{16 * '0'}.tmp")
    path.write_bytes(content)
    return path


@needs_locks
def test_stale_files_of_the_target_alone_are_removed(tmp_path):
    gone = [stale(tmp_path / "a"), tmp_path / f"{temporary_prefix(Path('a'))}{16 * '1'}.tmp"]
    gone[1].write_bytes(b"")
    kept = [stale(tmp_path / "b"), tmp_path / ".xpnet-mine.tmp", tmp_path / ".xpnet-a-.tmp"]
    for path in kept[1:]:
        path.write_bytes(b"x")
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"x")
    assert names(tmp_path) == sorted(["a", *(path.name for path in kept)])
    assert not any(path.exists() for path in gone)


@needs_locks
def test_a_writer_that_is_killed_leaves_what_the_next_one_removes(tmp_path):
    script = (
        "import os, sys\nfrom xpnet.files import atomic_write\n"
        "with atomic_write(sys.argv[1], force=True) as f: f.write(b'half'); os.kill(os.getpid(), 9)"
    )
    (tmp_path / "a").write_bytes(b"old")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script, tmp_path / "a"], check=False)
        assert done.returncode == -9
        assert len(names(tmp_path)) == 2
    assert (tmp_path / "a").read_bytes() == b"old"
    with atomic_write(tmp_path / "a", force=True) as stream:
        stream.write(b"new")
    assert names(tmp_path) == ["a"]


@needs_locks
def test_writers_at_the_same_time_leave_each_other_alone(tmp_path):
    with atomic_write(tmp_path / "a", force=True) as first:
        first.write(b"1")
        with atomic_write(tmp_path / "a", force=True) as second:
            second.write(b"2")
            assert len(names(tmp_path)) == 2
        assert (tmp_path / "a").read_bytes() == b"2"
    assert (tmp_path / "a").read_bytes() == b"1"
    assert names(tmp_path) == ["a"]


@needs_locks
@pytest.mark.parametrize("is_removed", [True, False])
def test_a_file_that_another_writer_took_for_stale_is_made_again(tmp_path, monkeypatch, is_removed):
    with ExitStack() as others:

        def too_late(file):
            monkeypatch.setattr(writing, "try_lock", try_lock)
            (path,) = tmp_path.iterdir()
            if is_removed:
                path.unlink()
            else:  # the other writer is about to remove it
                assert try_lock(others.enter_context(path.open("r+b")))
            return try_lock(file)

        monkeypatch.setattr(writing, "try_lock", too_late)
        with atomic_write(tmp_path / "a") as stream:
            stream.write(b"x")
            assert len(names(tmp_path)) == 1
    assert (tmp_path / "a").read_bytes() == b"x"
    assert names(tmp_path) == ["a"]


def refuse_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)


@pytest.mark.parametrize(
    "without_locks",
    [
        pytest.param(refuse_locks, marks=needs_locks),
        lambda monkeypatch: monkeypatch.setattr(locking, "HAS_LOCKS", False),
    ],
    ids=["on a file system", "in the system"],
)
def test_without_locks_nothing_is_taken_for_stale(tmp_path, monkeypatch, without_locks):
    left = stale(tmp_path / "a")
    without_locks(monkeypatch)
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
    assert names(tmp_path) == sorted(["a", left.name])


def test_without_locks_the_file_is_closed_before_it_is_renamed(tmp_path, monkeypatch):
    closed = []

    def replace(temporary, target):
        closed.append(stream.closed)
        return original(temporary, target)

    original = Path.replace
    monkeypatch.setattr(locking, "HAS_LOCKS", False)
    monkeypatch.setattr(writing, "HAS_LOCKS", False)
    monkeypatch.setattr(Path, "replace", replace)
    with atomic_write(tmp_path / "a", force=True) as stream:
        stream.write(b"x")
    assert (closed, (tmp_path / "a").read_bytes()) == ([True], b"x")


def test_an_error_of_the_temporary_file_names_the_target(tmp_path, monkeypatch):
    def refuse(temporary, target):
        raise PermissionError(errno.EACCES, "refused", str(temporary), None, str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    path = tmp_path / "a"
    with pytest.raises(PermissionError) as caught, atomic_write(path, force=True) as stream:
        stream.write(b"x")
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert names(tmp_path) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    def write():
        with atomic_write(tmp_path / "a"):
            (tmp_path / "missing").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        write()
    assert Path(caught.value.filename) == tmp_path / "missing"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_device_is_named():
    with (
        pytest.raises(OSError, match="No space left") as caught,
        atomic_write("/dev/full") as stream,
    ):
        stream.write(b"x")
    assert caught.value.filename == "/dev/full"


def write_a(path, *, force):
    with atomic_write(path, force=force) as stream:
        stream.write(b"new")


# A file that was just opened to look at is closed by Python, with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("links", ["links", "no links"])
def test_an_interrupt_before_any_line_leaves_the_old_or_the_new_file(
    tmp_path, request, interrupted_at, links, force
):
    if links == "no links":
        request.getfixturevalue("no_hard_links")
    path, seen = tmp_path / "a", set()
    for n in range(1, 1000):
        for x in tmp_path.iterdir():
            x.unlink()
        if force:
            path.write_bytes(b"old")
        left = stale(path)
        with interrupted_at(n, locking, writing) as lines, suppress(KeyboardInterrupt):
            write_a(path, force=force)
        if len(lines) < n:
            break
        content = path.read_bytes() if path.exists() else None
        seen.add(content)
        assert content in {b"old" if force else None, b"new"}, lines[-1]
        found = [x.name for x in tmp_path.iterdir() if x != path]
        # The stale file may not have been met yet.
        assert found in ([], [left.name]), lines[-1]
    assert n > 60  # lines run in all
    assert len(seen) == 2
