"""Data frames as images and labels: the results are those of arrays."""

import numpy as np
import pytest

from xpnet import (
    DataError,
    Dense,
    Network,
    Standardize,
    evaluate,
    forward,
    predict,
    predict_proba,
    train,
)

pandas = pytest.importorskip("pandas", reason="needs pandas")

ROWS = np.random.default_rng(0).normal([1.0, 20.0], [1.0, 5.0], (40, 2))
FRAME = pandas.DataFrame(ROWS, columns=["a", "b"])
KINDS = pandas.Series(np.where(ROWS[:, 0] > 1.0, "high", "low"))
WEIGHT = np.array([[1.0, -1.0], [0.0, 0.0]])
NETWORK = Network(
    [Dense(WEIGHT, np.zeros(2))], preprocessing=Standardize.fit(FRAME), classes=("high", "low")
)


@pytest.mark.parametrize("function", [forward, predict, predict_proba])
def test_results_are_arrays(function):
    found = function(NETWORK, FRAME)
    assert type(found) is np.ndarray
    assert np.array_equal(found, function(NETWORK, ROWS))


def test_evaluate_with_names():
    result = evaluate(NETWORK, FRAME, KINDS)
    assert result.accuracy == evaluate(NETWORK, ROWS, KINDS.tolist()).accuracy > 0.9


def test_train_with_names():
    run = train(NETWORK, FRAME, KINDS, epochs=2, batch_size=10)
    again = train(NETWORK, ROWS, np.asarray(KINDS.tolist()), epochs=2, batch_size=10)
    assert np.array_equal(run.network.layers[0].weight, again.network.layers[0].weight)


@pytest.mark.parametrize(
    ("column", "error", "word"), [(np.nan, DataError, "row 0"), (KINDS, TypeError, "dtype object")]
)
def test_columns_without_numbers_are_errors(column, error, word):
    with pytest.raises(error, match=word):
        predict(NETWORK, FRAME.assign(b=column))
