"""Data sets from a local server, in a cache."""

import hashlib
import sys

import pytest

import xpnet
from xpnet.datasets.fetch import DATA_SETS, FILES, FetchError
from xpnet.datasets.locate import SAMPLE_IMAGES

FIRST = FILES[0]


@pytest.fixture
def fetch(published, tmp_path, monkeypatch):
    """Fetch MNIST from mirrors of given words into the folder cache/mnist; return what is there."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))

    def run(*words):
        monkeypatch.setitem(DATA_SETS, "mnist", published(*words))
        folder = xpnet.fetch("mnist")
        assert folder == tmp_path / "cache" / "mnist"
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return run


def test_the_next_mirror_is_tried_and_files_are_fetched_once(mirror, fetch):
    assert fetch("down", "broken", "wrong", "forbidden", "ok") == mirror.files
    n_requests = len(mirror.requests)
    assert fetch("ok") == mirror.files
    assert len(mirror.requests) == n_requests


def test_no_mirror_has_the_file(fetch, tmp_path):
    folder = tmp_path / "cache" / "mnist"
    reasons = {"down": "ConnectionError", "forbidden": "403", "wrong": "wrong checksum"}
    for word, reason in reasons.items():
        with pytest.raises(FetchError, match=rf"{FIRST} .* 127\.0\.0\.1: {reason}") as caught:
            fetch(word)
        assert str(folder) in str(caught.value)
        assert list(folder.iterdir()) == []


def test_a_damaged_file_is_fetched_again_with_a_bar_on_a_terminal(
    mirror, fetch, tmp_path, capsys, monkeypatch
):
    fetch("ok")
    (tmp_path / "cache" / "mnist" / FIRST).write_bytes(mirror.files[FIRST][:-1])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert fetch("ok") == mirror.files
    assert "100%" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written(fetch, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(OSError, match="cache"):
        fetch("ok")


def test_a_word_is_fetched_once(fetch, published, tmp_path, monkeypatch):
    fetch("ok")
    monkeypatch.setitem(DATA_SETS, "mnist", published("down"))
    assert xpnet.read("mnist", split="train")[1].tolist() == [0, 1, 2]
    with pytest.raises(xpnet.DataError, match="split='test'"):
        xpnet.read("mnist")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").write_bytes(SAMPLE_IMAGES.read_bytes())
    assert xpnet.read("mnist", split="test")[1].tolist() == [3, 4]
    assert len(xpnet.read("./mnist")[0]) == 1000


def test_unknown_name():
    with pytest.raises(ValueError, match="'cifar'"):
        xpnet.fetch("cifar")


def test_the_sum_of_a_file_of_mnist(shared_data):
    content = (shared_data / "mnist" / FILES[1]).read_bytes()
    assert DATA_SETS["mnist"].hashes[1] == hashlib.sha256(content).hexdigest()
