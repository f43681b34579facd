"""Conversion from scikit-learn: the same predictions, or an error with the reason."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import xpnet
from xpnet import from_sklearn, predict, predict_proba

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler

DRAW = np.random.default_rng(0)
X = DRAW.normal([3, -20, 0, 100], [1, 5, 0.01, 30], (80, 4))
IDS = np.arange(80) % 3
# Both add the same few terms of two or three layers, in orders of their own.
ULPS = 64


def fitted(estimator, x=X, y=IDS):
    """Return the estimator after a few training steps; its accuracy does not matter."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    last.set_params(random_state=0, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(x, y)


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (6, 5), **options})


def labels_of(network, x):
    return predict(network, x).tolist()


def assert_close(found, expected, dtype=np.float64):
    np.testing.assert_allclose(found, expected, rtol=ULPS * np.finfo(dtype).eps, atol=1e-14)


# Each kind of classes, and each activation twice.
@pytest.mark.parametrize(
    ("classes", "activation"),
    [
        ([0, 1], "identity"),
        ([0, 1, 2], "logistic"),
        ([-3, 7], "tanh"),
        ([10, 5, 20], "relu"),
        (["no", "yes"], "logistic"),
        (["cat", "dog", "bird"], "identity"),
        ([False, True], "relu"),
        ([1.0, 2.0, 3.0], "tanh"),
    ],
    ids=str,
)
def test_classifiers(classes, activation):
    labels = np.asarray([classes[i % len(classes)] for i in range(len(X))])
    x = StandardScaler().fit_transform(X)
    estimator = fitted(classifier(activation=activation), x, labels)
    network = from_sklearn(estimator)
    assert network.output == "logits"
    assert network.classes == tuple(sorted(classes))
    assert_close(predict_proba(network, x), estimator.predict_proba(x))
    assert labels_of(network, x) == estimator.predict(x).tolist()


@pytest.mark.parametrize("widths", [(), (1,), (3, 4, 5)], ids=str)
def test_hidden_layers(widths):
    estimator = fitted(classifier(hidden_layer_sizes=widths), X / 100)
    network = from_sklearn(estimator)
    assert [layer.n_out for layer in network.layers] == [*widths, 3]
    assert_close(predict_proba(network, X / 100), estimator.predict_proba(X / 100))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regressors(n_outputs):
    x = StandardScaler().fit_transform(X)
    y = x[:, 0] if n_outputs == 1 else x[:, :n_outputs]
    estimator = fitted(MLPRegressor(hidden_layer_sizes=(6,), activation="tanh"), x, y)
    network = from_sklearn(estimator)
    assert (network.output, network.classes, network.n_out) == ("values", None, n_outputs)
    assert_close(network(x).reshape(y.shape), estimator.predict(x))


def test_a_regressor_of_counts():
    if "loss" not in MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no loss='poisson'")
    x = StandardScaler().fit_transform(X)
    estimator = fitted(MLPRegressor(hidden_layer_sizes=(6,), loss="poisson"), x, IDS)
    network = from_sklearn(estimator)
    assert network.layers[-1].activation == "exponential"
    assert_close(network(x)[:, 0], estimator.predict(x))


SCALERS: dict[str, Callable[[], list[Any]]] = {
    "standard": lambda: [StandardScaler()],
    "no mean": lambda: [StandardScaler(with_mean=False)],
    "no scale": lambda: [StandardScaler(with_std=False)],
    "nothing": lambda: [StandardScaler(with_mean=False, with_std=False)],
    "range": lambda: [MinMaxScaler()],
    "other range": lambda: [MinMaxScaler((-3, 7))],
    "both": lambda: [MinMaxScaler((5, 6)), StandardScaler()],
    "passthrough": lambda: ["passthrough", StandardScaler(), None],
}


def reach(network, x):
    """Return the largest difference of two correct computations of the probabilities.

    Numbers of a scaler are rounded, and scikit-learn's formula for a range has one operation more:
    four units of each term of a step. That passes weights by their norms; relu and softmax make no
    difference larger. The rest is within the derived bound, twice.
    """
    unit = np.finfo(network.dtype).eps / 2
    values = x.astype(np.float64)
    error = unit * np.abs(values)
    for step in network.preprocessing:
        terms = np.abs(values) + np.abs(step.mean)
        error = (error + 4 * unit * terms) / step.scale
        values = (values - step.mean) / step.scale
    moved = np.linalg.norm(error, axis=1).max()
    for layer in network.layers:
        moved *= np.linalg.norm(layer.weight, 2)
    last = replace(network.layers[-1], activation="softmax")
    shares = replace(network, layers=(*network.layers[:-1], last), output="probabilities")
    return float(moved + 2.0 * xpnet.parity.error_bound(shares, x).stages[-1].bound.max())


@pytest.mark.parametrize("scalers", SCALERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalers(scalers, dtype):
    x = X.astype(dtype)
    parts = [*SCALERS[scalers](), classifier()]
    estimator = fitted(Pipeline([(str(i), part) for i, part in enumerate(parts)]), x)
    network = from_sklearn(estimator)
    assert network.dtype == np.dtype(dtype)
    np.testing.assert_allclose(
        predict_proba(network, x), estimator.predict_proba(x), rtol=0.0, atol=reach(network, x)
    )
    assert labels_of(network, x) == estimator.predict(x).tolist()


def test_a_constant_input():
    x = X.copy()
    x[:, 1] = 5.0
    estimator = fitted(make_pipeline(StandardScaler(), MinMaxScaler(), classifier()), x)
    assert_close(predict_proba(from_sklearn(estimator), x), estimator.predict_proba(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_inputs_of_one_dtype(dtype):
    x = StandardScaler().fit_transform(X).astype(dtype)
    estimator = fitted(classifier(), x)
    network = from_sklearn(estimator)
    assert network.dtype == np.dtype(dtype)
    np.testing.assert_allclose(
        predict_proba(network, x), estimator.predict_proba(x), rtol=ULPS * np.finfo(dtype).eps
    )


def test_what_the_estimator_learns_later_changes_nothing():
    scaler = StandardScaler().fit(X)
    estimator = fitted(classifier(), scaler.transform(X))
    network = from_sklearn(Pipeline([("scale", scaler), ("mlp", estimator)]))
    before = network(X)
    estimator.partial_fit(X, IDS)
    scaler.mean_ += 1.0
    scaler.scale_ += 1.0
    assert np.array_equal(network(X), before)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (RandomForestClassifier(), "must be an MLPClassifier or MLPRegressor; got RandomForest"),
        (GridSearchCV(MLPClassifier(), {}), "must be an MLPClassifier or .*; got GridSearchCV"),
        (make_pipeline(StandardScaler()), "must be an MLPClassifier or .*; got StandardScaler"),
        (StandardScaler(), "must be an MLPClassifier or MLPRegressor; got StandardScaler"),
        (MLPClassifier(), "must be fitted; got MLPClassifier before its fit"),
        (MLPRegressor(), "must be fitted; got MLPRegressor before its fit"),
        (Pipeline([("a", "passthrough")]), "must be an MLPClassifier or MLPRegressor; got str"),
        (None, "must be an MLPClassifier or MLPRegressor; got NoneType"),
    ],
    ids=["forest", "search", "scalers", "scaler", "unfitted", "unfitted too", "text", "none"],
)
def test_other_estimators(estimator, named):
    with pytest.raises(TypeError, match=named):
        from_sklearn(estimator)


class MyMLP(MLPClassifier):
    """An estimator of a third-party class."""


def test_a_subclass():
    with pytest.raises(TypeError, match="got MyMLP"):
        from_sklearn(fitted(MyMLP((3,))))


@pytest.mark.parametrize("step", [RobustScaler(), PolynomialFeatures(1, include_bias=False)])
def test_other_steps(step):
    estimator = fitted(make_pipeline(step, classifier()))
    named = type(step).__name__
    with pytest.raises(TypeError, match=f"must be StandardScaler or MinMaxScaler; got {named}"):
        from_sklearn(estimator)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_a_scaler_before_its_fit(scaler):
    estimator = Pipeline([("scale", scaler), ("mlp", fitted(classifier()))])
    named = type(scaler).__name__
    with pytest.raises(TypeError, match=f"must be fitted; got {named} before its fit"):
        from_sklearn(estimator)


def test_a_scaler_that_clips():
    estimator = fitted(make_pipeline(MinMaxScaler(clip=True), classifier()))
    with pytest.raises(ValueError, match="MinMaxScaler must not clip; got clip=True"):
        from_sklearn(estimator)


def test_several_labels_for_one_row():
    labels = np.stack([IDS == 0, IDS > 0], axis=1).astype(int)
    estimator = fitted(classifier(), X, labels)
    with pytest.raises(ValueError, match="one label per row; got a multilabel classifier"):
        from_sklearn(estimator)


@pytest.mark.parametrize("classes", [[0.5, 1.5, 2.5], [0.0, 1.0, np.inf]], ids=str)
def test_classes_that_are_no_names(classes):
    estimator = fitted(classifier(), X, IDS)
    estimator.classes_ = np.asarray(classes)
    with pytest.raises(TypeError, match="must be strings or integers; got "):
        from_sklearn(estimator)


@pytest.mark.parametrize("kind", [xpnet.MLPClassifier, xpnet.MLPRegressor])
def test_estimators_of_xpnet(kind):
    y = np.asarray(["a", "b", "c"])[IDS] if kind is xpnet.MLPClassifier else IDS / 2
    pipeline = fitted(make_pipeline(StandardScaler(), kind(hidden_layer_sizes=(6, 5))), y=y)
    network = from_sklearn(pipeline)
    assert len(network.preprocessing) == 1
    expected = pipeline.predict(X)
    if kind is xpnet.MLPClassifier:
        assert labels_of(network, X) == expected.tolist()
    else:
        assert_close(predict(network, X)[:, 0], expected)
    with pytest.raises(TypeError, match=f"must be fitted; got {kind.__name__} before its fit"):
        from_sklearn(kind())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, xpnet.MLPClassifier], ids=["sklearn", "xpnet"])
def test_names_of_columns(kind):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    pipeline = make_pipeline(StandardScaler(), kind((6,), max_iter=20, random_state=0))
    network = from_sklearn(pipeline.fit(frame, IDS))
    reverse = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(predict(network, reverse), pipeline.predict(frame))
