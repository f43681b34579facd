"""Test of the fuzzing against Keras and torch: readers that are wrong are found."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

import xpnet

pytestmark = pytest.mark.slow
os.environ.setdefault("KERAS_BACKEND", "torch")
for library in ("torch", "keras", "h5py"):
    pytest.importorskip(library, reason=f"{library} is not installed")


@pytest.fixture
def fuzz(monkeypatch):
    """Return the program, whose modules are in this folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fuzz_originals

    return fuzz_originals


def with_another_sign(network):
    first, *others = network.layers
    return replace(network, layers=[replace(first, weight=-first.weight), *others])


def with_an_error(network):
    raise KeyError(network.n_in)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_another_sign, r"-?[\d.e-]+ instead of -?[\d.e-]+"),
        (with_an_error, r"KeyError: \d"),
        (lambda network: xpnet.Network(network.layers[:1]), r"\d+ numbers instead of \d+"),
    ],
    ids=["sign", "error", "layer"],
)
def test_a_wrong_reader_is_found(fuzz, tmp_path, monkeypatch, spoil, message):
    load = xpnet.load
    monkeypatch.setattr(xpnet, "load", lambda *given, **options: spoil(load(*given, **options)))
    found = [x for n in range(1, 12, 2) for _, _, x in fuzz.files(0, n, tmp_path)]
    assert any(re.fullmatch(message, x) for x in found)


def test_the_file_of_a_fault_is_kept(fuzz, tmp_path, monkeypatch, capsys):
    path = tmp_path / "0-1.pt"
    path.write_bytes(b"content")
    results = [("whole .pt", path, "refused"), ("damaged .pt", path, "1 instead of\n2")]
    monkeypatch.setattr(fuzz, "files", lambda *_: iter(results))
    monkeypatch.setattr(fuzz, "count", lambda: iter([0]))
    folder = tmp_path / "kept"
    assert fuzz.main(["--seconds=1000", f"--keep={folder}"]) == 1
    assert (folder / "2-0-1.pt").read_bytes() == b"content"
    fault, *counts = capsys.readouterr().out.splitlines()
    assert fault == f"{folder}/2-0-1.pt: 1 instead of 2"
    assert counts == ["       1 damaged .pt: fault", "       1 whole .pt: refused"]
