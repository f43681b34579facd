"""Small files that decompress to much more: rejected early, or streamed."""

import gzip
import io
import json
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet.datasets import limits, read, stream
from xpnet.files import DataError

MIB = 1 << 20
LARGE = 192  # MiB
HINT = "--max-data-bytes (max_data_bytes=) raises the limit"
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 7, 5), np.uint8)


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def npy_header(shape, *, fortran_order):
    content = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": fortran_order, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue()


def npz(**members):
    content = io.BytesIO()
    np.savez_compressed(content, **members)
    return content.getvalue()


def zeros(n_mib):
    """Return `n_mib` MiB of zeros as a gzip member."""
    packer = zlib.compressobj(wbits=31)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(n_mib)), packer.flush()])


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    """Return files of a header and many zeros."""
    folder = tmp_path_factory.mktemp("bombs")
    shape = (LARGE * MIB // 64, 64)
    rest = zeros(LARGE)
    paths = {
        folder / name: header
        for name, header in {
            "labels": b"\0\0\x08\1" + struct.pack(">I", LARGE * MIB),
            "columns": npy_header(shape, fortran_order=True),
            "rows": npy_header(shape, fortran_order=False),
            "zip": b"PK\3\4",
            "row": npy_header((1, LARGE * MIB), fortran_order=False),
        }.items()
    }
    for path, header in paths.items():
        path.write_bytes(gzip.compress(header) + rest)
    return {path.name: path for path in paths}


@pytest.fixture
def measured():
    """Run an expression in a process; return its result or error, and its peak memory in MiB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not report the peak memory of a process")

    def go(expression, path):
        code = f"""
import json, re, sys
from pathlib import Path
from xpnet.datasets import read, stream
try:
    found = {expression}
except ValueError as error:
    found = str(error)
# The resource module would include the peak of the parent process.
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([found, int(peak) / 1024]))
"""
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, check=True)
        found, peak = json.loads(done.stdout)
        return str(found), peak

    return go


@pytest.mark.parametrize(
    ("name", "expression", "text"),
    [
        ("labels", "read('sample', labels=sys.argv[1])", "1000 images, expected 201326592 as in"),
        ("columns", "len(list(stream(sys.argv[1])))", "in column-major order, too large to hold"),
        ("zip", "read(sys.argv[1])", "zip file that cannot seek, too large to hold"),
        ("row", "read(sys.argv[1])", "image too large to hold"),
        ("rows", "read(sys.argv[1])", "images too large to hold"),
        ("rows", "sum(len(images) for images, _ in stream(sys.argv[1]))", str(LARGE * MIB // 64)),
    ],
)
def test_peak_memory(bombs, measured, name, expression, text):
    found, peak = measured(expression, bombs[name])
    assert text in found
    assert peak < LARGE / 2


@pytest.mark.parametrize(
    ("name", "what", "found"),
    [
        ("columns", "array in column-major order,", f"{LARGE * MIB:,} bytes"),
        ("row", "image", f"{LARGE * MIB:,} bytes"),
        ("zip", "zip file that cannot seek,", "at least {} bytes"),
        ("rows", "images", "at least {} bytes"),
    ],
)
def test_default_limit_is_proportional_to_the_file(bombs, name, what, found):
    limit = 100 * bombs[name].stat().st_size
    found = re.escape(found).replace(r"\{\}", r"[\d,]+")
    expected = f"expected at most {limit:,}, {HINT}"
    message = f"{what} too large to hold at once, found {found}, {re.escape(expected)}$"
    with pytest.raises(DataError, match=message):
        read(bombs[name])


COLUMNS = gzip.compress(npy(np.asfortranarray(IMAGES)))
FILES = {
    "columns": (COLUMNS, "array in column-major order,", f"{IMAGES.nbytes:,} bytes"),
    "columns in a zip": (npz(x=np.asfortranarray(IMAGES)), "array in column-major", "10,500 bytes"),
    "zip": (gzip.compress(npz(images=IMAGES)), "zip file that cannot seek,", "at least "),
    "rows": (npy(IMAGES), "images", "at least 10,500 bytes"),
}


@pytest.mark.parametrize("name", FILES)
def test_max_data_bytes(tmp_path, name):
    content, what, found = FILES[name]
    path = tmp_path / "images"
    path.write_bytes(content)
    assert np.array_equal(read(path, max_data_bytes=1 << 15)[0], IMAGES)
    with pytest.raises(DataError, match=f"^{path}: {what}.* too large to hold at once, found") as e:
        read(path, max_data_bytes=10_000)
    assert f"found {found}" in str(e.value)
    assert str(e.value).endswith(f"expected at most 10,000, {HINT}")


def test_streamed_rows_have_no_limit(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(npy(IMAGES)))
    blocks = list(stream(path, block_rows=100, max_data_bytes=4000))
    assert np.array_equal(np.concatenate([images for images, _ in blocks]), IMAGES)


@pytest.mark.parametrize("number", [0, -1])
def test_invalid_limit(number):
    with pytest.raises(ValueError, match=f"`max_data_bytes` must be at least 1; got {number}"):
        read("sample", max_data_bytes=number)


@pytest.fixture
def pipe(monkeypatch):
    """Replace standard input by content of unknown size."""
    return lambda content: monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content))
    )


@pytest.mark.parametrize("name", FILES)
def test_pipe(pipe, name):
    pipe(FILES[name][0])
    assert np.array_equal(read("-")[0], IMAGES)


@pytest.mark.parametrize("name", ["columns", "zip"])
def test_limit_of_a_pipe_grows_with_the_bytes_read(bombs, pipe, name):
    content = bombs[name].read_bytes()
    pipe(content)
    message = r"too large to hold at once, found at least ([\d,]+) bytes, expected at most ([\d,]+)"
    with pytest.raises(DataError, match=message) as caught:
        read("-")
    found, limit = (
        int(number.replace(",", "")) for number in re.search(message, str(caught.value)).groups()
    )
    assert limit < found <= limit + MIB
    assert limit <= 100 * len(content)


def test_columns_of_a_pipe_are_limited_by_the_header(pipe):
    pipe(npy_header((1 << 20, 1 << 13), fortran_order=True))
    with pytest.raises(DataError, match="found 8,589,934,592 bytes, expected at most 4,294,967,2"):
        read("-")


@pytest.fixture
def spools(monkeypatch):
    """Return the temporary files, as they are opened."""
    opened = []

    def spool(*args):
        opened.append(tempfile.TemporaryFile(*args[1:]))  # noqa: SIM115 (the readers close it)
        return opened[-1]

    monkeypatch.setattr(limits.tempfile, "SpooledTemporaryFile", spool)
    return opened


def test_no_temporary_file_stays_open(tmp_path, spools):
    path = tmp_path / "images"
    path.write_bytes(FILES["zip"][0])
    read(path)
    with pytest.raises(DataError, match="too large to hold"):
        read(path, max_data_bytes=100)
    blocks = stream(path, block_rows=1)
    next(blocks)
    blocks.close()
    assert [spool.closed for spool in spools] == [True] * 3


def test_copy_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_SPOOL_BYTES", 100)
    path = tmp_path / "images"
    path.write_bytes(FILES["zip"][0])
    assert np.array_equal(read(path)[0], IMAGES)
