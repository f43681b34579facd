"""Data sets from a local server, in a cache."""

import errno
import hashlib
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest

import xpnet
from xpnet.datasets import fetch
from xpnet.datasets.fetch import DATA_SETS, FILES, FetchError
from xpnet.datasets.locate import SAMPLE_IMAGES

FIRST = FILES[0]
HOST = "127.0.0.1"


def fetch_files(data_set, cache, **options):
    """Fetch a data set as MNIST into a folder of the fixture `cache`; return the hosts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATA_SETS, "mnist", data_set)
        folder, hosts = fetch.fetch_files("mnist", **options)
    assert folder == cache
    return hosts


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Set the cache to a new folder; return the folder of MNIST in it."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def failure(published, cache):
    """Fetch from mirrors that fail; return the message without its beginning and its end."""

    def fail(*words):
        with pytest.raises(FetchError) as caught:
            fetch_files(published(*words), cache)
        message = str(caught.value)
        start, end = (
            f"{FIRST} cannot be fetched: ",
            f"; files from elsewhere belong in {cache}",
        )
        assert message.startswith(start)
        assert message.endswith(end)
        assert not (cache / FIRST).exists()
        return message.removeprefix(start).removesuffix(end)

    return fail


def test_files_are_verified_and_kept(mirror, published, cache):
    assert fetch_files(published("ok"), cache) == [HOST]
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == mirror.files
    assert fetch_files(published("ok"), cache) == []
    assert len(mirror.requests) == len(FILES)


@pytest.mark.parametrize("words", [("redirect",), ("slow",), ("broken", "wrong", "ok")])
def test_the_next_mirror_is_tried(mirror, published, cache, words):
    assert fetch_files(published(*words), cache) == [HOST]
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == mirror.files


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("forbidden", "403 Forbidden"),
        ("broken", "connection failed (ChunkedEncodingError)"),
        ("longer", "connection failed (ChunkedEncodingError)"),
    ],
)
def test_a_server_that_fails(failure, word, reason):
    assert failure(word) == f"{HOST}: {reason}"


def test_a_missing_file(mirror, failure):
    del mirror.files[FIRST]
    assert failure("ok", "forbidden") == f"{HOST}: 404 Not Found; {HOST}: 403 Forbidden"


@pytest.mark.parametrize("word", ["wrong", "shorter"])
def test_a_wrong_file_is_removed(failure, cache, word):
    assert failure(word) == f"{HOST}: wrong md5 checksum"
    assert list(cache.iterdir()) == []


def test_a_server_that_stalls(failure, monkeypatch):
    monkeypatch.setattr(fetch, "_TIMEOUT", 0.2)
    assert failure("stalled") == f"{HOST}: connection failed (ConnectionError)"


def test_no_network(published, cache):
    data_set = replace(published("ok"), mirrors=("http://127.0.0.1:9/",))
    with pytest.raises(
        FetchError, match=r"fetched: 127\.0\.0\.1: connection failed \(ConnectionError\); files"
    ):
        fetch_files(data_set, cache)


def test_a_proxy_is_used(mirror, published, cache, monkeypatch):
    monkeypatch.setenv("http_proxy", mirror.url("ok"))
    data_set = replace(published("ok"), mirrors=("http://xpnet.invalid/ok/",))
    assert fetch_files(data_set, cache) == ["xpnet.invalid"]
    assert mirror.requests[0] == f"http://xpnet.invalid/ok/{FIRST}"


def test_a_proxy_that_does_not_answer(published, cache, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    data_set = replace(published("ok"), mirrors=("http://xpnet.invalid/",))
    with pytest.raises(FetchError, match=r"xpnet\.invalid: connection failed \(ProxyError\)"):
        fetch_files(data_set, cache)


def test_force_fetches_all_anew(mirror, published, cache):
    fetch_files(published("ok"), cache)
    assert fetch_files(published("ok"), cache, force=True) == [HOST]
    assert len(mirror.requests) == 2 * len(FILES)
    with pytest.raises(FetchError):
        fetch_files(published("broken"), cache, force=True)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == mirror.files


def test_offline(published, cache):
    rule = f"mnist is not in the cache, {cache}: run xpnet fetch mnist"
    with pytest.raises(FetchError) as caught:
        xpnet.fetch("mnist", offline=True)
    assert str(caught.value) == rule
    fetch_files(published("ok"), cache)
    assert fetch_files(published("ok"), cache, offline=True) == []


@pytest.mark.parametrize("n_kept", [0, -1])
def test_a_damaged_file_is_fetched_again(mirror, published, cache, n_kept):
    fetch_files(published("ok"), cache)
    (cache / FIRST).write_bytes(mirror.files[FIRST][:n_kept])
    rule = f"mnist is damaged in the cache, {cache}: run xpnet fetch mnist"
    with pytest.raises(FetchError) as caught:
        fetch_files(published("ok"), cache, offline=True)
    assert str(caught.value) == rule
    assert fetch_files(published("ok"), cache) == [HOST]
    assert (cache / FIRST).read_bytes() == mirror.files[FIRST]


def test_offline_and_force():
    with pytest.raises(ValueError, match=r"^`offline` and `force` must not both be true$"):
        xpnet.fetch("mnist", offline=True, force=True)


def test_fetches_at_once_do_not_mix(mirror, published, cache):
    thread = threading.Thread(target=fetch_files, args=(published("slow"), cache))
    thread.start()
    while not mirror.requests:
        thread.join(0.01)
    assert fetch_files(published("ok"), cache) == [HOST]
    thread.join()
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == mirror.files


def test_a_full_disk(published, cache, monkeypatch):
    def retrieve(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(FetchError) as caught:
        fetch_files(published("ok"), cache)
    hint = "the variable XPNET_CACHE can name another folder"
    assert str(caught.value) == f"{cache}: cannot be written: No space left on device; {hint}"
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(published, cache):
    cache.parent.write_text("")
    with pytest.raises(FetchError, match="cannot be written: Not a directory; the variable XPN"):
        fetch_files(published("ok"), cache)


def test_progress(mirror, published, cache):
    shown = []

    class Bar:
        def __init__(self, desc):
            self.desc, self.n = desc, 0
            shown.append(self)

        def update(self, n):
            self.n += n

        def reset(self):
            self.n = 0

        def close(self):
            pass

    fetch_files(published("ok"), cache, progress=lambda desc, **_: nullcontext(Bar(desc)))
    assert [bar.desc for bar in shown] == list(FILES)
    assert [bar.n for bar in shown] == [len(mirror.files[name]) for name in FILES]
    assert [bar.total for bar in shown] == [bar.n for bar in shown]


@pytest.fixture
def mnist(published, cache, monkeypatch):
    """Let MNIST be a small data set of the local server; return its folder."""
    monkeypatch.setitem(DATA_SETS, "mnist", published("ok"))
    return cache


def test_words(mnist):
    images, labels = xpnet.read("mnist", split="train")
    assert (images.tobytes(), labels.tolist()) == (xpnet.sample()[0][:3].tobytes(), [0, 1, 2])
    images, labels = xpnet.read("mnist", split="test")
    assert (images.tobytes(), labels.tolist()) == (xpnet.sample()[0][3:5].tobytes(), [3, 4])
    assert xpnet.fetch("mnist") == mnist


@pytest.mark.usefixtures("mnist")
def test_a_word_is_no_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").write_bytes(SAMPLE_IMAGES.read_bytes())
    assert len(xpnet.read("mnist", split="test")[0]) == 2
    assert len(xpnet.read("./mnist")[0]) == 1000


@pytest.mark.usefixtures("mnist")
def test_both_parts_need_a_choice():
    with pytest.raises(xpnet.DataError) as caught:
        xpnet.read("mnist")
    found = "train and test"
    hint = "choose one by --split test (in Python split='test')"
    assert str(caught.value) == f"mnist: data of two parts, found {found}, {hint}"


def test_unknown_name():
    rule = r"^`name` must be one of mnist, fashion-mnist; got 'cifar'$"
    with pytest.raises(ValueError, match=rule):
        xpnet.fetch("cifar")


def test_pooch_is_missing(monkeypatch):
    monkeypatch.delenv("XPNET_CACHE", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^data sets by name need pooch: pip install pooch$"
    ):
        xpnet.fetch("mnist")


def test_the_sum_of_a_file_of_mnist(shared_data):
    path = shared_data / "mnist" / FILES[1]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert DATA_SETS["mnist"].hashes[1] == f"sha256:{sha256}"


def test_the_catalog_is_complete():
    for data_set in DATA_SETS.values():
        assert len(data_set.hashes) == len(FILES)
        assert len(data_set.mirrors) == 2
        assert not any("yann.lecun.com" in mirror for mirror in data_set.mirrors)
    assert len(DATA_SETS["fashion-mnist"].classes) == 10


def test_a_cache_of_an_unknown_user(monkeypatch):
    monkeypatch.setenv("XPNET_CACHE", "~no_such_user/x")
    with pytest.raises(OSError, match="~no_such_user/x: no such user; XPNET_CACHE must name"):
        xpnet.fetch("mnist", offline=True)
