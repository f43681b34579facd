"""Hashes of reproducible results."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.files.hashes import ResultHash
from xpnet.inference.predict import outputs_of
from xpnet.inference.result_hash import result_hash

IMAGES, _ = xpnet.sample()
TRAINED = xpnet.load("sample")
HASH = "9189-73c3-8a45-d0ab"


def regression(n_out=2, dtype=np.float32):
    weight = np.linspace(-1.0, 1.0, 3 * n_out, dtype=dtype).reshape(3, n_out)
    return xpnet.Network([xpnet.Dense(weight, np.zeros(n_out, dtype))], output="values")


def hash_of(*parts):
    digits = hashlib.sha256(b"".join(parts)).hexdigest()
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:16]}"


def test_the_hash_of_the_embedded_digits():
    assert result_hash(TRAINED, IMAGES) == HASH


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_hashed(dtype):
    network = TRAINED.astype(dtype)
    y = xpnet.forward(xpnet.reproducible(network), IMAGES[:7].reshape(7, 784))
    form = f"{dtype} 7 x 10\n".encode()
    expected = hash_of(y.astype(y.dtype.newbyteorder("<")).tobytes(), form)
    assert result_hash(network, IMAGES[:7]) == expected


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 1}, {"batch_size": 777}, {"threads": 1}, {"threads": 5, "batch_size": 7}],
    ids=str,
)
def test_batches_and_threads_do_not_matter(options):
    digest = ResultHash()
    digest.update(outputs_of(xpnet.reproducible(TRAINED), IMAGES, **options))
    assert digest.text() == HASH


def test_the_form_of_images_does_not_matter():
    assert result_hash(TRAINED, IMAGES.reshape(1000, 784).astype(np.float32)) == HASH
    da = pytest.importorskip("dask.array")
    assert result_hash(TRAINED, da.from_array(IMAGES, chunks=(300, 28, 28))) == HASH


def test_the_library_does_not_matter(xp_backend):
    if xp_backend.name == "dask" or not xp_backend.has_float64:
        pytest.skip("reproducible results need a device with float64")
    # One shape: JAX compiles for each.
    network, images = TRAINED.map_arrays(xp_backend.make), IMAGES[:60]
    for given in (images, xp_backend.asarray(images, "uint8")):
        assert result_hash(network, given) == result_hash(TRAINED, images)


@pytest.mark.parametrize(
    "images",
    [
        np.concatenate((IMAGES[1::-1], IMAGES[2:])),
        IMAGES[:-1],
        np.concatenate((IMAGES, IMAGES[-1:])),
        np.concatenate((IMAGES[:1] ^ 1, IMAGES[1:])),
    ],
    ids=["order", "fewer", "more", "last bits of pixels"],
)
def test_other_images_have_another_hash(images):
    found = result_hash(TRAINED, images)
    assert re.fullmatch(r"[0-9a-f]{4}(-[0-9a-f]{4}){3}", found)
    assert found != HASH


def test_one_bit_of_one_weight_changes_the_hash():
    *others, last = TRAINED.layers
    weight = last.weight.copy()
    weight[0, 0] = np.nextafter(weight[0, 0], np.inf)
    changed = replace(TRAINED, layers=(*others, replace(last, weight=weight)))
    assert result_hash(changed, IMAGES) != HASH


def text_of(*blocks):
    found = ResultHash()
    for y in blocks:
        found.update(y)
        text = found.text()
    return text


def test_dtype_and_shape_are_hashed_but_not_blocks_and_orders():
    y = np.zeros((6, 2), np.float32)  # 12 zeros of 32 bits
    assert len({text_of(x) for x in (y, y.reshape(4, 3), y.view(np.float64))}) == 3
    y = np.arange(12, dtype=np.float32).reshape(6, 2)
    expected = hash_of(y.astype("<f4").tobytes(), b"float32 6 x 2\n")
    for blocks in ([y], [y[:4], y[4:]], [y.astype(">f4")], [np.asfortranarray(y)]):
        assert text_of(*blocks) == expected


@pytest.mark.parametrize(("n_out", "dtype"), [(2, "float32"), (3, "float64")])
def test_no_images_have_a_hash(n_out, dtype):
    network, expected = regression(n_out, dtype), hash_of(f"{dtype} 0 x {n_out}\n".encode())
    for images in (np.empty((0, 3)), np.empty((0, 3), np.uint8)):
        assert result_hash(network, images) == expected


def test_nan_and_infinity_are_hashed():
    rows = np.asarray([[np.nan, 1.0, 2.0], [-np.nan, 1.0, 2.0], [np.inf, 1.0, 0.0]])
    network = regression()
    expected = result_hash(network, rows)
    assert result_hash(network, rows[[1, 0, 2]]) == expected  # the sign of NaN does not matter
    assert result_hash(network, rows[[2, 0, 1]]) != expected
