"""Memory-mapped images: the same results, without keeping the file in memory."""

from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.arrays.cpu.memory import release_pages
from xpnet.inference import runner

N_ROWS, N_IN = 3000, 784


@pytest.fixture
def path(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (N_ROWS, N_IN), np.uint8)
    images.tofile(tmp_path / "images.bin")
    return tmp_path / "images.bin"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Treat a file of 2.4 MB as large."""
    monkeypatch.setattr(runner, "_MAPPED_BYTES", 500_000)


def mapped(path, mode, **options):
    return np.memmap(path, np.uint8, mode, shape=(N_ROWS, N_IN), **options)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("function", [xpnet.predict, xpnet.predict_proba])
def test_the_results_are_those_of_an_array(path, mode, function):
    network = xpnet.load("sample")
    images = mapped(path, mode)
    found = function(network, images)
    expected = function(network, np.array(images))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert type(found) is np.ndarray
    labels = xpnet.predict(network, images)
    assert xpnet.evaluate(network, images, labels).accuracy == 1.0


@pytest.mark.parametrize("part", [np.s_[100:2900], np.s_[::2], np.s_[:0], np.s_[7:8]])
def test_parts_of_a_file(path, part):
    network = xpnet.load("sample")
    images = mapped(path, "r")[part]
    expected = xpnet.predict(network, np.array(images))
    np.testing.assert_array_equal(xpnet.predict(network, images), expected)


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_written_pages_stay(path, mode):
    images = mapped(path, mode)
    images[:] = 7
    release_pages(images)
    xpnet.predict(xpnet.load("sample"), images)
    assert np.all(images == 7)


def test_freed_pages_are_read_again(path):
    images = mapped(path, "r")
    expected = np.fromfile(path, np.uint8).reshape(N_ROWS, N_IN)
    for part in (np.s_[:], np.s_[5:6], np.s_[1000:2000], np.s_[2999:]):
        release_pages(images[part])
        np.testing.assert_array_equal(images, expected)
    release_pages(expected)  # no file: nothing to do
    np.testing.assert_array_equal(images, expected)


def test_an_offset_in_the_file(path):
    images = np.memmap(path, np.uint8, "r", offset=N_IN, shape=(N_ROWS - 1, N_IN))
    network = xpnet.load("sample")
    expected = xpnet.predict(network, np.array(images))
    np.testing.assert_array_equal(xpnet.predict(network, images), expected)


def in_memory(name):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(name))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nobody tells the memory")
def test_a_file_does_not_stay_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_MAPPED_BYTES", 2**22)
    n_rows = 100_000
    with (tmp_path / "black.bin").open("wb") as file:
        file.truncate(n_rows * N_IN)
    images = np.memmap(tmp_path / "black.bin", np.uint8, "r", shape=(n_rows, N_IN))
    before = in_memory("RssFile")
    assert len(xpnet.predict(xpnet.load("sample"), images)) == n_rows
    assert in_memory("RssFile") - before < 2**24  # of 78 MB
