"""SHA-256 of arrays and of the rows of a data set: the same on every machine."""

import hashlib

import numpy as np
import pytest

from xpnet.files.hashes import RowsFingerprint, sha256_of_array

WEIGHT = np.float32([[1.0, -2.5], [0.25, 3.0], [-0.0, 1e-40]])


def test_the_digest_of_an_array():
    # Kept, so that certificates can be read by the next version.
    assert sha256_of_array(np.zeros((2, 3), np.uint8)).startswith("ac584bb99f05")


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray(WEIGHT),
        WEIGHT.astype(">f4"),
        np.repeat(WEIGHT, 2, axis=1)[:, ::2],
        WEIGHT[::-1].copy()[::-1],
    ],
    ids=["column-major", "big-endian", "strided", "reversed"],
)
def test_memory_does_not_matter(same):
    assert sha256_of_array(same) == sha256_of_array(WEIGHT)


@pytest.mark.parametrize(
    "other",
    [
        WEIGHT.reshape(2, 3),
        WEIGHT.view(np.int32),
        WEIGHT + np.float32(0.0),
        np.nextafter(WEIGHT, np.float32(9.0)),
        WEIGHT[:2],
    ],
    ids=["shape", "dtype", "sign of zero", "last bit", "rows"],
)
def test_dtype_shape_and_values_matter(other):
    assert sha256_of_array(other) != sha256_of_array(WEIGHT)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (3,), ()])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float64"])
def test_every_shape_and_dtype_has_a_digest(shape, dtype):
    assert len(sha256_of_array(np.zeros(shape, dtype))) == 64


def fingerprint_of(*blocks):
    fingerprint = RowsFingerprint()
    for block in blocks:
        fingerprint.update(block)
    return fingerprint.text()


IMAGES = np.random.default_rng(0).integers(0, 256, (1100, 3, 4), np.uint8)
FIRST = hashlib.sha256(IMAGES[:1000].tobytes()).hexdigest()


@pytest.mark.parametrize(
    "blocks",
    [
        [IMAGES],
        [IMAGES[:1000]],
        [IMAGES.reshape(1100, 12)],
        [np.asfortranarray(IMAGES)],
        np.split(IMAGES, 11),
        [IMAGES[:999], IMAGES[999:1001], np.zeros((5, 3, 4), np.uint8)],
    ],
    ids=["all", "first", "rows", "column-major", "blocks", "others"],
)
def test_the_first_thousand_rows_are_hashed(blocks):
    assert fingerprint_of(*blocks) == FIRST


def test_fewer_rows_have_another_hash():
    assert fingerprint_of(IMAGES[:999]) == hashlib.sha256(IMAGES[:999].tobytes()).hexdigest()
    assert fingerprint_of() == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f8", "float16"])
def test_floating_point_rows_are_hashed_as_float32(dtype):
    rows = np.asarray([[0.5, -2.0, np.inf], [1.0, 0.0, 0.25]], dtype)
    expected = hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()
    assert fingerprint_of(rows) == expected


def test_numbers_too_large_for_float32_are_hashed_without_a_warning():
    assert fingerprint_of(np.asarray([[1e300]])) == fingerprint_of(np.asarray([[np.inf]]))
