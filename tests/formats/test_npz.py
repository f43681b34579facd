"""npz files of networks: names of arrays, the description, and damaged archives."""

import io
import zipfile

import numpy as np
import pytest

from xpnet import Dense, Network, Standardize, load
from xpnet.formats.npz import serialize

DRAW = np.random.default_rng(0).standard_normal
ARRAYS = {"W1": DRAW((3, 4)), "b1": DRAW(4), "W2": DRAW((4, 2)), "b2": DRAW(2)}
NETWORK = Network(
    [Dense(ARRAYS["W1"], ARRAYS["b1"], "relu"), Dense(ARRAYS["W2"], ARRAYS["b2"])],
    preprocessing=Standardize(DRAW(3)),
    classes=["no", "yes"],
)
OWN = bytes(serialize(NETWORK))


def npy(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    """Return a zip file of arrays, or of bytes as they are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, x in members.items():
            archive.writestr(f"{name}.npy", x if isinstance(x, bytes) else npy(x))
    return content.getvalue()


with np.load(io.BytesIO(OWN)) as opened_file:
    MEMBERS = {name: opened_file[name] for name in opened_file}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_an_own_file(opened):
    assert [*MEMBERS] == ["xpnet", *ARRAYS, "preprocessing.0.mean"]
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(MEMBERS[name], x, strict=True)
    for content in (OWN, zipped(dict(reversed(MEMBERS.items())))):
        assert bytes(serialize(opened(content))) == OWN


def test_the_book_in_other_orders_of_memory(opened):
    for change in (np.asfortranarray, lambda x: x.astype(">f8"), lambda x: x[..., ::-1][..., ::-1]):
        found = opened(zipped({name: change(x) for name, x in ARRAYS.items()}))
        assert [layer.activation for layer in found.layers] == ["sigmoid", "identity"]
        for layer, expected in zip(found.layers, NETWORK.layers, strict=True):
            assert layer.weight.tobytes() == expected.weight.tobytes()
            assert layer.bias.dtype == np.float64


@pytest.mark.parametrize("name", ["layers.0.weight", "W01", "W3", "preprocessing.7.mean", ""])
def test_an_own_file_with_another_array(error, name):
    assert error(zipped({**MEMBERS, name: ARRAYS["W1"]}))


@pytest.mark.parametrize("name", [*ARRAYS, "preprocessing.0.mean", "xpnet"])
def test_an_own_file_without_an_array(error, name):
    assert error(zipped({key: x for key, x in MEMBERS.items() if key != name}))


@pytest.mark.parametrize("text", [b"\xff", b"{}", b"null", b"", b"[" * 10**5])
def test_other_descriptions(error, text):
    for dtype in ("u1", "f8"):
        assert error(zipped({**MEMBERS, "xpnet": np.frombuffer(text, "u1").astype(dtype)}))


@pytest.mark.parametrize(
    "array", [np.float32(1), np.zeros(4, bool), np.zeros(4, complex), np.zeros(4, "U3"),
              np.zeros(4, "i4"), np.zeros(4, [("a", "f4")]), np.zeros(4, object), b"", b"text"],
    ids=map(str, range(9)),
)  # fmt: skip
def test_other_arrays(error, array):
    assert error(zipped({**ARRAYS, "b1": array}))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_twice(error, path):
    path.write_bytes(zipped(ARRAYS))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("W1.npy", npy(ARRAYS["W1"]))
    assert error(path.read_bytes())


def test_a_text_beside_the_arrays(error, path):
    path.write_bytes(zipped(ARRAYS))
    assert load(path).n_in == 3
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "x")
    assert error(path.read_bytes())
