"""Names of a network's inputs: columns of data frames in any order give the same results."""

import numpy as np
import pytest

import xpnet
from xpnet import Network
from xpnet.networks.column_names import input_names, positions, with_input_names

NAMES = ["花", "width", "a b", "é"]
X = np.random.default_rng(0).normal(size=(40, 4))
Y = np.argmax(X[:, :3], axis=1)
START = xpnet.init_network([4, 5, 3], dtype="float64")


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
def test_columns_are_put_in_order(use, frame):
    network = trained(frame)
    expected = USES[use](network, X)
    for given in (frame, frame[NAMES[::-1]]):
        np.testing.assert_array_equal(USES[use](network, given), expected)


@pytest.mark.parametrize("use", USES)
def test_other_columns_are_an_error(use, frame):
    network = trained(frame)
    renamed = frame.rename({"width": "Width"}, **({"axis": 1} if hasattr(frame, "iloc") else {}))
    for other in (renamed, frame[NAMES[1:]]):
        with pytest.raises(ValueError, match=r"花.*'width'.*got.*'a b'"):
            USES[use](network, other)


def test_twice_the_same_name():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    twice = pandas.DataFrame(X, columns=["a", "b", "b", "c"])
    with pytest.raises(ValueError, match="'b', 'b'"):
        trained(twice)
    with pytest.raises(ValueError, match="'b', 'b'"):
        xpnet.predict(with_input_names(START, NAMES), twice)


def test_names_of_some_columns_alone():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    some = pandas.DataFrame(X, columns=["a", "b", "c", 3])
    for network in (START, with_input_names(START, NAMES)):
        with pytest.raises(TypeError, match="3"):
            xpnet.predict(network, some)


def test_rows_without_names_are_taken_by_position(frame):
    network = trained(frame)
    expected = network(X)
    for rows in (X, X.tolist(), type(frame)(X) if hasattr(frame, "iloc") else X):
        np.testing.assert_array_equal(network(rows), expected)
    again = trained(X, network)  # keeps the names
    assert input_names(again) == NAMES
    assert input_names(trained(X)) is None
    np.testing.assert_array_equal(trained(X)(frame[NAMES[::-1]]), trained(X)(X[:, ::-1]))


def test_pixels_have_no_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pixels = pandas.DataFrame(np.tile(X, 16)).rename(columns="pixel{}".format)
    network = trained(pixels, xpnet.init_network([64, 3]))
    assert input_names(network) is None
    assert input_names(trained(pixels.iloc[:, :63], xpnet.init_network([63, 3]))) is not None
    xpnet.predict(network, pixels.rename(columns="1x{}".format))


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "onnx"])
def test_files_keep_the_names(suffix, tmp_path):
    if suffix == "onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    xpnet.save(with_input_names(START, NAMES), tmp_path / f"network.{suffix}")
    assert input_names(xpnet.load(tmp_path / f"network.{suffix}")) == NAMES


def test_positions_of_columns():
    network = with_input_names(START, NAMES)
    assert positions(network, ["é", "a b", "width", "花"]) == [3, 2, 1, 0]
    assert positions(network, None) is positions(START, NAMES) is None
    with pytest.raises(xpnet.DataError, match=r"without \['é'\]"):
        positions(network, [*NAMES[:3], "e"])


@pytest.mark.parametrize("text", ["a", "5", "[[", '["a"]', "[1, 2, 3, 4]", '["a", "a", "b", "c"]'])
def test_invalid_names_in_the_metadata(text):
    with pytest.raises(ValueError, match="inputs"):
        Network(START.layers, metadata={"inputs": text})
