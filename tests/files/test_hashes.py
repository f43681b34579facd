"""SHA-256 of arrays and of the rows of a data set: the same on every machine."""

import hashlib

import numpy as np
import pytest

from xpnet.files.hashes import RowsFingerprint, sha256_of_array

WEIGHT = np.float32([[1.0, -2.5], [0.25, 3.0], [-0.0, 1e-40]])
SAME = [np.asfortranarray(WEIGHT), WEIGHT.astype(">f4"), np.repeat(WEIGHT, 2, axis=1)[:, ::2]]
OTHERS = [WEIGHT.reshape(2, 3), WEIGHT.view(np.int32), WEIGHT + np.float32(0.0), WEIGHT[:2]]
OTHERS += [np.nextafter(WEIGHT, np.float32(9.0))]
IMAGES = np.random.default_rng(0).integers(0, 256, (1100, 3, 4), np.uint8)


def test_the_digest_is_of_dtype_shape_and_values():
    # Kept, so that certificates can be read by the next version.
    assert sha256_of_array(np.zeros((2, 3), np.uint8)).startswith("ac584bb99f05")
    assert {sha256_of_array(x) for x in SAME} == {sha256_of_array(WEIGHT)}
    assert len({sha256_of_array(x) for x in [WEIGHT, *OTHERS]}) == 6
    empty = [np.zeros(shape, dtype) for shape in [(0, 3), (2, 0), ()] for dtype in ("?", "f2")]
    assert len(set(map(sha256_of_array, empty))) == 6


def fingerprint_of(*blocks):
    fingerprint = RowsFingerprint()
    for block in blocks:
        fingerprint.update(block)
    return fingerprint.text()


def test_the_first_thousand_rows_are_hashed():
    sha256 = lambda n: hashlib.sha256(IMAGES[:n].tobytes()).hexdigest()
    in_parts = IMAGES[:999], IMAGES[999:1001], IMAGES[:5]
    all_forms = [[IMAGES], [IMAGES.reshape(1100, 12)], [np.asfortranarray(IMAGES)], in_parts]
    for blocks in (*all_forms, np.split(IMAGES, 11)):
        assert fingerprint_of(*blocks) == sha256(1000)
    assert (fingerprint_of(IMAGES[:999]), fingerprint_of()) == (sha256(999), sha256(0))


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f8", "float16"])
def test_floating_point_rows_are_hashed_as_float32(dtype):
    rows = np.asarray([[0.5, -2.0, np.inf], [1.0, 0.0, 0.25]], dtype)
    assert fingerprint_of(rows) == hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()
    assert fingerprint_of(np.asarray([[1e300]])) == fingerprint_of(np.asarray([[np.inf]]))
