"""External data: only if allowed, and only from the model's own folder."""

import os
import tracemalloc

import numpy as np
import pytest

import xpnet
from xpnet import Network
from xpnet.files.errors import WeightsError, quoted

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

OUTSIDE = "weights in a file that is not in the model's own folder, found "


@pytest.fixture
def folder(tmp_path):
    """Return the model's folder; its parent also holds a file of the right size."""
    folder = tmp_path / "own"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(100))
    return folder


@pytest.fixture
def load(folder, model_of, numbers):
    """Read a model that has its first weight, of 48 bytes, in another file."""
    (folder / "weights.bin").write_bytes(b"12345678" + numbers["W"].astype("<f4").tobytes())

    def go(location="weights.bin", *, allow_external=True, max_bytes=None, dims=(3, 4), **entries):
        model = model_of("Gemm x W b -> y")
        tensor = next(x for x in model.graph.initializer if x.name == "W")
        tensor.ClearField("raw_data")
        tensor.dims[:] = dims
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "8", **entries}.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)
        path = folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return xpnet.load(path, allow_external=allow_external, max_bytes=max_bytes)

    return go


@pytest.fixture
def refusal(load):
    def go(*location, **options):
        with pytest.raises(WeightsError, match=r"model\.onnx: ") as caught:
            load(*location, **options)
        assert len(str(caught.value)) <= 390
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return go


@pytest.mark.parametrize("length", [None, "48"])
def test_weights_in_another_file(load, numbers, length):
    network = load(length=length)
    assert np.array_equal(network.layers[0].weight, numbers["W"].astype("f4"))


def test_weights_in_a_folder_within(load, folder, numbers):
    (folder / "in").mkdir()
    (folder / "weights.bin").rename(folder / "in" / "weights.bin")
    assert np.array_equal(load("in/weights.bin").layers[0].weight, numbers["W"].astype("f4"))


def test_not_without_leave(refusal):
    text = refusal(allow_external=False)
    assert "weights are in another file, found 'weights.bin', --allow-external" in text


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret.bin", "missing.bin"])
def test_no_look_at_any_file_without_leave(refusal, location):
    text = refusal(location, allow_external=False)
    assert f"weights are in another file, found '{location}'" in text


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "in/../../secret.bin",
        "..",
        "",
        None,
        "/etc/passwd",
        "//etc/passwd",
        "C:\\secret.bin",
        "C:secret.bin",
        "\\\\host\\secret.bin",
        "..\\secret.bin",
        "a\0b",
    ],
    ids=lambda location: str(location)[:20],
)
def test_paths_that_are_refused(refusal, location):
    assert OUTSIDE in refusal(location)


@pytest.mark.parametrize(
    "location",
    [
        "missing.bin",
        "in/missing.bin",
        "~/secret.bin",
        "file:///etc/passwd",
        "a" * 5000,
        "a/" * 5000,
    ],
    ids=lambda location: location[:20],
)
def test_a_file_that_is_missing(refusal, folder, location):
    expected = f"{quoted(location)} in {quoted(str(folder))}"
    assert f"file of weights is missing, expected {expected}" in refusal(location)


@pytest.mark.parametrize("location", [".", "in"])
def test_a_folder_for_a_file(refusal, folder, location):
    (folder / "in").mkdir()
    assert f"weights must be in a regular file, found '{location}'" in refusal(location)


def test_an_absolute_path_into_the_own_folder(refusal, folder):
    assert OUTSIDE in refusal(str(folder / "weights.bin"))


def test_a_link_to_a_file(refusal, folder):
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    assert OUTSIDE + "'link.bin'" in refusal("link.bin")


def test_a_link_to_a_folder(refusal, folder):
    (folder / "link").symlink_to(folder.parent)
    assert OUTSIDE + "'link/secret.bin'" in refusal("link/secret.bin")


def test_a_link_to_itself(refusal, folder):
    (folder / "link.bin").symlink_to("link.bin")
    assert "weights must be in a regular file, found 'link.bin'" in refusal("link.bin")


def test_a_link_to_the_own_folder_is_no_harm(load, folder, numbers):
    load()
    alias = folder.parent / "alias"
    alias.symlink_to(folder)
    network = xpnet.load(alias / "model.onnx", allow_external=True)
    assert np.array_equal(network.layers[0].weight, numbers["W"].astype("f4"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_that_would_never_end(refusal, folder):
    os.mkfifo(folder / "pipe.bin")
    assert "weights must be in a regular file, found 'pipe.bin'" in refusal("pipe.bin")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"offset": "9"}, "'weights.bin' must have 57 bytes; got 56"),
        ({"offset": str(1 << 62)}, "must have 4611686018427387952 bytes; got 56"),
        ({"offset": str(1 << 70)}, "bytes; got 56"),
        ({"offset": "-8"}, "tensor 'W' must have 48 bytes in its file"),
        ({"offset": "eight"}, "invalid network: invalid literal"),
        ({"offset": "9" * 5000}, "value has 5000 digits"),
        ({"length": "47"}, "tensor 'W' must have 48 bytes in its file"),
        ({"length": str(1 << 62)}, "tensor 'W' must have 48 bytes in its file"),
        ({"length": "-1"}, "tensor 'W' must have 48 bytes in its file"),
        ({"length": "all"}, "invalid network: invalid literal"),
        ({"dims": (3, 5)}, "'weights.bin' must have 68 bytes; got 56"),
        ({"dims": (-3, -4)}, "tensor 'W' must have lengths of 0 and more; got [-3, -4]"),
        ({"dims": (1 << 20, 1 << 20)}, "weights in other files are too large, found "),
        ({"dims": (1 << 14, 1 << 14)}, "'weights.bin' must have 1073741832 bytes; got 56"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_places_that_do_not_fit(refusal, options, text):
    tracemalloc.start()
    try:
        assert text in refusal(**options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22


def test_a_limit(load, refusal, folder):
    load()
    n_bytes = (folder / "model.onnx").stat().st_size
    assert isinstance(load(max_bytes=n_bytes), Network)
    (folder / "weights.bin").write_bytes(bytes(100_000))
    text = refusal(dims=(3, n_bytes), max_bytes=n_bytes + 100)
    assert "weights in other files are too large, found " in text
