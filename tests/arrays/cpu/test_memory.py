"""Host memory: reuse, and files of memory-mapped arrays (identification, reads, closing)."""

import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xpnet.arrays.cpu.memory import FileRows, rows_in_file

N_ROWS, N_IN = 1000, 24
DTYPES = ["?", "u1", "i2", "f2", "f4", "f8"]
needs_maps = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="the system does not list mapped files"
)


def rows_of(dtype="u1"):
    rows = np.random.default_rng(0).integers(0, 256, (N_ROWS, N_IN))
    return rows.astype(np.uint8).astype(dtype)


@pytest.fixture
def path(tmp_path):
    rows_of().tofile(tmp_path / "rows.bin")
    return tmp_path / "rows.bin"


def mapped(path, mode="r", dtype="u1", **options):
    return np.memmap(path, dtype, mode, **options).reshape(-1, N_IN)


def descriptors():
    """Return the open descriptors, except that of the listing."""
    found = set(Path("/proc/self/fd").iterdir())
    return {path for path in found if path.is_symlink()}


@pytest.fixture(autouse=True)
def all_is_closed():
    """Check that no descriptor stays open."""
    if not Path("/proc/self/fd").exists():
        yield
        return
    before = descriptors()
    yield
    assert descriptors() <= before


def read(x):
    """Return the rows read from the file of an array; None if it is not identified."""
    with rows_in_file(x) as file:
        if file is None:
            return None
        assert (file.shape, file.dtype) == (x.shape, x.dtype)
        target = np.empty(x.shape, x.dtype)
        file.copy_to(target)
        return target


PARTS = (np.s_[:], np.s_[1:], np.s_[:1], np.s_[-1:], np.s_[100:900], np.s_[3:-3])


@needs_maps
@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, 80, 4096, 8192 + 3 * 24])
def test_parts_of_a_mapped_file(tmp_path, offset, dtype, mode):
    path, rows = tmp_path / "rows.bin", rows_of(dtype)
    path.write_bytes(b"\x99" * offset + rows.tobytes() + b"the end")
    x = np.memmap(path, dtype, mode, offset, shape=rows.shape)
    for part in PARTS:
        np.testing.assert_array_equal(read(x[part]), rows[part])


@needs_maps
def test_images_of_a_file_of_numpy(tmp_path):
    np.save(tmp_path / "rows.npy", rows_of().reshape(N_ROWS, 4, 6))
    x = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for images in (x, x[5:], x.view(np.ndarray)):
        np.testing.assert_array_equal(
            read(images.reshape(-1, N_IN)), np.asarray(images).reshape(-1, N_IN)
        )


@needs_maps
def test_changes_through_the_mapping_are_read(path):
    x = mapped(path, "r+")
    x[3] = 7
    expected = rows_of()
    expected[3] = 7
    np.testing.assert_array_equal(read(x), expected)
    path.write_bytes(rows_of().tobytes())  # in place, so the mapping changes as well
    np.testing.assert_array_equal(read(x), x)


@needs_maps
@pytest.mark.usefixtures("utf8_names")
@pytest.mark.parametrize("name", ["rows of mine.bin", "rows (deleted)", "rows é 数", "rows  x"])
def test_any_name(tmp_path, name):
    rows_of().tofile(tmp_path / name)
    np.testing.assert_array_equal(read(mapped(tmp_path / name)), rows_of())


@needs_maps
def test_another_name_of_the_file(path):
    (path.parent / "link").symlink_to(path)
    np.testing.assert_array_equal(read(mapped(path.parent / "link")), rows_of())


def test_a_copy_on_write_may_differ_from_its_file(path):
    x = mapped(path, "c")
    x[:] = 3
    assert read(x) is None


def test_a_name_with_a_line_break_is_not_identified(tmp_path):
    rows_of().tofile(tmp_path / "rows\nof mine")
    assert read(mapped(tmp_path / "rows\nof mine")) is None


@pytest.mark.skipif(os.name != "posix", reason="an open file keeps its name here")
@pytest.mark.parametrize(
    "way", ["deleted", "replaced", "renamed", "a folder", "a link", "its mark"]
)
def test_a_file_that_is_no_longer_there(path, way):
    x = mapped(path)
    other = path.with_name("rows of others")
    other.write_bytes(bytes(N_ROWS * N_IN))
    if way == "renamed":
        path.rename(path.with_name("rows elsewhere"))
        found = read(x)  # some systems list the new name
        assert found is None or np.array_equal(found, rows_of())
        return
    path.unlink()
    if way == "replaced":
        other.replace(path)
    elif way == "a folder":
        path.mkdir()
    elif way == "a link":
        path.symlink_to(other)
    elif way == "its mark":  # Linux shows the file by this name now
        other.rename(path.with_name(f"{path.name} (deleted)"))
    assert read(x) is None
    np.testing.assert_array_equal(x, rows_of())


@pytest.mark.skipif(os.name != "posix", reason="an open file keeps its name here")
def test_a_file_without_permission(path, monkeypatch):
    x = mapped(path)

    def refuse(*_):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr("xpnet.arrays.cpu.memory.os.open", refuse)
        assert read(x) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::2],
        lambda x: x[::-1],
        lambda x: x[:, 1:],
        lambda x: x.reshape(N_IN, -1).T,
        lambda x: x.view(">i2"),
        np.array,
        lambda x: x.astype("f4"),
        lambda x: x + 0,
        lambda x: x[[1, 2, 3]],
    ],
    ids=["strided", "reversed", "columns", "transposed", "swapped", *map(str, range(4))],
)
def test_other_memory_orders_have_no_file(path, change):
    if sys.byteorder == "big":
        pytest.skip("the swapped order is native")
    assert read(change(mapped(path))) is None


def test_memory_without_a_file():
    memory = mmap.mmap(-1, N_ROWS * N_IN)
    x = np.frombuffer(memory, np.uint8).reshape(-1, N_IN)
    assert read(x) is None
    assert read(np.zeros((3, 4))) is None
    del x
    memory.close()


def test_no_rows(path):
    for x in (mapped(path)[:0], mapped(path)[N_ROWS:], np.zeros((0, N_IN))):
        with rows_in_file(x) as file:
            assert file is None or file.shape == (0, N_IN)


@needs_maps
def test_a_system_without_a_list(path, monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("xpnet.arrays.cpu.memory.Path.read_text", missing)
    assert read(mapped(path)) is None


@needs_maps
@pytest.mark.parametrize("line", ["", "x", "0-1 r--s", "7f-80 r--s 0 0 z /rows", "- r--s 0 0 1 /r"])
def test_a_list_in_another_format(path, line, monkeypatch):
    monkeypatch.setattr("xpnet.arrays.cpu.memory.Path.read_text", lambda *_, **__: f"{line}\n")
    assert read(mapped(path)) is None


@needs_maps
@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_the_file_is_open_inside_the_block_only(path, error):
    x, before = mapped(path), descriptors()

    def use():
        with rows_in_file(x) as file:
            opened = descriptors() - before
            assert [path.name for path in opened] == [str(file.descriptor)]
            raise error

    with pytest.raises(error):
        use()
    assert descriptors() == before


# Rows of an open file


@pytest.fixture
def file(path):
    descriptor = os.open(path, os.O_RDONLY)
    yield FileRows(descriptor, 0, (N_ROWS, N_IN), np.dtype("u1"))
    os.close(descriptor)


needs_preadv = pytest.mark.skipif(not hasattr(os, "preadv"), reason="this system has no preadv")


@needs_preadv
@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, N_ROWS), (17, 18), (999, 1000), (5, 600)])
def test_parts(file, start, end):
    part = file[start // 2 :][start - start // 2 : end - start // 2]
    assert (part.shape, part.dtype) == ((end - start, N_IN), np.uint8)
    target = np.full((end - start + 2, N_IN), 99, np.uint8)
    part.copy_to(target[1:-1])
    np.testing.assert_array_equal(target[1:-1], rows_of()[start:end])
    assert np.all(target[[0, -1]] == 99)
    first = part[:1]
    first.copy_to(target[:1])
    np.testing.assert_array_equal(target[0], rows_of()[start])


@needs_preadv
@pytest.mark.parametrize("most", [1, 7, 24, 1000])
def test_short_reads(file, most, monkeypatch):
    original = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: original(fd, [buffers[0][:most]], at))
    target = np.empty((30, N_IN), np.uint8)
    file[5:35].copy_to(target)
    np.testing.assert_array_equal(target, rows_of()[5:35])


@needs_preadv
@pytest.mark.parametrize("n_bytes", [0, 1, 24, 500, N_ROWS * N_IN - 1])
def test_a_truncated_file(file, path, n_bytes):
    os.truncate(path, n_bytes)
    with pytest.raises(OSError, match="the file became shorter while it was read"):
        file.copy_to(np.empty((N_ROWS, N_IN), np.uint8))


@needs_preadv
def test_reading_keeps_the_file_position(file):
    place = os.lseek(file.descriptor, 5, os.SEEK_SET)
    file.copy_to(np.empty((N_ROWS, N_IN), np.uint8))
    assert os.lseek(file.descriptor, 0, os.SEEK_CUR) == place


# Reuse of freed memory

FAULTS = """
import resource
import numpy as np
from xpnet.arrays.cpu.memory import keep_freed_memory

if {keeps}:
    keep_freed_memory()
np.ones(3 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(3 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the malloc of glibc")
@pytest.mark.parametrize("threshold", [None, "65536"], ids=["plain", "as in a worker of Dask"])
def test_pages_of_freed_arrays_do_not_fault_again(threshold):
    environment = {name: x for name, x in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= {"MALLOC_TRIM_THRESHOLD_": threshold} if threshold else {}
    commands = [[sys.executable, "-c", FAULTS.format(keeps=keeps)] for keeps in (True, False)]
    kept, usual = (subprocess.check_output(x, env=environment, timeout=60) for x in commands)
    assert int(kept) < 100
    assert int(usual) > 500
