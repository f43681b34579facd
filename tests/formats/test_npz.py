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
    np.savez(content := io.BytesIO(), **arrays)
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
