"""Files of torch.save: a state_dict is read by torch, without running code of the file."""

import io
import sys

import pytest

from xpnet import load

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def saved(value, **options):
    content = io.BytesIO()
    torch.save(value, content, **options)
    return content.getvalue()


def module(dtype="float32"):
    torch.manual_seed(0)
    parts = (nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4, bias=False))
    return nn.Sequential(*parts).to(getattr(torch, dtype))


STATE_DICTS = [  # dtype, name of the file, key in a checkpoint
    ("float16", "model.pt", "state_dict"),
    ("bfloat16", f"{'long' * 50}.PTH", "model_state_dict"),
    ("float32", "model.PT", "model"),
    ("float64", "model.pth", None),
]


@pytest.mark.parametrize(("dtype", "name", "key"), STATE_DICTS)
def test_a_state_dict(tmp_path, dtype, name, key, capfd):
    made, path = module(dtype), tmp_path / name
    optimizer = torch.optim.Adam(made.parameters()).state_dict()
    checkpoint = {"epoch": 3, key: made.state_dict(), "optimizer": optimizer}
    torch.save(checkpoint if key else made.state_dict(), path)
    network = load(path, activation="relu")
    found = {"bfloat16": "float32"}.get(dtype, dtype)
    assert repr(network) == f"Network(3 -> 4 relu -> 4 identity; logits; {found}, numpy)"
    for layer, linear in zip(network.layers, (made[0], made[2]), strict=True):
        assert layer.weight.tolist() == linear.weight.T.tolist()
        assert layer.bias.tolist() == ([0.0] * 4 if linear.bias is None else linear.bias.tolist())
    assert capfd.readouterr() == ("", "")


def test_views_and_parameters(opened):
    whole = torch.randn(5, 9)
    weight = torch.complex(whole, whole).conj().imag[:3, 1:4]  # with torch's negative bit
    assert weight.is_neg()
    tensors = {"0.weight": weight, "0.bias": nn.Parameter(whole[1, 1:7:2]), "1.weight": weight}
    first, second = opened(saved(tensors), activation="relu").layers
    assert first.weight.tolist() == second.weight.tolist() == weight.T.tolist()
    assert first.bias.tolist() == whole[1, 1:7:2].tolist()


class Unpickled:
    def __reduce__(self):
        return print, ("unpickled",)  # when it is loaded


def with_another_byte(place, difference):
    """Return a file with a byte changed: at a distance from the last of some bytes."""
    content = bytearray(saved(module().state_dict()))
    content[content.rindex(place[0]) + place[1]] ^= difference
    return bytes(content)


WEIGHT = torch.ones(2, 2)
NUMBER = (module()[0].bias.detach().numpy().tobytes(), 3)
ATTRIBUTES = (b"archive/data/0", -8)  # of a member; for a folder, torch returns memory as it was
REJECTED = {
    "module": (lambda: saved(module()), "state_dict"),
    "code": (lambda: saved({"a": Unpickled()}), "state_dict"),
    "list": (lambda: saved([WEIGHT]), "state_dict"),
    "key": (lambda: saved({3: WEIGHT}), "state_dict"),
    "sparse": (lambda: saved({"0.weight": WEIGHT.to_sparse()}), "state_dict"),
    "meta": (lambda: saved({"0.weight": WEIGHT.to("meta")}), "state_dict"),
    "integers": (lambda: saved({"0.weight": WEIGHT.int()}), "0.weight must be float16"),
    "batches": (lambda: saved(nn.BatchNorm1d(4).state_dict()), "running_mean"),
    "number": (lambda: with_another_byte(NUMBER, 1), "damaged"),
    "folder": (lambda: with_another_byte(ATTRIBUTES, 16), "damaged"),
    "older": (lambda: saved({"0.weight": WEIGHT}, _use_new_zipfile_serialization=False), "torch"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(error, name, capfd):
    make, word = REJECTED[name]
    assert word in error(make(), activation="relu")
    assert capfd.readouterr() == ("", "")


def test_an_older_torch_and_none(opened, error, path, monkeypatch):
    version, content = torch.torch_version.TorchVersion, saved(module().state_dict())
    monkeypatch.setattr(torch, "__version__", version("2.10.0"))
    assert opened(content, activation="relu").n_in == 3
    monkeypatch.setattr(torch, "__version__", version("2.9.1+cpu"))
    assert "safetensors.torch.save_file(model" in error(content, activation="relu")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"save_file\(model.*pip install torch>=2.10"):
        load(path, activation="relu")
