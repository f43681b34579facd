"""npz files of networks: names of arrays and the description."""

import io

import numpy as np
import pytest

from xpnet import Dense, Network, Standardize
from xpnet.formats.npz import serialize

DRAW = np.random.default_rng(0).standard_normal
ARRAYS = {"W1": DRAW((3, 4)), "b1": DRAW(4), "W2": DRAW((4, 2)), "b2": DRAW(2)}
LAYERS = [Dense(ARRAYS["W1"], ARRAYS["b1"], "relu"), Dense(ARRAYS["W2"], ARRAYS["b2"])]
OWN = serialize(Network(LAYERS, preprocessing=Standardize(DRAW(3)), classes=["no", "yes"]))
with np.load(io.BytesIO(OWN)) as archive:
    MEMBERS = dict(archive)


def file_of(arrays):
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    return content.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_an_own_file(opened):
    assert [*MEMBERS] == ["xpnet", *ARRAYS, "preprocessing.0.mean"]
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(MEMBERS[name], x, strict=True)
    for content in (OWN, file_of(dict(reversed(MEMBERS.items())))):
        assert serialize(opened(content)) == OWN


def test_the_book_in_other_orders_of_memory(opened):
    for change in (np.asfortranarray, lambda x: x.astype(">f8")):
        found = opened(file_of({name: change(x) for name, x in ARRAYS.items()}))
        assert [layer.activation for layer in found.layers] == ["sigmoid", "identity"]
        for layer, expected in zip(found.layers, LAYERS, strict=True):
            np.testing.assert_array_equal(layer.weight, expected.weight, strict=True)
            np.testing.assert_array_equal(layer.bias, expected.bias, strict=True)


@pytest.mark.parametrize("name", ["layers.0.weight", "W01", "W3", "preprocessing.7.mean", ""])
def test_an_own_file_with_another_array(error, name):
    assert error(file_of({**MEMBERS, name: ARRAYS["W1"]}))


@pytest.mark.parametrize("name", MEMBERS)
def test_an_own_file_without_an_array(error, name):
    assert error(file_of({key: x for key, x in MEMBERS.items() if key != name}))


@pytest.mark.parametrize("text", [b"\xff", b"{}", b"", b"[" * 10**5])
def test_other_descriptions(error, text):
    for dtype in ("u1", "f8"):
        assert error(file_of({**MEMBERS, "xpnet": np.frombuffer(text, "u1").astype(dtype)}))


@pytest.mark.parametrize("dtype", ["?", "c16", "U3", "i4", [("a", "f4")], "O"], ids=str)
def test_other_dtypes(error, dtype):
    assert error(file_of({**ARRAYS, "b1": np.zeros(4, dtype)}))
