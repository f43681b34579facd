"""``xpnet predict`` on a cluster: a folder of parts, equal to the predictions of one process."""

import gzip
import json
import logging
import os
import socket
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Device, DeviceError, Network, load, save
from xpnet.cli.predicted import pieces_of

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address():
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        yield cluster.scheduler_address


class Parts:
    """The folder of the parts, and commands that write into it."""

    def __init__(self, xpnet, refused, words, folder):
        self.xpnet, self.refused, self.folder = xpnet, refused, folder
        self.words = [*words, "-o", folder]

    def run(self, *words):
        return self.xpnet("predict", *self.words, *words)

    def refuse(self, *words):
        return self.refused("predict", *self.words, *words)

    def contents(self):
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def check(self, source, *options):
        """Check that the part of a file holds what one process predicts; return its arrays."""
        name = source if source == "sample" else source.name.removesuffix(".gz").split(".")[0]
        alone = self.folder.with_name("alone.npz")
        assert self.xpnet("predict", source, *options, "-o", alone, "--force").code == 0
        with np.load(self.folder / f"{name}.npz") as part, np.load(alone) as expected:
            found, manifest = dict(part), json.loads(str(part["manifest"]))
            assert found.keys() == {*expected, "manifest"}
            for key, x in expected.items():
                if key in {"values", "probabilities"}:  # summed in other batches
                    np.testing.assert_allclose(found[key], x, 1e-5, 1e-4, strict=True)
                else:
                    np.testing.assert_array_equal(found[key], x, strict=True)
            first = expected[next(iter(expected))]
            assert (manifest["rows"], manifest["nonfinite"]) == (len(first), len(x))
        return found


@pytest.fixture
def parts(xpnet, refused, address, tmp_path):
    return Parts(xpnet, refused, ["--cluster", address], tmp_path / "parts")


def write_idx(path, x):
    header = bytes([0, 0, 8, x.ndim]) + np.asarray(x.shape, ">u4").tobytes()
    path.write_bytes((gzip.compress if path.suffix == ".gz" else bytes)(header + x.tobytes()))


WRITERS = {
    "bytes.npy": np.save,
    "columns.npy": lambda path, x: np.save(path, np.asfortranarray(x.reshape(len(x), -1))),
    "float32.npy": lambda path, x: np.save(path, x.astype(np.float32)),
    "float64.npy": lambda path, x: np.save(path, np.asfortranarray(x.astype(np.float64))),
    "arrays.npz": lambda path, x: np.savez(path, images=x),
    "t10k-images-idx3-ubyte": write_idx,
    "train-images.idx3-ubyte.gz": write_idx,
    "none.npy": lambda path, x: np.save(path, x[:0]),
}


@pytest.fixture
def inputs(tmp_path, digits, unlabelled):
    """Return a folder of files of the same digits, one for each format."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    unlabelled.rename(folder / "table.csv")
    for name, write in WRITERS.items():
        write(folder / name, digits[0])
    return folder


@pytest.mark.parametrize("piece_rows", [7, 1_000_003])
def test_every_format(parts, inputs, piece_rows):
    result = parts.run(inputs / "*", "sample", "--piece-rows", piece_rows, "--json")
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out)
    assert facts["parts"] == {"computed": 10, "kept": 0, "failed": 0}
    assert (facts["total"], facts["workers"], facts["failed"]) == (8 * 40 + 1000, 2, {})
    assert len(parts.contents()) == 10
    for source in (*inputs.iterdir(), "sample"):
        parts.check(source)


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ((10, {}), ["--top", "3"]),
        ((10, {"classes": [f"digit {'i' * i}" for i in range(10)]}), ["--proba"]),
        ((1, {}), ["--proba", "--batch-size", "3"]),
        ((2, {"output": "values"}), []),
        ((10, {}), ["--precision", "float64"]),
    ],
    ids=["top", "classes", "one unit", "values", "float64"],
)
def test_results(parts, inputs, save_network, network, options):
    options = [*options, "--model", save_network(network[0], **network[1])]
    assert parts.run(inputs / "bytes.npy", *options, "--piece-rows", "7").code == 0
    parts.check(inputs / "bytes.npy", *options)


@pytest.fixture
def without_steps(tmp_path):
    """Return a network without preprocessing, for which each file can be divided."""
    weight = np.asarray([[1e30, 1.0]] * 784, np.float32)
    save(Network([Dense(weight, np.zeros(2, np.float32))]), tmp_path / "model.npz")
    return "--model", tmp_path / "model.npz"


def test_nonfinite_rows(parts, without_steps, tmp_path):
    rows = np.zeros((40, 784), np.float32)
    rows[[3, 14, 39]] = 1e30
    np.save(tmp_path / "x.npy", rows)
    for _ in range(2):  # the second part is kept
        result = parts.run(tmp_path / "x.npy", *without_steps, "--piece-rows", "7", "--json")
        assert json.loads(result.out)["nonfinite"] == 3
        assert "whose labels are meaningless: 3 of 40" in result.err
    found = parts.check(tmp_path / "x.npy", *without_steps)
    assert found["nonfinite"].tolist() == [3, 14, 39]


def test_notes_are_printed_once(parts, without_steps, inputs):
    names = [inputs / "bytes.npy", inputs / "columns.npy"]
    result = parts.run(*names, *without_steps, "--piece-rows", "7")
    assert (result.code, result.err.count("\n")) == (0, 1)
    assert result.err == parts.xpnet("predict", names[0], *without_steps).err


@pytest.mark.parametrize("value", [300, -1e300, np.nan], ids=str)
def test_errors_name_the_row_in_the_file(parts, without_steps, tmp_path, value):
    rows = np.zeros((40, 784), np.int16 if value == 300 else np.float64)
    rows[30, 2] = value
    np.save(tmp_path / "x.npy", rows)
    code, line = parts.refused("predict", tmp_path / "x.npy", *without_steps)
    assert (code, "pixel 3 of row 31" in line) == (3, True)
    result = parts.run(tmp_path / "x.npy", *without_steps, "--piece-rows", "7")
    assert (result.code, result.err.splitlines(keepends=True)[-1]) == (3, line)


def test_reproducible_parts_have_the_same_bits(parts, inputs, address):
    options, names = ["--reproducible", "--proba"], [inputs / "bytes.npy", inputs / "columns.npy"]
    expected = parts.folder.with_name("alone.npz")
    assert parts.xpnet("predict", names[0], *options, "-o", expected).code == 0
    found = {np.load(expected)["probabilities"].tobytes()}
    for where, n in [(address, 1), (address, 1000), (address, 7), (None, 9)]:
        parts.words[:2] = ["--cluster", where] if where else ["--workers", "1"]
        sizes = ["--piece-rows", n, "--batch-size", n]
        assert parts.run(*names, *options, *sizes, "--force").code == 0
        found |= {np.load(x)["probabilities"].tobytes() for x in parts.folder.iterdir()}
    assert len(found) == 1


def never(*_, **__):
    pytest.fail("a cluster is opened")


def test_a_second_run_computes_nothing(parts, inputs, monkeypatch):
    first = parts.run(inputs / "bytes.npy", "sample")
    wrote = f"wrote    {parts.folder} (1,040 images; parts: 2"
    assert (first.code, first.out.startswith(f"{wrote} computed)\n")) == (0, True)
    before = parts.contents()
    monkeypatch.setattr("xpnet.inference.cluster.open_cluster", never)
    second = parts.run(inputs / "bytes.npy", "sample", "--piece-rows", "3")
    assert (second.code, second.out.startswith(f"{wrote} kept)\n")) == (0, True)
    assert parts.contents() == before


# Arrays of an edited part, made from its arrays and its manifest.
EDITS = {
    "fewer labels": lambda part, _: {"labels": part["labels"][:10]},
    "other dtype": lambda part, _: {"labels": part["labels"].astype(float)},
    "no nonfinite": lambda *_: {"nonfinite": None},
    "no rows": lambda _, facts: {
        "manifest": json.dumps({name: x for name, x in facts.items() if name != "rows"})
    },
    "rows in words": lambda _, facts: {"manifest": json.dumps({**facts, "rows": "ten"})},
    "deep": lambda *_: {"manifest": "[" * 100_000},
}
DAMAGED = "it is damaged, or not a part"
OTHERS = {
    "changed": "last change of the input",
    "foreign": DAMAGED,
    "damaged": DAMAGED,
    "fewer labels": DAMAGED,
    "other dtype": DAMAGED,
    "no nonfinite": DAMAGED,
    "no rows": DAMAGED,
    "rows in words": DAMAGED,
    "deep": DAMAGED,
    "model": "model and its --input-range",
    "--proba": "--proba",
    "--reproducible": "--reproducible",
}


@pytest.mark.parametrize("other", OTHERS)
def test_parts_of_other_runs(parts, inputs, save_network, other):
    source, path = inputs / "bytes.npy", parts.folder / "bytes.npz"
    assert parts.run(source, "sample").code == 0
    options = [other] if other.startswith("--") else []
    if other == "changed":
        os.utime(source, (0, 0))
    elif other == "foreign":
        path.write_bytes(b"precious")
    elif other == "damaged":
        content = bytearray(path.read_bytes())
        content[200] ^= 1  # a label
        path.write_bytes(content)
    elif other in EDITS:
        with np.load(path) as part:
            arrays = {**part, **EDITS[other](part, json.loads(str(part["manifest"])))}
        np.savez(path, **{name: x for name, x in arrays.items() if x is not None})
    elif other == "model":
        options = ["--model", save_network(10)]
    before = parts.contents()
    line = f"xpnet: {path} is not of this run: {OTHERS[other]}. Delete it, or give --force, which"
    assert parts.refuse(source, *options) == (2, f"{line} replaces all parts\n")
    assert parts.contents() == before
    assert parts.run(source, *options, "--force").code == 0
    parts.check(source, *options)
    assert parts.contents()["sample.npz"] == before["sample.npz"]


@pytest.mark.parametrize("kind", ["pipe", "link", "compressed"])
def test_other_files_with_the_name_of_a_part(parts, inputs, kind):
    path = parts.folder / "bytes.npz"
    if kind == "compressed":  # it may unpack to far more memory than its size
        parts.run(inputs / "bytes.npy", "sample")
        with np.load(path) as part:
            np.savez_compressed(path, **part)
    else:
        parts.folder.mkdir()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("elsewhere.npz")
    result = parts.run(inputs / "bytes.npy", "sample")
    assert (result.code, DAMAGED in result.err) == (2, True)
    assert not (parts.folder / "elsewhere.npz").exists()


def test_the_file_of_a_standardization_belongs_to_the_model(parts, inputs, tmp_path):
    network, path = load("sample"), tmp_path / "statistics.npz"
    save(replace(network, preprocessing=()), tmp_path / "bare.npz")
    words = [inputs / "bytes.npy", "--model", tmp_path / "bare.npz", "--input-range", path]
    for mean, code in ((0.1, 0), (0.6, 2)):
        np.savez(path, mean=np.full(784, mean), std=np.full(784, 0.3))
        assert parts.run(*words).code == code


def test_inputs_are_never_replaced(parts, inputs):
    (inputs / "bytes.npz").symlink_to(inputs / "columns.npy")
    before = {path: path.read_bytes() for path in inputs.iterdir()}
    for names in (["arrays.npz"], ["bytes.npy", "columns.npy"]):
        paths = [inputs / name for name in names]
        code, line = parts.refuse(*paths, "-o", inputs, "--force")
        assert (code, "would be replaced, but it is read as well" in line) == (2, True)
    assert {path: path.read_bytes() for path in inputs.iterdir()} == before


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bytes.npy more/bytes.npy", (2, "would both be")),
        ("more", (2, "is a folder: give its files, such as '")),
        ("missing.npy", (3, "missing.npy: No such file")),
        ("missing*", (3, "missing*: No such file")),
        ("-", (2, "does not go with DATA -")),
        ("sample --hash", (2, "does not go with --hash")),
        ("sample --rows=3", (2, "does not go with --rows")),
        ("sample --device=auto", (2, "does not go with --device auto")),
        ("sample -o -", (2, "needs -o FOLDER")),
        ("sample --top=11", (2, "has: 10")),
    ],
)
def test_usage(parts, inputs, monkeypatch, given, expected):
    monkeypatch.setattr("xpnet.inference.cluster.open_cluster", never)
    monkeypatch.chdir(inputs)
    (inputs / "more").mkdir()
    (inputs / "more" / "bytes.npy").touch()
    code, line = parts.refuse(*given.split())
    assert (code, expected[1] in line) == (expected[0], True)
    assert not parts.folder.exists()


def test_damaged_files_do_not_stop_the_others(parts, inputs):
    bad, empty = inputs / "float32.npy", inputs / "empty.npy"
    whole = bad.read_bytes()
    empty.touch()
    for content in (whole[:-1], b"\x93NUMPY"):
        bad.write_bytes(content)
        result = parts.run(inputs / "*.npy", "--json", "--piece-rows", "7")
        failed = json.loads(result.out)["failed"]
        assert (result.code, failed.keys()) == (3, {str(bad), str(empty)})
        assert result.err.splitlines() == [f"xpnet: {fault}" for fault in failed.values()]
        assert len(parts.contents()) == 4
    bad.write_bytes(whole)
    result = parts.run(bad, inputs / "bytes.npy", "--json")
    assert json.loads(result.out)["parts"] == {"computed": 1, "kept": 1, "failed": 0}
    parts.check(bad)


def test_an_input_that_changes_while_it_is_read(parts, inputs, monkeypatch):
    source, name = inputs / "bytes.npy", "xpnet.cli.predict_parts.pieces_of"
    with monkeypatch.context() as patch:
        patch.setattr(name, lambda *given: os.utime(source, (0, 0)) or pieces_of(*given))
        result = parts.run(source, inputs / "columns.npy")
    line = f"xpnet: {source}: the file was changed while it was read\n"
    assert (result.code, result.err) == (3, line)
    assert set(parts.contents()) == {"columns.npz"}
    assert parts.run(source).code == 0
    parts.check(source)


def test_what_workers_refuse(parts):
    code, line = parts.refuse("sample", "--input-range", "0..1")
    assert (code, "leave out --input-range" in line) == (2, True)
    try:
        Device("gpu")
    except DeviceError:
        code, line = parts.refuse("sample", "--device", "gpu")
        assert (code, "the worker tcp://" in line) == (5, True)
    assert parts.contents() == {}


def test_nobody_listens(parts, monkeypatch):
    monkeypatch.setattr("xpnet.inference.cluster._SECONDS_TO_CONNECT", 0.2)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        parts.words[1] = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        code, line = parts.refuse("sample")
    assert (code, f"no cluster with workers at '{parts.words[1]}' (" in line) == (5, True)
    assert line.endswith("; 0 of 1 parts are written, and the next run goes on\n")


def test_dask_is_missing(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    line = 'xpnet: a cluster needs Dask: pip install "dask[array,distributed]"\n'
    assert parts.refuse("sample") == (2, line)
    assert parts.contents() == {}
