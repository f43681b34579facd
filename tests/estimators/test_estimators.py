"""Tests of the estimators: scikit-learn's own checks, its steps, and every array library."""

import pickle
import re
import subprocess
import sys
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

import xpnet

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from xpnet import MLPClassifier, MLPRegressor
from xpnet.estimators import mlp as estimators_module
from xpnet.training.loop import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 4))
IDS = np.arange(60) % 3
VALUES = np.stack([X[:, 0] ** 2, X[:, 1] - X[:, 2]], axis=1)
WEIGHTS = DRAW.integers(0, 4, size=60)
KINDS = [MLPClassifier, MLPClassifier, MLPRegressor, MLPRegressor]
ANSWERS = zip(KINDS, [IDS, IDS == 1, VALUES[:, 0], VALUES], strict=True)
TARGETS = pytest.mark.parametrize(("kind", "y"), list(ANSWERS))
NAMES = np.asarray(["low", "middle", "top"])[IDS]


def small(kind=MLPClassifier, **options):
    return kind(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **options})


def theirs(kind, **options):
    """Return scikit-learn's estimator, which stops after `max_iter` epochs alone."""
    options = {"hidden_layer_sizes": (8,), "random_state": 0, "tol": 0.0, **options}
    return getattr(sklearn.neural_network, kind.__name__)(n_iter_no_change=10**6, **options)


@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS + 1], ids=["", "with 0", "weighted"])
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0, "activation": "logistic"},
        {"solver": "adam", "activation": "tanh"},
    ],
    ids=str,
)
@TARGETS
def test_from_the_same_weights_and_in_full_batches_it_trains_as_scikit_learn(
    kind, y, options, weights, monkeypatch
):
    options = {"alpha": 5.0, "max_iter": 20, **options}
    start = theirs(kind, **{**options, "max_iter": 1, "learning_rate_init": 1e-300}).fit(X, y)
    network = replace(xpnet.from_sklearn(start), classes=None)
    monkeypatch.setattr(estimators_module, "init_network", lambda *_, **__: network)
    ours, expected = small(kind, **options), theirs(kind, **options).fit(X, y, weights)
    ours.fit(X, y, weights)
    # Adam's epsilon is added at another place; without it, only rounding differs.
    atol = 1e-4 if options["solver"] == "adam" else 1e-12
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "n_features_in_"):
        assert getattr(ours, name) == getattr(expected, name)
    np.testing.assert_allclose(ours.predict(X), expected.predict(X), atol=atol)
    if kind is MLPClassifier:
        np.testing.assert_array_equal(ours.classes_, expected.classes_)
        for method in ("predict_proba", "predict_log_proba"):
            found, wanted = (getattr(mlp, method)(X) for mlp in (ours, expected))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=10 * atol)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_options_have_the_defaults_of_scikit_learn(kind):
    ours = kind().get_params()
    assert ours.pop("device") == "cpu"
    defaults = getattr(sklearn.neural_network, kind.__name__)().get_params()
    assert ours == {name: defaults[name] for name in ours}
    assert len(ours) == 13


@pytest.mark.parametrize(("size", "n_rows"), [("auto", 200), (25, 25), (999, 450)])
def test_alpha_is_divided_by_the_rows_of_a_batch(size, n_rows):
    x, y = np.zeros((450, 1)), np.arange(450) % 2  # the loss has no gradient in the weights
    mlp = small(solver="sgd", momentum=0.0, alpha=1.0, batch_size=size, learning_rate_init=0.5)
    first, last = (mlp.set_params(max_iter=n).fit(x, y).coefs_[0] for n in (1, 2))
    assert np.unique((last / first).round(9)) == round((1 - 0.5 / n_rows) ** -(-450 // n_rows), 9)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_as_good_as_scikit_learns(early_stopping):
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    options = {"learning_rate_init": 0.01, "early_stopping": early_stopping, "random_state": 0}
    found, expected = (
        make_pipeline(StandardScaler(), kind((30,), **options)).fit(x, y).score(x_test, y_test)
        for kind in (MLPClassifier, sklearn.neural_network.MLPClassifier)
    )
    assert found > max(expected - 0.015, 0.94)


def test_early_stopping_holds_out_a_share_of_each_class():
    options = {"early_stopping": True, "learning_rate_init": 0.1, "n_iter_no_change": 3}
    mlp = small(**options, validation_fraction=0.2, max_iter=500).fit(X, IDS > 0, WEIGHTS)
    assert 4 <= mlp.n_iter_ < 500
    assert mlp.n_iter_ < mlp.set_params(n_iter_no_change=20).fit(X, IDS > 0, WEIGHTS).n_iter_
    with pytest.raises(ValueError, match="least populated class"):
        small(early_stopping=True).fit(X, np.arange(60) == 0)


def test_held_out_rows_have_weights_and_depend_on_the_seed(monkeypatch):
    monkeypatch.setattr(estimators_module, "train", spy := Mock(wraps=xpnet.train))
    for seed in (0, 1):
        small(early_stopping=True, random_state=seed).fit(X, IDS, WEIGHTS)
    first, second = (call.kwargs["validation"][0] for call in spy.call_args_list)
    assert (np.isin(first, X[WEIGHTS > 0]).all(), np.array_equal(first, second)) == (True, False)


def test_an_interrupted_fit_keeps_its_network(monkeypatch, capsys):
    step, calls = Trainer.step, []

    def interrupted(self, *args, **options):
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        mlp = small(verbose=True).fit(X, IDS)
    monkeypatch.undo()
    np.testing.assert_array_equal(mlp.predict(X), small(max_iter=3).fit(X, IDS).predict(X))
    assert mlp.n_iter_ == len(capsys.readouterr().out.splitlines()) == 3


@TARGETS
def test_arrays_stay_in_their_library(kind, y, xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays come to the host: see the test of their own")
    rows, targets = xp_backend.asarray(X), xp_backend.asarray(y, y.dtype.name.replace("64", "32"))
    mlp = small(kind, early_stopping=True).fit(rows, targets, xp_backend.asarray(WEIGHTS))
    x = X.astype(np.float32)
    expected = small(kind, early_stopping=True).fit(x, y, WEIGHTS)
    is_classifier = kind is MLPClassifier
    for method in ["predict_proba", "predict_log_proba"] if is_classifier else ["predict"]:
        wanted = getattr(expected, method)(x)
        found = xp_backend.check(getattr(mlp, method)(rows), dtype="float32", shape=wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    if is_classifier:
        xp_backend.check(mlp.predict(rows), dtype=mlp.classes_.dtype.name, shape=y.shape)
        assert set(small().fit(rows, NAMES).predict(rows)) <= set(NAMES)
    xp_backend.check(mlp.coefs_[0], dtype="float32", shape=(4, 8))
    assert mlp.score(rows, targets) == pytest.approx(expected.score(x, y), abs=0.04)
    with pytest.raises(ValueError, match="3 features"):
        mlp.predict(rows[:, :3])


def test_dask_rows_come_to_the_host():
    array = pytest.importorskip("dask.array", reason="Dask is not installed")
    rows = array.from_array(X, chunks=(20, 4))
    found = small().fit(rows, array.from_array(IDS)).predict(rows)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, small().fit(X, IDS).predict(X))


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_host_rows_are_computed_on_the_gpu():
    mlp, expected = small(device="gpu").fit(X, IDS), small().fit(X, IDS)
    assert mlp.network_.library == "cupy"
    np.testing.assert_allclose(mlp.predict_proba(X), expected.predict_proba(X), atol=1e-8)
    assert pickle.loads(pickle.dumps(mlp)).predict(X).tolist() == mlp.predict(X).tolist()


def test_names_of_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=["c", "a", "b", "d"])
    mlp, other = small().fit(frame, pandas.Series(NAMES)), frame[["a", "b", "c", "d"]]
    expected = small().fit(X, NAMES).predict(X)
    np.testing.assert_array_equal(mlp.predict(frame), expected)
    np.testing.assert_array_equal(xpnet.predict(mlp.network_, other), expected)
    with pytest.raises(ValueError, match="order"):
        mlp.predict(other)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_pickled_cloned_and_saved(kind, tmp_path):
    mlp = small(kind).fit(X, IDS)
    for again in (pickle.loads(pickle.dumps(mlp)), clone(mlp).fit(X, IDS)):
        np.testing.assert_array_equal(again.predict(X), mlp.predict(X))
    other = clone(mlp).set_params(random_state=1).fit(X, IDS)
    assert not np.array_equal(other.coefs_[0], mlp.coefs_[0])
    xpnet.save(mlp.network_, tmp_path / "mlp.safetensors")
    found = xpnet.predict(xpnet.load(tmp_path / "mlp.safetensors"), X)
    np.testing.assert_array_equal(found.reshape(-1), mlp.predict(X))


@pytest.mark.parametrize("classes", [["no", "yes"], [-1, 7, 3], [False, True], [0.0, 2.0]], ids=str)
def test_any_classes(classes):
    classes = np.asarray(classes)
    ids = np.arange(60) % len(classes)
    mlp = small(max_iter=200, learning_rate_init=0.01).fit(X + 5.0 * np.eye(4)[ids], classes[ids])
    found = mlp.predict(X + 5.0 * np.eye(4)[ids])
    assert (found == classes[ids]).mean() > 0.9
    assert found.dtype == classes.dtype
    assert (xpnet.predict(mlp.network_, X + 5.0 * np.eye(4)[ids]) == found).all()


def test_logarithms_of_tiny_probabilities():
    logs = small(hidden_layer_sizes=(), alpha=0.0).fit(X, IDS == 1).predict_log_proba(1e6 * X)
    assert np.isfinite(logs).all()
    assert logs.min() < -1e4


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tol": 1e-4}, TypeError),
        ({"solver": "lbfgs"}, ValueError),
        ({"activation": "step"}, ValueError),
        ({"hidden_layer_sizes": (3, 0)}, ValueError),
        ({"batch_size": 0}, ValueError),
        ({"max_iter": 0}, ValueError),
        ({"early_stopping": True, "validation_fraction": 1.0}, ValueError),
        ({"random_state": "zero"}, ValueError),
        ({"max_iter": 30, "solver": "sgd", "learning_rate_init": 1e300}, xpnet.RunawayError),
    ],
    ids=str,
)
def test_invalid_options(options, error):
    with pytest.raises(error):
        small(**options).fit(X, IDS)


def test_without_scikit_learn():
    code = "import sys; sys.modules['sklearn'] = None; import xpnet; from xpnet import *; "
    code += "assert 'MLPClassifier' not in dir(xpnet); xpnet.MLPClassifier"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert re.search("ModuleNotFoundError.*pip install scikit-learn", said)
