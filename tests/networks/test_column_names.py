"""Names of a network's inputs: columns of data frames in any order give the same results."""

import json

import numpy as np
import pytest

import xpnet
from xpnet import Network
from xpnet.networks.column_names import input_names, positions

NAMES = ["花", "width", "a b", "é"]
X = np.random.default_rng(0).normal(size=(40, 4))
Y = np.argmax(X[:, :3], axis=1)
START = xpnet.init_network([4, 5, 3], dtype="float64")
NAMED = Network(START.layers, metadata={"inputs": json.dumps(NAMES)})


@pytest.fixture(params=["pandas", "polars"])
def frame(request):
    library = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return library.DataFrame(dict(zip(NAMES, X.T, strict=True)))


def trained(images, network=START, **options):
    return xpnet.train(network, images, Y, epochs=2, learning_rate=0.05, **options).network


USES = {
    "predict": xpnet.predict,
    "predict_proba": xpnet.predict_proba,
    "evaluate": lambda network, x: xpnet.evaluate(network, x, Y).confusion,
    "call": Network.__call__,
    "result_hash": xpnet.result_hash,
    "error_bound": lambda network, x: xpnet.parity.error_bound(network, x).stages[-1].bound,
    "train": lambda network, x: trained(x, network)(X),
    "validation": lambda network, x: trained(X, network, validation=(x, Y))(X),
}


@pytest.mark.parametrize("use", USES)
def test_columns_are_put_in_order_and_others_are_an_error(use, frame):
    network = trained(frame)
    expected = USES[use](network, X)
    for given in (frame, frame[NAMES[::-1]]):
        np.testing.assert_array_equal(USES[use](network, given), expected)
    renamed = frame.rename({"width": "Width"}, **({"axis": 1} if hasattr(frame, "iloc") else {}))
    for other in (renamed, frame[NAMES[1:]]):
        with pytest.raises(ValueError, match=r"花.*'width'.*got.*'a b'"):
            USES[use](network, other)


def test_rows_without_names_are_taken_by_position(frame):
    network = trained(frame)
    for rows in (X, X.tolist(), type(frame)(X) if hasattr(frame, "iloc") else X):
        np.testing.assert_array_equal(network(rows), network(X))
    assert input_names(trained(X, network)) == NAMES  # which it keeps
    unnamed = trained(X)
    assert input_names(unnamed) is None
    np.testing.assert_array_equal(unnamed(frame[NAMES[::-1]]), unnamed(X[:, ::-1]))


def test_steps_and_labels_of_data_frames(frame):
    kinds = type(frame)({"kind": [f"kind {y}" for y in Y]})["kind"]
    found, expected = (
        xpnet.train(Network(START.layers, xpnet.Standardize.fit(x)), x, y, epochs=2).network
        for x, y in ((frame, kinds), (X, kinds.to_list()))
    )
    assert found.classes == ("kind 0", "kind 1", "kind 2")
    np.testing.assert_allclose(found(frame), expected(X), rtol=1e-9)
    accuracy = np.mean(xpnet.predict(expected, X) == kinds.to_list())
    assert xpnet.evaluate(found, frame, kinds).accuracy == accuracy


def test_names_that_are_doubled_or_of_some_columns_alone():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    for columns, error, word in (
        (["a", "b", "b", "c"], ValueError, "'b', 'b'"),
        (["a", "b", "c", 3], TypeError, "3"),
    ):
        for call in (trained, lambda x: xpnet.predict(NAMED, x)):
            with pytest.raises(error, match=word):
                call(pandas.DataFrame(X, columns=columns))


def test_pixels_have_no_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pixels = pandas.DataFrame(np.tile(X, 16)).rename(columns="pixel{}".format)
    network = trained(pixels, xpnet.init_network([64, 3]))
    assert input_names(network) is None
    assert input_names(trained(pixels.iloc[:, :63], xpnet.init_network([63, 3]))) is not None
    xpnet.predict(network, pixels.rename(columns="1x{}".format))


def test_positions_of_columns():
    assert positions(NAMED, ["é", "a b", "width", "花"]) == [3, 2, 1, 0]
    assert positions(NAMED, ["width", "a b", "é", "花"]) == [3, 0, 1, 2]
    assert positions(NAMED, None) is positions(START, NAMES) is None
    for names in ([*NAMES[:3], "e"], [*NAMES, "é"]):
        with pytest.raises(xpnet.DataError, match="columns"):
            positions(NAMED, names)


@pytest.mark.parametrize("text", ["a", "5", "[[", '["a"]', "[1, 2, 3, 4]", '["a", "a", "b", "c"]'])
def test_invalid_names_in_the_metadata(text):
    with pytest.raises(ValueError, match="inputs"):
        Network(START.layers, metadata={"inputs": text})
