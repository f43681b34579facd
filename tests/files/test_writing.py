import errno
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from xpnet.files import atomic_write


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
    rule = r"exists already \(--force or force=True replaces it\)"
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
    with pytest.raises(FileExistsError, match="exists already"):
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
