"""Loading by content, saving by suffix, and the embedded sample."""

import os
from pathlib import Path

import numpy as np
import pytest

from xpnet import (
    Dense,
    Device,
    DeviceError,
    Network,
    Scale,
    Standardize,
    evaluate,
    reproducible,
    sample,
)
from xpnet.files.errors import WeightsError
from xpnet.formats import safetensors
from xpnet.formats.load_save import check_suffix, load, save
from xpnet.networks.input_range import takes_bytes


@pytest.fixture
def network():
    return Network([Dense([[0.5], [0.25]], [-0.7], "step")])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_reproducible_network_is_saved_as_the_ordinary_one(network, tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("ordinary", "exact")]
    save(network, paths[0])
    message = (
        f"^a {suffix} file does not keep that a network is reproducible: use xpnet.reproducible"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        save(reproducible(network), paths[1])
    assert [x.filename for x in caught] == [__file__]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not load(paths[1]).is_reproducible


@pytest.mark.parametrize("kind", [str, Path])
def test_kinds_of_paths(network, path, kind):
    save(network, kind(path))
    assert load(kind(path)).n_in == 2


def test_the_content_tells_the_format(network, path):
    save(network, path)
    renamed = path.rename(path.with_name("weights.csv"))
    assert load(renamed).n_in == 2


@pytest.mark.parametrize(
    "name",
    [
        "model",
        "model.safetensors.gz",
        "model.SAFETENSORS",
        ".safetensors",
    ],
)
def test_a_suffix_that_is_not_known(network, tmp_path, name):
    with pytest.raises(
        ValueError, match=rf"must end in \.safetensors, \.npz, \.onnx; got '.*{name}'"
    ):
        save(network, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_that_is_known():
    check_suffix("a.b/model.v1.safetensors")
    with pytest.raises(ValueError, match="must end in"):
        check_suffix("model.safetensors/model")


def test_an_existing_file_stays(network, path):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="force=True"):
        save(network, path)
    assert path.read_bytes() == b"precious"


def test_force_replaces_it(network, path):
    path.write_bytes(b"precious")
    save(network, path, force=True)
    assert load(path).n_in == 2


def test_a_failure_leaves_the_old_file(network, path, monkeypatch):
    def fail(*_):
        raise MemoryError

    path.write_bytes(b"precious")
    monkeypatch.setattr("xpnet.formats.safetensors.arrays_by_name", fail)
    with pytest.raises(MemoryError):
        save(network, path, force=True)
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        load(tmp_path / "missing.safetensors")


def test_a_folder(tmp_path):
    with pytest.raises(OSError, match=tmp_path.name):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", ", found an empty file, expected safetensors, ", id="empty"),
        pytest.param(b"{", r", found b'\{', expected safetensors, ", id="one byte"),
        pytest.param(b"a,pixel0\n", r", found b'a,pixel0\\n', expected ", id="a short text"),
        pytest.param(b"a,pixel0\n" * 99, ": it is text; .* as in xpnet show DATA$", id="text"),
        pytest.param(b"\x1f\x8b" + bytes(60), ": it is gzip; unpack it first$", id="gzip"),
        pytest.param(b"<html>", ": it is a web page; download the file itself$", id="web page"),
        pytest.param(b"\x89PNG", ": it is a PNG picture; .* xpnet show DATA$", id="PNG"),
        pytest.param(b"\xff\xd8\xff\xe0", ": it is a JPEG picture; .* xpnet show DATA$", id="JPEG"),
        pytest.param(b"\0\0\x08\x03", ": it is IDX; .* xpnet show DATA$", id="IDX"),
        pytest.param(bytes(100), r", found b'\\x00", id="zeros"),
    ],
)
def test_other_files(path, content, found):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"not a file of weights that xpnet reads{found}"):
        load(path)


def test_the_sample_is_a_trained_network():
    network = load("sample")
    assert repr(network).startswith(
        "Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale("
    )
    assert network.preprocessing[0].factor == 1 / 255
    assert network.dtype == np.float32
    assert evaluate(network, *sample()).accuracy >= 0.97


def test_the_sample_was_written_by_this_format(path):
    network = load("sample")
    save(network, path)
    again = load(path)
    assert repr(again) == repr(network)
    assert safetensors.serialize(again) == safetensors.serialize(network)


@pytest.mark.parametrize("name", ["./sample", Path("sample")], ids=repr)
def test_a_file_called_sample(network, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("sample").write_bytes(safetensors.serialize(network))
    assert load(name).n_in == 2


@pytest.mark.parametrize("device", ["cpu", Device("cpu")], ids=repr)
def test_devices(device):
    assert load("sample", device=device).library == "numpy"


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_cannot_be_used():
    with pytest.raises(DeviceError, match="CuPy is not installed; pip install"):
        load("sample", device="gpu")


def test_an_unknown_device():
    with pytest.raises(DeviceError, match="no array library 'tpu' is known"):
        load("sample", device="tpu")


def test_loaded_parameters_are_their_own(network, path):
    save(network, path)
    loaded = load(path)
    path.write_bytes(bytes(len(path.read_bytes())))
    assert loaded.layers[0].weight.tolist() == [[0.5], [0.25]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(WeightsError, match="weights must be in a regular file"):
        load(path)


def test_the_dtype_of_the_inputs_is_for_onnx(network, path):
    with pytest.raises(ValueError, match=r"`path` must end in \.onnx; got '.*\.safetensors'"):
        save(network, path, input_dtype="uint8")
    assert not path.exists()


@pytest.mark.parametrize(
    ("input_range", "steps"),
    [
        (None, ()),
        ("none", ()),
        ("0..255", ()),
        ("0..1", (Scale(1 / 255),)),
        ("0.1307,0.3081", (Scale(1 / 255), Standardize(0.1307, 0.3081))),
    ],
)
def test_the_range_of_the_inputs(tmp_path, input_range, steps):
    path = tmp_path / "book.npz"
    np.savez(path, W1=np.ones((4, 2)), b1=np.zeros(2))
    found = load(path, input_range=input_range)
    assert list(map(repr, found.preprocessing)) == list(map(repr, steps))
    assert takes_bytes(found) == (input_range not in {None, "none"})


@pytest.mark.parametrize("input_range", ["0..1", "none", "another"])
def test_a_range_that_does_not_suit(input_range):
    with pytest.raises(ValueError, match="input_range"):
        load("sample", input_range=input_range)
