"""Atomic writing: a file is the old one or the new one, whole, whatever happens."""

import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from xpnet.files import writing
from xpnet.files.writing import atomic_write

LIMITED = "import resource as r, signal as s\ns.signal(s.SIGXFSZ, s.SIG_IGN)\n"
LIMITED += "r.setrlimit(r.RLIMIT_FSIZE, (9, 9))\n"  # files of 9 bytes at most, as on a full disk
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits, modes and pipes")


def write(path, content=b"new", *, force=False):
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(script, path, **options):
    text = f"import os, sys\nfrom xpnet.files.writing import atomic_write\n{script}"
    command = [sys.executable, "-c", text, str(path)]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("name", ["a", "n" * 255])
@pytest.mark.parametrize("old", [{}, {"a": b"old"}], ids=["new", "old"])
def test_a_file_appears_only_when_it_is_complete(tmp_path, name, old):
    for content in old.values():
        (tmp_path / name).write_bytes(content)
    before = contents(tmp_path)
    for fault in (ArithmeticError, SystemExit):
        with pytest.raises(fault), atomic_write(tmp_path / name, force=True):
            raise fault
        assert contents(tmp_path) == before
    with atomic_write(tmp_path / name, force=bool(old)) as stream:
        stream.write(b"new")
        stream.flush()
        assert contents(tmp_path).get(name) == before.get(name)
    assert contents(tmp_path) == {name: b"new"}


# A file that was just opened to look at is closed by Python, with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("force", [True, False])
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_file(tmp_path, interrupted_at, force):
    before, after, found = {"a": b"old"} if force else {}, {"a": b"new"}, []
    lines = [""]
    while len(lines) >= len(found):
        (tmp_path / "a").unlink(missing_ok=True)
        if force:
            (tmp_path / "a").write_bytes(b"old")
        with interrupted_at(len(found) + 1, writing) as lines, suppress(KeyboardInterrupt):
            write(tmp_path / "a", force=force)
        assert contents(tmp_path) in (before, after), lines[-1]
        found.append(contents(tmp_path))
    assert before in found
    assert found[-1] == after


@posix
def test_a_full_disk_and_a_killed_writer_leave_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    script = "with atomic_write(sys.argv[1], force=True) as f: f.write(bytes(10))"
    result = run(f"{LIMITED}{script}", tmp_path / "a")
    assert f"File too large: '{tmp_path / 'a'}'" in result.stderr
    assert contents(tmp_path) == {"a": b"old"}
    assert run(f"{script}; os.kill(os.getpid(), 9)", tmp_path / "a").returncode == -9
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_existing_file_is_replaced_only_by_force(tmp_path):
    write(tmp_path / "a", b"old")
    with pytest.raises(FileExistsError, match="--force"), atomic_write(tmp_path / "a"):
        pytest.fail("the block must not run")
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "b"):
        (tmp_path / "b").write_bytes(b"theirs")
    assert contents(tmp_path) == {"a": b"old", "b": b"theirs"}


def test_the_last_of_two_writers_wins(tmp_path):
    with atomic_write(tmp_path / "a", force=True) as first:
        first.write(b"first")
        write(tmp_path / "a", b"second", force=True)
        assert (tmp_path / "a").read_bytes() == b"second"
    assert contents(tmp_path) == {"a": b"first"}


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_permissions(tmp_path, mode):
    before = os.umask(0o666 & ~mode)
    write(tmp_path / "a")
    os.umask(before)
    with atomic_write(tmp_path / "a", force=True):  # nobody else reads it at any time
        assert [stat.S_IMODE(x.stat().st_mode) for x in tmp_path.iterdir()] == [mode] * 2
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_link_stays(tmp_path):
    (tmp_path / "link").symlink_to("real")
    for content in (b"old", b"new"):
        write(tmp_path / "link", content, force=True)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_bytes() == content


@pytest.mark.parametrize(("path", "kind"), [
    ("missing/a", FileNotFoundError), (".", IsADirectoryError), ("link", FileNotFoundError),
    ("a", PermissionError),
])  # fmt: skip
def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path, monkeypatch, path, kind):
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "a")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(kind) as caught, atomic_write(tmp_path / path, force=True):
        pytest.fail("the block must not run")
    assert caught.value.filename == str(tmp_path / path)


def test_an_error_names_the_target_or_another_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
    assert str(caught.value.filename) == str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a"):
        next(tmp_path.iterdir()).unlink()
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), None)


@posix
def test_devices_and_pipes_are_written_to_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=write, args=[tmp_path / "pipe"])
    writer.start()
    assert (tmp_path / "pipe").read_bytes() == b"new"
    writer.join()
    assert (tmp_path / "pipe").is_fifo()
    write(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116 (a name of os)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.skipif(sys.platform != "linux", reason="these names are Linux's")
def test_standard_output_goes_on_where_the_shell_appends(tmp_path, name):
    (tmp_path / "a").write_bytes(b"1")
    with (tmp_path / "a").open("ab") as out:
        run("with atomic_write(sys.argv[1]) as f: f.write(b'2')", name, stdout=out)
    assert (tmp_path / "a").read_bytes() == b"12"
    with pytest.raises(OSError, match=r"No space left .*/dev/full"):
        write("/dev/full")
