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


def test_an_own_file_with_another_array_or_description_or_without_one(error):
    for name in ("W01", "W3", "preprocessing.7.mean", ""):
        error(file_of({**MEMBERS, name: ARRAYS["W1"]}))
    for name in MEMBERS:
        error(file_of({key: x for key, x in MEMBERS.items() if key != name}))
    for text in (b"\xff", b"{}", b"", MEMBERS["xpnet"].tobytes()):
        error(file_of({**MEMBERS, "xpnet": np.frombuffer(text, "u1").astype("f8")}))
        error(file_of({**MEMBERS, "xpnet": np.frombuffer(text[:-1], "u1")}))
