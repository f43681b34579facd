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


def test_files_are_fetched_once(mirror, fetch):
    assert fetch("ok") == fetch("forbidden") == mirror.files
    assert len(mirror.requests) == len(FILES)


def test_the_next_mirror_is_tried(mirror, fetch):
    assert fetch("down", "broken", "wrong", "forbidden", "ok") == mirror.files


@pytest.mark.parametrize(
    ("word", "reason"),
    [("down", "ConnectionError"), ("forbidden", "403"), ("wrong", "wrong checksum")],
)
def test_no_mirror_has_the_file(fetch, tmp_path, word, reason):
    folder = tmp_path / "cache" / "mnist"
    with pytest.raises(FetchError, match=rf"{FIRST} .* 127\.0\.0\.1: {reason}.* XPNET_CACHE") as e:
        fetch(word)
    assert str(folder) in str(e.value)
    assert list(folder.iterdir()) == []


def test_a_damaged_file_is_fetched_again(mirror, fetch, tmp_path):
    fetch("ok")
    (tmp_path / "cache" / "mnist" / FIRST).write_bytes(mirror.files[FIRST][:-1])
    assert fetch("ok") == mirror.files


def test_a_cache_that_cannot_be_written(fetch, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(OSError, match="cache"):
        fetch("ok")


def test_a_bar_on_a_terminal(fetch, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch("ok")
    assert "100%" in capsys.readouterr().err


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
