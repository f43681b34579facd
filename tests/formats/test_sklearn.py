"""Conversion from scikit-learn: the same predictions, or an error with the reason."""

import copy
import warnings
from collections.abc import Callable
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


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=64 * np.finfo("f8").eps, atol=1e-14)


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
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regressors(widths, n_outputs):
    x = StandardScaler().fit_transform(X)
    y = x[:, 0] if n_outputs == 1 else x[:, :n_outputs]
    estimator = fitted(MLPRegressor(hidden_layer_sizes=widths, activation="tanh"), x, y)
    network = from_sklearn(estimator)
    assert [layer.n_out for layer in network.layers] == [*widths, n_outputs]
    assert (network.output, network.classes) == ("values", None)
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


@pytest.mark.parametrize("scalers", SCALERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalers(scalers, dtype):
    x = X.astype(dtype)
    parts = [*SCALERS[scalers](), classifier()]
    estimator = fitted(Pipeline([(str(i), part) for i, part in enumerate(parts)]), x)
    network = from_sklearn(estimator)
    assert network.dtype == np.dtype(dtype)
    assert labels_of(network, x) == estimator.predict(x).tolist()
    found, expected = predict_proba(network.astype("float64"), X), estimator.predict_proba(X)
    # A network of float32 has the numbers of the scalers in float32.
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=32 * np.finfo(dtype).eps)


def test_a_constant_input():
    x = X.copy()
    x[:, 1] = 5.0
    estimator = fitted(make_pipeline(StandardScaler(), MinMaxScaler(), classifier()), x)
    assert_close(predict_proba(from_sklearn(estimator), x), estimator.predict_proba(x))


def test_what_the_estimator_learns_later_changes_nothing():
    scaler = StandardScaler().fit(X)
    estimator = fitted(classifier(), scaler.transform(X))
    network = from_sklearn(Pipeline([("scale", scaler), ("mlp", estimator)]))
    before = network(X)
    estimator.partial_fit(X, IDS)
    scaler.mean_ += 1.0
    scaler.scale_ += 1.0
    assert np.array_equal(network(X), before)


class MyMLP(MLPClassifier):
    """An estimator of a third-party class."""


def of_several_labels():
    return fitted(classifier(), X, np.stack([IDS == 0, IDS > 0], axis=1).astype(int))


def with_classes(*classes):
    estimator = fitted(classifier())
    estimator.classes_ = np.asarray(classes)
    return estimator


def after(*steps):
    return fitted(make_pipeline(*steps, classifier()))


def before_a_fit(scaler):
    return Pipeline([("scale", scaler), ("mlp", fitted(classifier()))])


REJECTED = {
    "forest": (RandomForestClassifier, TypeError, "RandomForest"),
    "search": (lambda: GridSearchCV(MLPClassifier(), {}), TypeError, "GridSearchCV"),
    "scalers": (lambda: make_pipeline(StandardScaler()), TypeError, "StandardScaler"),
    "unfitted classifier": (MLPClassifier, TypeError, "fit"),
    "unfitted regressor": (MLPRegressor, TypeError, "fit"),
    "unfitted xpnet": (xpnet.MLPRegressor, TypeError, "fit"),
    "text": (lambda: Pipeline([("a", "passthrough")]), TypeError, "str"),
    "none": (lambda: None, TypeError, "NoneType"),
    "subclass": (lambda: fitted(MyMLP((3,))), TypeError, "MyMLP"),
    "robust": (lambda: after(RobustScaler()), TypeError, "RobustScaler"),
    "terms": (lambda: after(PolynomialFeatures(1, include_bias=False)), TypeError, "Polynomial"),
    "standard": (lambda: before_a_fit(StandardScaler()), TypeError, "fit"),
    "range": (lambda: before_a_fit(MinMaxScaler()), TypeError, "fit"),
    "clip": (lambda: after(MinMaxScaler(clip=True)), ValueError, "clip"),
    "labels": (of_several_labels, ValueError, "multilabel"),
    "fractions": (lambda: with_classes(0.5, 1.5, 2.5), TypeError, "integers"),
    "infinity": (lambda: with_classes(0.0, 1.0, np.inf), TypeError, "integers"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name):
    make, error, word = REJECTED[name]
    with pytest.raises(error, match=word):
        from_sklearn(make())


def lose_the_activation(estimator):
    estimator.activation = "identity"


def lose_a_bias(estimator):
    estimator.intercepts_[0] = 0.0 * estimator.intercepts_[0]


def exchange_layers(estimator):
    estimator.coefs_[1:3] = estimator.coefs_[2:0:-1]


@pytest.mark.parametrize("plant", [lose_the_activation, lose_a_bias, exchange_layers])
def test_a_fault_beside_a_large_bias(plant):
    x = StandardScaler().fit_transform(X)
    estimator = fitted(MLPRegressor(hidden_layer_sizes=(5, 5, 5), activation="tanh"), x, x)
    estimator.intercepts_[-1] = estimator.intercepts_[-1] + 200_000.0
    network = from_sklearn(estimator)
    assert_close(network(x), estimator.predict(x))
    other = copy.deepcopy(estimator)
    plant(other)
    estimator.predict = other.predict
    with pytest.raises(ValueError, match="outputs"):
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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, xpnet.MLPClassifier], ids=["sklearn", "xpnet"])
def test_names_of_columns(kind):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    pipeline = make_pipeline(StandardScaler(), kind((6,), max_iter=20, random_state=0))
    network = from_sklearn(pipeline.fit(frame, IDS))
    reverse = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(predict(network, reverse), pipeline.predict(frame))
