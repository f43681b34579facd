"""Atomic writing: a file is the old one or the new one, whole, whatever happens."""

import os
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

from xpnet.files import writing
from xpnet.files.writing import atomic_write

LIMITED = "import resource as r, signal as s\ns.signal(s.SIGXFSZ, s.SIG_IGN)\n"
LIMITED += "r.setrlimit(r.RLIMIT_FSIZE, (9, 9))\n"  # files of 9 bytes at most, as on a full disk
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits, modes and pipes")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a"


def write(path, content=b"new", *, force=False):
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(script, path, **options):
    text = f"import os, sys\nfrom xpnet.files.writing import atomic_write\n{script}"
    command = [sys.executable, "-c", text, str(path)]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, **options)


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    name = "n" * 255  # of any length
    for before in ({}, {name: b"new"}):
        for fault in (ArithmeticError, SystemExit):
            with pytest.raises(fault), atomic_write(tmp_path / name, force=True):
                raise fault
            assert contents(tmp_path) == before
        with atomic_write(tmp_path / name, force=True) as stream:
            stream.write(b"new")
            stream.flush()
            assert contents(tmp_path).get(name) == before.get(name)
        assert contents(tmp_path) == {name: b"new"}


# A file that was just opened to look at is closed by Python, with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("force", [True, False])
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_file(path, interrupted_at, force):
    old, found, lines = {"a": b"old"} if force else {}, [], [""]
    while len(lines) >= len(found):
        path.unlink(missing_ok=True)
        if force:
            path.write_bytes(b"old")
        with interrupted_at(len(found) + 1, writing) as lines, suppress(KeyboardInterrupt):
            write(path, force=force)
        found.append(contents(path.parent))
        assert found[-1] in (old, {"a": b"new"}), lines[-1]
    assert old in found
    assert found[-1] == {"a": b"new"}


@posix
def test_a_full_disk_and_a_killed_writer_leave_the_old_file(path):
    path.write_bytes(b"old")
    script = "with atomic_write(sys.argv[1], force=True) as f: f.write(bytes(10))"
    assert f"File too large: '{path}'" in run(f"{LIMITED}{script}", path).stderr
    assert contents(path.parent) == {"a": b"old"}
    assert run(f"{script}; os.kill(os.getpid(), 9)", path).returncode == -9
    assert path.read_bytes() == b"old"


def test_an_existing_file_is_replaced_only_by_force(tmp_path):
    write(tmp_path / "a", b"old")
    with pytest.raises(FileExistsError, match="--force"), atomic_write(tmp_path / "a"):
        pytest.fail("the block must not run")
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "b"):
        (tmp_path / "b").write_bytes(b"theirs")
    with atomic_write(tmp_path / "c", force=True) as first:
        first.write(b"first")
        write(tmp_path / "c", b"second", force=True)
        assert (tmp_path / "c").read_bytes() == b"second"
    assert contents(tmp_path) == {"a": b"old", "b": b"theirs", "c": b"first"}


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_permissions(path, mode):
    before = os.umask(0o666 & ~mode)
    write(path)
    os.umask(before)
    with atomic_write(path, force=True):  # nobody else reads it at any time
        assert [stat.S_IMODE(x.stat().st_mode) for x in path.parent.iterdir()] == [mode] * 2
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_link_stays(tmp_path):
    (tmp_path / "link").symlink_to("real")
    for content in (b"old", b"new"):
        write(tmp_path / "link", content, force=True)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_bytes() == content


def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "a")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    places = {"missing/a": FileNotFoundError, "link": FileNotFoundError}
    for name, kind in {**places, ".": OSError, "a": PermissionError}.items():
        with pytest.raises(kind) as caught, atomic_write(tmp_path / name, force=True):
            pytest.fail("the block must not run")
        assert caught.value.filename == str(tmp_path / name)


def test_an_error_names_the_target_or_another_file(path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        path.with_name("missing").read_bytes()
    assert str(caught.value.filename) == str(path.with_name("missing"))
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        next(path.parent.iterdir()).unlink()
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
