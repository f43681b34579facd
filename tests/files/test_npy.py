"""Headers of npy arrays: valid and invalid ones."""

import io
import struct
from typing import Any

import numpy as np
import pytest

from xpnet.files import DataError
from xpnet.files.errors import WeightsError
from xpnet.files.npy import read_npy_header


def file_of(array: Any, version: tuple[int, int] = (1, 0)) -> io.BytesIO:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.asarray(array), version=version)
    content.seek(0)
    return content


def header(text: bytes, version: bytes = b"\x01\x00") -> io.BytesIO:
    return io.BytesIO(b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text)


def described(shape: str, descr: str = "'<f4'", order: str = "False") -> io.BytesIO:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"
    return header(text.encode())


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3), "<f4"),
        np.zeros((2, 3), ">f8", order="F"),
        np.zeros((0, 5), "f2"),
        np.zeros((), "u1"),
        np.zeros((1,) * 32, "i8"),
    ],
    ids=["C", "F", "empty", "0-d", "32-d"],
)
def test_what_is_written_is_read(array: Any, version: tuple[int, int]) -> None:
    stream = file_of(array, version)
    found = read_npy_header(stream, "a.npy")
    assert (found.shape, found.dtype, found.total) == (array.shape, array.dtype, array.nbytes)
    assert found.is_fortran == (array.ndim == 2 and not array.flags.c_contiguous)
    assert found.n_bytes == stream.tell()
    assert len(stream.read()) == array.nbytes


def test_nothing_of_the_array_is_read() -> None:
    found = read_npy_header(described("(9223372036854775807,)"), "a.npy")
    assert found.total == 4 * (2**63 - 1)


def test_a_header_of_python_2() -> None:
    assert read_npy_header(described("(3L, 4L)"), "a.npy").shape == (3, 4)


@pytest.mark.parametrize("shape", ["(-1,)", "(True,)", "(2, False)", "(-3, 2, 2)"])
def test_lengths_that_are_none(shape: str) -> None:
    with pytest.raises(DataError, match=r"a\.npy: npy shape, found .*expected lengths that are"):
        read_npy_header(described(shape), "a.npy")


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ("(9223372036854775808, 0)", r"\('over 9223372036854775807', 0\)"),
        (f"(0x{'f' * 9000},)", r"\('over 9223372036854775807',\)"),
        (f"(-0x{'f' * 9000},)", r"\('over 9223372036854775807',\)"),
        (f"({'1,' * 33})", r"\(1, 1, 1"),
    ],
    ids=["overflow", "huge", "huge and negative", "33 dimensions"],
)
def test_shapes_that_no_array_has(shape: str, shown: str) -> None:
    with pytest.raises(DataError, match=f"npy shape, found {shown}"):
        read_npy_header(described(shape), "a.npy")


@pytest.mark.parametrize(
    ("descr", "shown"),
    [("'|O'", "object"), ("[('a', '<f4')]", r"\[\('a', '<f4'\)\]"), ("'|V8'", r"\|V8")],
)
def test_dtypes_that_are_refused(descr: str, shown: str) -> None:
    with pytest.raises(DataError, match=f"dtype of the array, found {shown}, expected plain num"):
        read_npy_header(described("(3,)", descr), "a.npy")


@pytest.mark.parametrize(
    "stream",
    [
        described("3"),
        described("(1.5,)"),
        described("'3'"),
        described("(3,), 'more': 1"),
        described("[i for i in (1, 2)]"),
        described("().__class__"),
        described("(3,)", "'<f3'"),
        described("(3,)", "[]*9"),
        described("(3,)", order="0"),
        header(b"{'shape': (3,)}"),
        header(b"(" * 9000),
        header(b"{" * 5000),
        header(b"-" * 9999),
        header(b"'\\d'"),
        header(b"\xff\xfe\n"),
        header(b"\0"),
        header(b""),
    ],
)
def test_headers_that_are_none(stream: io.BytesIO) -> None:
    with pytest.raises(DataError, match=r"^a\.npy: npy header, found .") as caught:
        read_npy_header(stream, "a.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", range(0, 70, 7))
def test_a_header_that_is_cut_off(length: int) -> None:
    content = file_of(np.zeros(3)).getvalue()[:length]
    with pytest.raises(DataError, match=r"npy version|npy header"):
        read_npy_header(io.BytesIO(content), "a.npy")


@pytest.mark.parametrize(
    "version", [b"\x00\x00", b"\x03\x00", b"\x01\x01", b"\x02\x07", b"\x09\x00"]
)
def test_other_versions(version: bytes) -> None:
    shown = (b"\x93NUMPY" + version).hex(" ")
    with pytest.raises(DataError, match=f"npy version, found {shown}, expected 1.0 or 2.0"):
        read_npy_header(header(b"{}", version), "a.npy")


@pytest.mark.parametrize(
    "start", [b"\x01\x00\x11\x27", b"\x02\x00\x11\x27\x00\x00", b"\x02\x00\xff\xff\xff\xff"]
)
def test_a_header_that_is_too_long(start: bytes) -> None:
    stream = io.BytesIO(b"\x93NUMPY" + start + b" " * 20_000)
    with pytest.raises(DataError, match=r"npy header, found \d+ bytes, expected at most 10000"):
        read_npy_header(stream, "a.npy")
    assert stream.tell() <= 12


def test_the_class_of_the_error() -> None:
    with pytest.raises(WeightsError, match="npy version"):
        read_npy_header(io.BytesIO(b""), "a.npy", error=WeightsError)
