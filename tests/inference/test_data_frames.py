"""Data frames as images and labels: the results are those of arrays."""

import numpy as np
import pytest

import xpnet

pandas = pytest.importorskip("pandas", reason="needs pandas")

ROWS = np.random.default_rng(0).normal([1.0, 20.0], [1.0, 5.0], (40, 2))
FRAME = pandas.DataFrame(ROWS, columns=["a", "b"])
KINDS = pandas.Series(np.where(ROWS[:, 0] > 1.0, "high", "low"))
NETWORK = xpnet.Network(
    [xpnet.Dense([[1.0, -1.0], [0.0, 0.0]], np.zeros(2))],
    preprocessing=xpnet.Standardize.fit(FRAME),
    classes=("high", "low"),
)


@pytest.mark.parametrize("function", [xpnet.forward, xpnet.predict, xpnet.predict_proba])
def test_results_are_arrays(function):
    found = function(NETWORK, FRAME)
    assert type(found) is np.ndarray
    assert np.array_equal(found, function(NETWORK, ROWS))


def test_labels_with_names():
    result = xpnet.evaluate(NETWORK, FRAME, KINDS)
    assert result.accuracy == xpnet.evaluate(NETWORK, ROWS, KINDS.tolist()).accuracy > 0.9
    run, again = (
        xpnet.train(NETWORK, *given, epochs=2, batch_size=10)
        for given in [(FRAME, KINDS), (ROWS, KINDS.tolist())]
    )
    assert np.array_equal(run.network.layers[0].weight, again.network.layers[0].weight)
