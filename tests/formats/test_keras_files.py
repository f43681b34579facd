"""Files of Keras made by hand: foreign HDF5 and configurations are checked before they are used."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest

from xpnet import WeightsError, load
from xpnet.formats.load_save import summarize
from xpnet.formats.model_file import LoadOptions

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

KERNEL, BIAS = np.arange(6, dtype="f4").reshape(3, 2), np.ones(2, "f4")
DENSE = {"name": "dense", "units": 2, "activation": "relu", "use_bias": True}


def config(kind="Dense", row=(3,), module="keras.layers", **options):
    start = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, *row]}}
    layer = {"class_name": kind, "config": DENSE | options}
    layers = [{"module": module, **x} for x in (start | {"module": "keras.layers"}, layer)]
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}


def hdf5(change=lambda _: None):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = KERNEL, BIAS
        change(file)
    return content.getvalue()


def older_weights():
    return hdf5(lambda file: file.update({"model_weights/dense/dense/kernel:0": KERNEL}))


def archive(model=None, weights=None, version="3.15.1", compression=0, **others):
    members = {"metadata.json": json.dumps({"keras_version": version})}
    members["config.json"] = json.dumps(config() if model is None else model)
    members["model.weights.h5"] = hdf5() if weights is None else weights
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, x in (members | others).items():
            if x:
                file.writestr(name, x)
    return content.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def test_a_model(opened):
    network = opened(archive())
    assert repr(network) == "Network(3 -> 2 relu; logits; float32, numpy)"
    assert network.layers[0].weight.tolist() == KERNEL.tolist()
    assert network.layers[0].bias.tolist() == BIAS.tolist()


def replace_kernel(make):
    def change(file):
        del file["layers/dense/vars/0"]
        make(file["layers/dense/vars"], file)

    return change


def large(group, _):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)  # its storage is never allocated
    space = h5py.h5s.create_simple((1 << 20, 1 << 20))
    h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, plist)


def virtual(group, _):
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 2))
    group.create_virtual_dataset("0", layout)


def external(group, _):
    group.create_dataset("0", (3, 2), "f4", external=[("/etc/passwd", 0, 24)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda group, _: group.update({"0": h5py.SoftLink("/layers")}), "Keras writes it: a link"),
        (lambda group, _: group.update({"0": h5py.ExternalLink("/etc/passwd", "x")}), "it: a link"),
        (virtual, "storage of 'layers/dense/vars/0'"),
        (external, "storage of 'layers/dense/vars/0'"),
        (lambda group, _: group.create_dataset("0", data=KERNEL, chunks=(1, 1)), "storage of 'l"),
        (lambda group, _: group.create_dataset("0", data=KERNEL, compression=9), "storage of 'l"),
        (
            lambda group, _: group.create_dataset("0", data=[b"abc"]),
            "storage of 'layers/dense/vars",
        ),
        (large, "the size of the arrays"),
        (lambda group, file: group.update({"0": file["layers"]}), "or nested too deeply"),
    ],
    ids=["soft", "outside", "virtual", "external", "chunks", "packed", "strings", "large", "cycle"],
)
def test_hdf5_that_keras_does_not_write(opened, make, message):
    weights = hdf5(replace_kernel(make))
    for content in (archive(weights=weights), weights):
        with pytest.raises(WeightsError, match=f"damaged, or no HDF5 file of Keras.*{message}"):
            opened(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(config("Lambda")), "Keras layers must be of .*Softmax; got Lambda 'dense'"),
        (
            archive(config(activation="glu")),
            "Dense 'dense' must have an activation of Keras and xpnet; got 'g",
        ),
        (
            archive(version="2.15.0"),
            r"found '2\.15\.0', expected Keras 3, load it in Keras 3 and save it as \.keras",
        ),
        (older_weights(), "a whole model in HDF5, the older format, expected Keras 3, load it in"),
        (archive(config(use_bias=False)), "Dense 'dense' must have 1 arrays; got 2"),
        (archive(config("BatchNormalization", axis=2)), "must have axis=-1; got 2"),
        (archive(config("Normalization", invert=True)), "must have invert=False; got True"),
        (
            archive(config("Flatten", (3, 2), data_format="channels_first")),
            "Flatten 'dense' must have data_format=channels_last; got channels_first",
        ),
        (archive(config(module="mine")), "Keras layers must be of .*; got mine.Dense 'dense'"),
        (archive(config(activation="step")), "an activation of Keras and xpnet; got 'step'"),
        (archive(config(units=3)), r"must have a kernel of 3 columns; got \(3, 2\)"),
        (archive(config(row=(2, 3))), "Dense 'dense' must get rows of one axis, as after Flatten"),
        (
            archive({"class_name": "Mine", "registered_name": "Custom>Mine", "config": {}}),
            "must be keras.Sequential or a functional keras.Model; got 'custom.Custom>Mine'",
        ),
        (archive([[]]), "invalid network: 'class_name' of a layer must be a str; got NoneType"),
        (archive(**{"config.json": "{"}), "invalid network: JSONDecodeError"),
        (archive(**{"config.json": "[" * 99999}), "invalid network: RecursionError"),
        (
            archive(**{"model.weights.h5": ""}),
            "without a model of Keras, expected the member model.w",
        ),
        (archive(weights=b"HDF"), "damaged, or no HDF5 file of Keras"),
    ],
    ids=[
        "Lambda", "glu", "Keras 2", "whole", "bias", "axis", "invert", "first", "module", "step",
        "units", "2-D", "subclass", "list", "JSON", "deep", "member", "HDF",
    ],
)  # fmt: skip
def test_other_contents(opened, content, message):
    with pytest.raises(WeightsError, match=message):
        opened(content)


def test_limits(opened):
    content = archive()
    with pytest.raises(WeightsError, match=r"files of Keras are too large, found .*, --max-b"):
        opened(content, max_bytes=len(content) - 1)


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_a_large_configuration(opened, name):
    content = archive(compression=zipfile.ZIP_DEFLATED, **{name: " " * 4_194_305})
    with pytest.raises(WeightsError, match=f"Keras member '{name}' is too large, .* 4,194,304"):
        opened(content)


def test_weights_that_unpack_to_much_more_than_the_file(opened):
    content = archive(weights=hdf5() + bytes(1 << 24), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r"weights are too large, .* 16,777,216, --max-bytes"):
        opened(content)
    assert opened(content, max_bytes=1 << 25).n_out == 2


def test_a_negative_variance(opened):
    with pytest.raises(WeightsError, match="`factor` must be finite and not zero; got nan"):
        opened(archive(config("Normalization", mean=0.0, variance=-1.0)))


def test_nonfinite_weights(opened):
    def change(file):
        file["layers/dense/vars/1"][0] = np.inf

    content = archive(weights=hdf5(change))
    with pytest.raises(WeightsError, match=r"layers\.0\.bias must be finite; got 1 values"):
        opened(content)
    assert opened(content, allow_nonfinite=True).layers[0].bias[0] == np.inf


def rejection(path, **options):
    """Return the message about a file that is rejected, None for others."""
    try:
        load(path, **options)
        summarize(path, LoadOptions())
    except WeightsError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("content", "options"),
    [(archive(), {}), (hdf5(), {"activation": "relu"})],
    ids=["keras", "weights"],
)
def test_any_byte_changed(path, content, options):
    draw, messages = np.random.default_rng(0), []
    for _ in range(150):
        damaged = bytearray(content)
        damaged[draw.integers(len(content))] ^= 1 << draw.integers(8)
        path.write_bytes(damaged)
        messages.append(rejection(path, **options) or "")
    assert max(map(len, messages)) <= 390
    assert 10 < sum(map(bool, messages)) < 150


def test_groups_with_many_paths(opened):
    def change(file):
        group = file
        for _ in range(20):
            group = group.create_group("a")
            group.parent["b"] = group

    with pytest.raises(WeightsError, match="not as Keras writes it: too many groups, or nested"):
        opened(hdf5(change), activation="relu")


@pytest.mark.parametrize("change", [{"config": {}}, {"config": {"layers": 3}}, []], ids=str)
def test_a_summary_of_no_model(path, change):
    path.write_bytes(archive(config() | change if change else change))
    with pytest.raises(WeightsError, match=r"invalid network: '.*' of a layer must be a "):
        summarize(path, LoadOptions())


def places(value):
    """Yield each entry of nested containers as its container and its key."""
    for key, x in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(x, dict | list):
            yield from places(x)


@pytest.mark.parametrize("new", [None, True, 3, "x", [], ["x"], {}, {"class_name": []}], ids=str)
def test_any_entry_of_the_configuration_changed(path, new):
    model = config(activation={"module": "keras.layers", "class_name": "ReLU", "config": {}})
    messages = []
    for container, key in list(places(model)):
        old, container[key] = container[key], new
        path.write_bytes(archive(model))
        messages.append(rejection(path) or "")
        container[key] = old
    assert 10 < sum(map(bool, messages)) < len(messages)


def test_h5py_is_missing(path, monkeypatch):
    path.write_bytes(archive())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        ModuleNotFoundError, match="of Keras need the package h5py: pip install h5py"
    ):
        load(path)
