"""``xpnet fetch``, and the words mnist and fashion-mnist for DATA."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import load, sample
from xpnet.cli import fetch
from xpnet.datasets.fetch import DATA_SETS, FILES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Set the cache to a new folder and return it."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mnist(published, cache, monkeypatch):
    """Let MNIST be a small data set of a local server; return its folder."""
    monkeypatch.setitem(DATA_SETS, "mnist", published("ok"))
    return cache / "mnist"


def test_names():
    assert tuple(DATA_SETS) == fetch.NAMES


def test_the_report(xpnet, mirror, mnist):
    n_bytes = sum(map(len, mirror.files.values()))
    result = xpnet("fetch", "mnist")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"folder  {mnist} ({n_bytes:,} bytes)",
        "source  127.0.0.1",
    ]
    assert "source  already in the cache" in xpnet("fetch", "mnist", "--offline").out
    again = json.loads(xpnet("fetch", "mnist", "--force", "--json").out)
    assert again == {
        "name": "mnist",
        "folder": str(mnist),
        "bytes": n_bytes,
        "hosts": ["127.0.0.1"],
    }


def test_a_word_is_fetched_once(xpnet, mirror, mnist):
    first, second = xpnet("evaluate", "mnist"), xpnet("evaluate", "mnist", "--split", "train")
    assert first.err.splitlines() == [
        f"xpnet: fetched mnist from 127.0.0.1 into {mnist}",
        "xpnet: mnist: reading the test part; --split train reads the other",
    ]
    assert "(2 of 2)" in first.out
    assert (second.err, "(3 of 3)" in second.out) == ("", True)
    assert len(mirror.requests) == len(FILES)


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate",),
        ("predict",),
        ("parity",),
        ("bench", "--batch-sizes", "1", "--rounds", "1"),
    ],
)
@pytest.mark.usefixtures("mnist")
def test_the_test_part_is_usual(xpnet, command):
    xpnet("fetch", "mnist")
    result = xpnet(command[0], "mnist", *command[1:])
    assert result.code == 0
    note = "xpnet: mnist: reading the test part; --split train reads the other\n"
    assert result.err.count(note) == 1


@pytest.mark.usefixtures("mnist")
def test_the_training_part_is_usual_for_train(xpnet, tmp_path):
    options = ["--epochs", "1", "--validation", "0"]
    result = xpnet("train", "mnist", "-o", tmp_path / "a.npz", *options)
    assert result.code == 0
    assert "reading the train part; --split test reads the other" in result.err
    options += ["--split", "test"]
    assert xpnet("train", "mnist", "-o", tmp_path / "b.npz", *options).code == 0


def test_the_cache_alone(refused, cache):
    rule = f"xpnet: mnist is not in the cache, {cache / 'mnist'}: run xpnet fetch mnist\n"
    assert refused("fetch", "mnist", "--offline") == (3, rule)
    assert refused("evaluate", "mnist", "--offline") == (3, rule)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("forbidden", "403 Forbidden"),
        ("wrong", "wrong md5 checksum"),
        ("broken", "connection failed (ChunkedEncodingError)"),
    ],
)
def test_failures_are_one_line(refused, mirror, mnist, word, reason):
    mirror.always = word
    code, line = refused("evaluate", "mnist")
    assert (code, line.count(reason)) == (3, 1)
    assert line.endswith(f"; files from elsewhere belong in {mnist}\n")


def test_split_without_parts(refused, tmp_path):
    np.savez(tmp_path / "a.npz", images=sample()[0][:3])
    rule = "no test part, found no parts, leave out --split (split=)"
    assert refused("evaluate", tmp_path / "a.npz", "--split", "test") == (
        3,
        f"xpnet: {tmp_path / 'a.npz'}: {rule}\n",
    )


def test_pooch_is_missing(refused, monkeypatch, cache):
    monkeypatch.setitem(sys.modules, "pooch", None)
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / FILES[0]).touch()
    rule = "xpnet: data sets by name need pooch: pip install pooch\n"
    assert refused("fetch", "mnist") == (2, rule)


def test_the_bar(xpnet, mirror, mnist, monkeypatch):
    shown = []

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, n):
            shown[-1]["n"] = n

        def reset(self):
            pass

        def close(self):
            pass

    def bar(**options):
        shown.append(options)
        return Bar()

    monkeypatch.setattr(fetch, "_progress", bar)
    xpnet("fetch", "mnist")
    assert shown[0] == {"desc": FILES[0], "total": None, "n": len(mirror.files[FILES[0]])}
    assert (mnist / FILES[0]).exists()


@pytest.mark.usefixtures("cache")
def test_names_of_classes_are_stored(xpnet, published, monkeypatch, tmp_path):
    names = DATA_SETS["fashion-mnist"].classes
    data_set = replace(published("ok"), classes=names)
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", data_set)
    model = tmp_path / "a.safetensors"
    options = ["--epochs", "1", "--validation", "0", "--classes", "10"]
    assert xpnet("train", "fashion-mnist", "-o", model, *options).code == 0
    assert load(model).classes == names
    lines = xpnet("predict", "fashion-mnist", "--model", model).out.splitlines()
    assert {line.partition(",")[2] for line in lines[1:]} <= set(names)
    result = xpnet("evaluate", "fashion-mnist", "--model", model)
    assert " of 2)" in result.out
    for shown in ([], ["--mistakes"]):
        assert xpnet("show", "fashion-mnist", "--model", model, *shown).code == 0
    options[-1] = "12"
    assert xpnet("train", "fashion-mnist", "-o", model, "--force", *options).code == 3
