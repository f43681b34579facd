"""Files of torch.save: state_dicts are read without torch, everything else is rejected."""

import io
import zipfile
from collections import OrderedDict

import pytest

from xpnet import WeightsError
from xpnet.formats.load_save import summarize
from xpnet.formats.model_file import LoadOptions

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def module(dtype=torch.float32):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4)).to(dtype)


def saved(value, **options):
    content = io.BytesIO()
    torch.save(value, content, **options)
    return content.getvalue()


def assert_equal(network, expected):
    for layer, linear in zip(network.layers, (expected[0], expected[2]), strict=True):
        assert layer.weight.tolist() == linear.weight.T.tolist()
        assert layer.bias.tolist() == linear.bias.tolist()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float16", "float16"), ("bfloat16", "float32"), ("float32",) * 2, ("float64",) * 2],
)
def test_a_state_dict(opened, dtype, expected):
    made = module(getattr(torch, dtype))
    network = opened(saved(made.state_dict()), activation="relu")
    # The square weight would be ambiguous; torch's files are (n_out, n_in).
    assert repr(network) == f"Network(3 -> 4 relu -> 4 identity; logits; {expected}, numpy)"
    assert_equal(network, made)


def test_batch_norm_asks_for_the_module(opened):
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    message = r"BatchNorm .*: xpnet.from_torch\(module\); found 1.running_mean$"
    with pytest.raises(WeightsError, match=message):
        opened(saved(made.state_dict()), activation="relu")


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoint(opened, key):
    made = module()
    optimizer = torch.optim.Adam(made.parameters())
    made(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "loss": 0.5, key: made.state_dict(), "step": torch.tensor(7)}
    checkpoint["optimizer_state_dict"] = optimizer.state_dict()
    assert_equal(opened(saved(checkpoint), activation="relu"), made)


def test_views_parameters_and_shared_storages(opened):
    whole = torch.randn(5, 9)
    weight, bias = whole.T[2:5, 1:4], whole[1, 1:7:2]
    tensors = {"0.weight": weight, "0.bias": nn.Parameter(bias), "1.weight": weight, "1.bias": bias}
    layers = opened(saved(tensors), activation="relu").layers
    for layer in layers:
        assert layer.weight.tolist() == weight.T.tolist()
        assert layer.bias.tolist() == bias.tolist()


def test_a_summary(path):
    path.write_bytes(saved(module(torch.bfloat16).state_dict()))
    found = summarize(path, LoadOptions())
    assert found["format"] == "torch"
    assert found["arrays"][0] == ["0.weight", "bfloat16", [4, 3]]


def negative(tensor):
    """Return a view with torch's negative bit, as ``x.conj().imag`` has."""
    view = torch._neg_view(tensor)  # noqa: SLF001 (the only way for half precision)
    assert view.is_neg()
    return view


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_negative_bit(opened, dtype):
    weight = negative(torch.randn(4, 4).to(getattr(torch, dtype)))[:, 1:]
    tensors = {"0.weight": weight, "0.bias": nn.Parameter(weight[:, 0])}
    (layer,) = opened(saved(tensors), activation="relu").layers
    assert layer.weight.tolist() == weight.T.tolist()
    assert layer.bias.tolist() == weight[:, 0].tolist()


def test_other_metadata(opened):
    content = saved({"0.weight": negative(torch.ones(2, 2))})
    content = repacked(content, lambda _, x: x.replace(b"X\x03\0\0\0neg", b"X\x04\0\0\0conj"))
    with pytest.raises(WeightsError, match=r"conjugate bit, or other metadata: save x\.resolve_"):
        opened(content, activation="relu")


class Unpickled:
    """An object whose unpickling would call a function."""

    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            module(),
            "it holds 'torch.nn.modules.container.Sequential', not real tensors alone: save mod",
        ),
        ({"a": Unpickled()}, r"it holds '(__builtin__|builtins)\.print', not real tensors alone"),
        ([torch.ones(2)], r"it holds an object of type list: save model\.state_dict\(\)"),
        ({"epoch": 3}, r"the entry 'epoch' is not a tensor: save model\.state_dict\(\)"),
        (
            {"a": torch.ones(2, 2, dtype=torch.int64)},
            "'a', found int64, expected float16, bfloat16",
        ),
    ],
    ids=["module", "code", "list", "number", "integers"],
)
def test_other_objects(opened, capsys, value, message):
    with pytest.raises(WeightsError, match=message):
        opened(saved(value), activation="relu")
    assert capsys.readouterr().out == ""


def repacked(content, change):
    """Return a compressed archive of changed members, without those that become None."""
    packed = io.BytesIO()
    method = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w", method) as new:
        for info in old.infolist():
            member = change(info.filename, old.read(info))
            if member is not None:
                new.writestr(info.filename, member)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # Lengths in the pickle, as bytes: a stride, an offset and a number of rows.
        (
            b"K\x03K\x01\x86",
            b"K\x63K\x01\x86",
            "a tensor must end in its storage of 12 numbers; got",
        ),
        (
            b"QK\x00K\x04K\x03",
            b"QK\x09K\x04K\x03",
            "end in its storage of 12 numbers; got index 20",
        ),
        (b"K\x0ct", b"K\x0dt", "has less than its header declares, expected 52 bytes of the array"),
        (b"FloatStorage", b"ComplexFloatStorage", "holds 'torch.ComplexFloatStorage', not real t"),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", "holds 'torch._utils._rebuild_tensor_v3'"),
    ],
    ids=["stride", "offset", "size", "type", "name"],
)
def test_tensors_outside_of_their_storage(opened, old, new, message):
    def change(name, content):
        assert old in content or not name.endswith("data.pkl")
        return content.replace(old, new) if name.endswith("data.pkl") else content

    content = saved(OrderedDict(module().state_dict()))
    with pytest.raises(WeightsError, match=message):
        opened(repacked(content, change), activation="relu")


def test_a_state_that_would_replace_the_checked_lengths(opened):
    state = b"}X\x06\0\0\0offsetM\xff\xffsb"
    content = repacked(
        saved({"0.weight": torch.ones(2, 2)}),
        lambda _, x: x.replace(b"Rq\rs.", b"R" + state + b"s."),
    )
    with pytest.raises(WeightsError, match="a state for an object without one"):
        opened(content, activation="relu")


def test_shapes_of_many_lengths(opened):
    # Without a limit, each of many tensors would copy and check a list of thousands of lengths.
    content = repacked(
        saved(module().state_dict()),
        lambda _, x: x.replace(b"K\x04K\x03\x86", b"(" + b"K\x01" * 33 + b"t"),
    )
    with pytest.raises(WeightsError, match="a call of _rebuild_tensor_v2 without a storage and l"):
        opened(content, activation="relu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "numbers of a tensor are missing: no member 'data/0', save or copy it"),
        (lambda x: x[:-4], "/data/0' has less than its header declares, expected 48 bytes"),
        (lambda x: x + b"1234", "/data/0' has more than its header declares, expected 48 bytes"),
    ],
    ids=["missing", "shorter", "longer"],
)
def test_a_storage_that_is_not_whole(opened, change, message):
    content = repacked(
        saved(module().state_dict()), lambda name, x: change(x) if name.endswith("data/0") else x
    )
    with pytest.raises(WeightsError, match=message):
        opened(content, activation="relu")


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("data.pkl", b"N0" * (9 << 20) + b"}.", "/data.pkl' is too large, found 18,8"),
        ("byteorder", b" " * (18 << 20), "/byteorder' is too large, found 18,874,368 bytes"),
        ("data/0", bytes(18 << 20), "tensors are too large, found 18,874,368 bytes"),
    ],
    ids=["pickle", "byte order", "storage"],
)
def test_members_that_unpack_to_far_more(opened, member, content, message):
    whole = saved({"0.weight": torch.zeros(9 << 20, dtype=torch.float16)[:4].view(2, 2)})
    bomb = repacked(whole, lambda name, x: content if name.endswith(f"/{member}") else x)
    assert len(bomb) < 1 << 19
    with pytest.raises(WeightsError, match=message):
        opened(bomb, activation="relu")


def test_a_view_that_is_far_larger_than_the_file(opened):
    content = saved({"0.weight": torch.ones(1).expand(3000, 3000), "0.bias": torch.ones(3000)})
    with pytest.raises(
        WeightsError, match="tensors are too large, found 72,024,000 bytes, expected"
    ):
        opened(content, activation="relu")


def test_a_big_endian_file(opened):
    content = repacked(
        saved(module().state_dict()), lambda name, x: b"big" if name.endswith("byteorder") else x
    )
    with pytest.raises(WeightsError, match="the byte order of the file must be little"):
        opened(content, activation="relu")


def test_the_format_before_torch_1_6(opened):
    content = saved(module().state_dict(), _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match=r"in the format of torch before 1\.6, load it in torch"):
        opened(content, activation="relu")


def test_torchscript(opened):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("data/0", "data.pkl", "code/__torch__/net.py", "version"):
            archive.writestr(f"script/{name}", b"")
    with pytest.raises(WeightsError, match="TorchScript: save the state_dict of the module"):
        opened(content.getvalue(), activation="relu")
