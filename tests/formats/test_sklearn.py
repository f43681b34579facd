"""Conversion from scikit-learn: the same predictions, or an error with the reason."""

import copy
import warnings

import numpy as np
import pytest

import xpnet
from xpnet import from_sklearn, predict, predict_proba

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

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


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=64 * np.finfo("f8").eps, atol=1e-14)


CLASSIFIERS = [  # each kind of classes, each activation twice, all scalers
    ([0, 1], "identity", lambda: [StandardScaler()]),
    ([0, 1, 2], "logistic", lambda: [StandardScaler(with_mean=False)]),
    ([-3, 7], "tanh", lambda: [StandardScaler(with_std=False)]),
    ([10, 5, 20], "relu", lambda: [StandardScaler(with_mean=False, with_std=False)]),
    (["no", "yes"], "logistic", lambda: [MinMaxScaler()]),
    (["cat", "dog", "bird"], "identity", lambda: [MinMaxScaler((-3, 7))]),
    ([False, True], "relu", lambda: [StandardScaler(), MinMaxScaler((5, 6))]),
    ([1.0, 2.0, 3.0], "tanh", lambda: ["passthrough", StandardScaler(), None]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("i", range(len(CLASSIFIERS)))
def test_classifiers(i, dtype):
    classes, activation, scalers = CLASSIFIERS[i]
    x = X.astype(dtype)
    x[:, 1] = 5.0  # a constant
    estimator = fitted(
        make_pipeline(*scalers(), classifier(activation=activation)),
        x,
        np.asarray(classes)[IDS % len(classes)],
    )
    network = from_sklearn(estimator)
    assert (network.output, network.classes) == ("logits", tuple(sorted(classes)))
    assert network.dtype == np.dtype(dtype)
    assert predict(network, x).tolist() == estimator.predict(x).tolist()
    found, expected = predict_proba(network.astype("float64"), X), estimator.predict_proba(X)
    # A network of float32 has the numbers of the scalers in float32.
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("widths", [(), (1,), (3, 4, 5)], ids=str)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regressors(widths, n_outputs, loss):
    x = StandardScaler().fit_transform(X)
    y = np.abs(x[:, 0] if n_outputs == 1 else x[:, :n_outputs])
    estimator = fitted(MLPRegressor(loss, hidden_layer_sizes=widths), x, y)
    network = from_sklearn(estimator)
    assert [layer.n_out for layer in network.layers] == [*widths, n_outputs]
    assert (network.output, network.classes) == ("values", None)
    assert_close(network(x).reshape(y.shape), estimator.predict(x))


def test_what_the_estimator_learns_later_changes_nothing():
    estimator = fitted(make_pipeline(StandardScaler(), classifier()))
    network = from_sklearn(estimator)
    before = network(X)
    scaler, mlp = estimator
    mlp.partial_fit(X, IDS)
    scaler.mean_ += 1.0
    scaler.scale_ += 1.0
    assert np.array_equal(network(X), before)


MyMLP = type("MyMLP", (MLPClassifier,), {})  # an estimator of the user's
FITTED = fitted(classifier())


def with_classes(*classes):
    estimator = fitted(classifier())
    estimator.classes_ = np.asarray(classes)
    return estimator


REJECTED = {
    "forest": (RandomForestClassifier, TypeError, "RandomForest"),
    "scalers": (lambda: make_pipeline(StandardScaler()), TypeError, "StandardScaler"),
    "classifier": (MLPClassifier, ValueError, "fitted"),
    "scaler": (lambda: make_pipeline(StandardScaler(), FITTED), ValueError, "Scaler .* fitted"),
    "text": (lambda: Pipeline([("a", "passthrough")]), TypeError, "str"),
    "none": (lambda: None, TypeError, "NoneType"),
    "subclass": (lambda: fitted(MyMLP((3,))), TypeError, "MyMLP"),
    "robust": (lambda: make_pipeline(RobustScaler().fit(X), FITTED), TypeError, "RobustScaler"),
    "clip": (lambda: make_pipeline(MinMaxScaler(clip=True).fit(X), FITTED), TypeError, "clip"),
    "labels": (lambda: fitted(classifier(), y=np.eye(3, 2)[IDS]), ValueError, "multilabel"),
    "fractions": (lambda: with_classes(0.5, 1.5, 2.5), TypeError, "integers"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name):
    make, error, word = REJECTED[name]
    with pytest.raises(error, match=word):
        from_sklearn(make())


def test_a_fault_beside_a_large_bias():
    x = StandardScaler().fit_transform(X)
    estimator = fitted(MLPRegressor(hidden_layer_sizes=(5, 5), activation="tanh"), x, x)
    estimator.intercepts_[-1] = estimator.intercepts_[-1] + 200_000.0
    assert_close(from_sklearn(estimator)(x), estimator.predict(x))
    other = copy.deepcopy(estimator)
    other.intercepts_[0] = 0.0 * other.intercepts_[0]
    estimator.predict = other.predict
    with pytest.raises(ValueError, match="outputs"):
        from_sklearn(estimator)


def test_a_regressor_of_xpnet():
    pipeline = fitted(make_pipeline(StandardScaler(), xpnet.MLPRegressor((6, 5))), y=IDS / 2)
    network = from_sklearn(pipeline)
    assert len(network.preprocessing) == 1
    assert_close(predict(network, X)[:, 0], pipeline.predict(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, xpnet.MLPClassifier], ids=["sklearn", "xpnet"])
def test_names_of_columns(kind):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    pipeline = make_pipeline(StandardScaler(), kind((6,), max_iter=20, random_state=0))
    network = from_sklearn(pipeline.fit(frame, IDS))
    reverse = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(predict(network, reverse), pipeline.predict(frame))
