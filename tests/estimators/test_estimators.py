"""Tests of the estimators: scikit-learn's own checks, its results, and every array library."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import xpnet

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import sklearn.neural_network
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from xpnet import MLPClassifier, MLPRegressor
from xpnet.training.run import RunawayError
from xpnet.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 4))
IDS = np.arange(60) % 3
VALUES = np.stack([X[:, 0] ** 2, X[:, 1] - X[:, 2]], axis=1)
QUESTIONS = (X[:, :3] > 0).astype(np.int64)
WEIGHTS = DRAW.integers(0, 4, size=60)
SGD = {"solver": "sgd", "learning_rate_init": 0.05}


def small(kind=MLPClassifier, **options):
    return kind(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **options})


def theirs(estimator):
    """Return scikit-learn's estimator with the same options."""
    options = estimator.get_params()
    del options["device"], options["predict_batch_size"]
    return getattr(sklearn.neural_network, type(estimator).__name__)(**options)


def assert_same_bits(one, other):
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
    ):
        np.testing.assert_array_equal(a, b)


@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# One estimator for each option that changes a step. All 60 rows are one batch, so that their order
# makes no difference. When the learning rate changes, only the momentum differs.
ALIKE = [
    (MLPClassifier, {}, IDS),
    (MLPClassifier, {}, IDS == 1),
    (MLPClassifier, {}, QUESTIONS),
    (MLPClassifier, {"alpha": 5.0}, IDS),
    (MLPClassifier, {"activation": "logistic"}, IDS),
    (MLPClassifier, {"hidden_layer_sizes": (), "momentum": 0.0}, IDS),
    (MLPClassifier, {"hidden_layer_sizes": 5, "nesterovs_momentum": False}, IDS),
    (MLPClassifier, {"solver": "adam", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-20}, IDS),
    (MLPClassifier, {"learning_rate": "invscaling", "power_t": 0.3, "momentum": 0.0}, IDS),
    (MLPRegressor, {}, VALUES[:, 0]),
    (MLPRegressor, {"activation": "tanh", "alpha": 5.0}, VALUES),
    (MLPRegressor, {"early_stopping": True, "validation_fraction": 0.3}, VALUES[:, 1]),
]


@pytest.mark.parametrize("weights", [None, WEIGHTS + 1], ids=["", "weighted"])
@pytest.mark.parametrize(("kind", "options", "y"), ALIKE)
def test_in_full_batches_it_trains_as_scikit_learn(kind, options, y, weights):
    ours = small(kind, **{**SGD, **options})
    expected = theirs(ours).fit(X, y, weights)
    ours.fit(X, y, weights)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(expected, name), strict=True):
            # Rounding of twenty epochs.
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(ours.predict(X), expected.predict(X), rtol=1e-8)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
        assert getattr(ours, name) == getattr(expected, name)
    for name in ("validation_scores_", "best_validation_score_"):
        assert getattr(ours, name) == pytest.approx(getattr(expected, name))
    if kind is MLPClassifier:
        np.testing.assert_array_equal(ours.classes_, expected.classes_)
        np.testing.assert_allclose(ours.predict_proba(X), expected.predict_proba(X), rtol=1e-8)
        np.testing.assert_allclose(
            ours.predict_log_proba(X), expected.predict_log_proba(X), rtol=1e-7, atol=1e-12
        )
    # scikit-learn adds the penalty before each step, and xpnet after the last one.
    for mlp in (ours, expected):
        mlp.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, y, weights)
    assert ours.loss_curve_ == pytest.approx(expected.loss_curve_, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "is_alike"),
    [
        ({"batch_size": 20}, True),
        ({"batch_size": 20, "epsilon": 1e-8}, False),
        ({"batch_size": 25, "alpha": 0.0}, True),
        ({"batch_size": 25}, False),  # the last batch has 10 rows
    ],
    ids=str,
)
def test_what_differs_with_adam(options, is_alike):
    ours = small(**{"shuffle": False, "alpha": 5.0, "epsilon": 1e-20, **options}).fit(X, IDS)
    expected = theirs(ours).fit(X, IDS)
    differences = [np.abs(a - b).max() for a, b in zip(ours.coefs_, expected.coefs_, strict=True)]
    # Rounding of twenty epochs; epsilon alone makes a difference of 1e-7.
    assert (max(differences) < 1e-10) == is_alike


@pytest.fixture
def steps(monkeypatch):
    """Return a list that receives the rows and the learning rate of each step."""
    seen, step = [], Trainer.step

    def recorded(self, batch, rate):
        seen.append((batch.rows, rate))
        return step(self, batch, rate)

    monkeypatch.setattr(Trainer, "step", recorded)
    return seen


@pytest.mark.parametrize(
    ("size", "n", "expected"),
    [("auto", 60, [60]), ("auto", 450, [200, 200, 50]), (25, 60, [25, 25, 10]), (99, 60, [60])],
)
def test_the_sizes_of_batches(steps, size, n, expected):
    small(batch_size=size, max_iter=1).fit(np.resize(X, (n, 4)), np.resize(IDS, n))
    assert [len(rows) for rows, _ in steps] == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_order_of_the_rows(steps, shuffle):
    small(batch_size=25, max_iter=2, shuffle=shuffle).fit(X, IDS)
    epochs = [np.concatenate([rows for rows, _ in steps[i : i + 3]]) for i in (0, 3)]
    for rows in epochs:
        assert np.array_equal(rows, X) != shuffle
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))
    assert np.array_equal(*epochs) != shuffle


def test_invscaling(steps):
    small(**SGD, learning_rate="invscaling", power_t=0.3, max_iter=3).fit(X, IDS)
    assert [rate for _, rate in steps] == pytest.approx([0.05, 0.05 / 61**0.3, 0.05 / 121**0.3])


def test_adaptive(steps):
    mlp = small(**SGD, learning_rate="adaptive", tol=10.0, n_iter_no_change=1, max_iter=99)
    mlp.set_params(learning_rate_init=2e-5).fit(X, IDS)
    # The first epoch is better than none. Rates of 1e-6 and less are not divided.
    expected = [2e-5] * 3 + [4e-6] * 2 + [8e-7] * 2
    assert [rate for _, rate in steps] == pytest.approx(expected)
    mlp.set_params(learning_rate="constant", max_iter=1).fit(X, IDS)
    assert steps[-1][1] == 2e-5


@pytest.mark.parametrize(
    ("kind", "load", "rate", "noise"),
    [
        (MLPClassifier, load_iris, 0.005, 0.03),
        (MLPClassifier, load_breast_cancer, 0.005, 0.02),
        (MLPClassifier, load_digits, 0.005, 0.01),
        (MLPRegressor, load_diabetes, 0.01, 0.02),
    ],
)
def test_as_good_as_scikit_learns(kind, load, rate, noise):
    x, y = load(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    ours = kind(hidden_layer_sizes=(30,), random_state=0, learning_rate_init=rate)
    found, expected = (
        make_pipeline(StandardScaler(), mlp).fit(x, y).score(x_test, y_test)
        for mlp in (ours, theirs(ours))
    )
    assert found > expected - noise
    assert found > (0.9 if kind is MLPClassifier else 0.2)


@pytest.fixture
def held_out(monkeypatch):
    """Return a list that receives the held-out rows of each epoch."""
    seen = []
    for kind in (MLPClassifier, MLPRegressor):
        score = kind._validation_score  # noqa: SLF001 (no public name sees them)

        def recorded(self, epoch, rows, score=score):
            assert epoch.accuracy is None  # only the loss of the training rows is of use
            seen.append(rows)
            return score(self, epoch, rows)

        monkeypatch.setattr(kind, "_validation_score", recorded)
    return seen


STOPPING = {"early_stopping": True, "validation_fraction": 0.2, "learning_rate_init": 0.1}


def test_early_stopping_keeps_the_best_network(held_out):
    y = np.asarray([0] * 40 + [1] * 10 + [2] * 10)
    mlp = small(**STOPPING, max_iter=9).fit(X, y)
    assert np.bincount(held_out[0].answers).tolist() == [8, 2, 2]  # a share of each class
    assert mlp.best_validation_score_ == max(mlp.validation_scores_) != mlp.validation_scores_[-1]
    assert mlp.score(held_out[0].rows, held_out[0].answers) == mlp.best_validation_score_
    assert (len(mlp.validation_scores_), mlp.t_, mlp.best_loss_) == (9, 9 * 48, None)


@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one", "two"])
def test_early_stopping_of_a_regression(held_out, y):
    mlp = small(MLPRegressor, **STOPPING, max_iter=9).fit(X, y, WEIGHTS)
    rows, answers, weights = held_out[0]
    found = mlp.predict(rows)
    r2 = r2_score(answers, found, sample_weight=weights, multioutput="variance_weighted")
    assert mlp.best_validation_score_ == max(mlp.validation_scores_) == pytest.approx(r2)
    assert len(set(mlp.validation_scores_)) == 9
    constant = small(MLPRegressor, **STOPPING).fit(X, np.ones(60))
    assert np.isfinite(constant.best_validation_score_)


# ------------------------------------------------------------------------------- arrays


def skip_lazy(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays come to the host: see the test of their own")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("y", [IDS, IDS == 1, QUESTIONS], ids=["classes", "two", "questions"])
def test_a_classifier_stays_in_the_library_of_its_rows(xp_backend, y, weighted):
    skip_lazy(xp_backend)
    rows = xp_backend.asarray(X)
    labels, weights = xp_backend.asarray(y, y.dtype), xp_backend.asarray(WEIGHTS)
    mlp = small().fit(rows, labels, weights if weighted else None)
    expected = small().fit(X.astype(np.float32), y, WEIGHTS if weighted else None)
    shares = expected.predict_proba(X.astype(np.float32))
    found = xp_backend.check(mlp.predict_proba(rows), dtype="float32", shape=shares.shape)
    np.testing.assert_allclose(found, shares, atol=1e-4)
    logs = xp_backend.check(mlp.predict_log_proba(rows), dtype="float32", shape=shares.shape)
    np.testing.assert_allclose(logs, np.log(shares), rtol=1e-3, atol=1e-4)
    xp_backend.check(mlp.predict(rows), dtype=y.dtype, shape=y.shape)
    for ours, on_host in zip(mlp.coefs_, expected.coefs_, strict=True):
        xp_backend.check(ours, dtype="float32", shape=on_host.shape)
    assert mlp.score(rows, labels) == pytest.approx(
        expected.score(X.astype(np.float32), y), abs=0.04
    )


@pytest.mark.parametrize("y", [VALUES[:, 0], VALUES], ids=["one", "two"])
def test_a_regressor_stays_in_the_library_of_its_rows(xp_backend, y):
    skip_lazy(xp_backend)
    rows, values = xp_backend.asarray(X), xp_backend.asarray(y)
    mlp = small(MLPRegressor, early_stopping=True, validation_fraction=0.2).fit(rows, values)
    expected = small(MLPRegressor, early_stopping=True, validation_fraction=0.2)
    expected.fit(X.astype(np.float32), y)
    found = xp_backend.check(mlp.predict(rows), dtype="float32", shape=y.shape)
    np.testing.assert_allclose(found, expected.predict(X.astype(np.float32)), atol=1e-4)
    assert mlp.score(rows, values) == pytest.approx(expected.score(X.astype(np.float32), y), 1e-3)
    mlp = mlp.set_params(early_stopping=False).partial_fit(rows, values)
    xp_backend.check(mlp.coefs_[0], dtype="float32", shape=(4, 8))


def test_integers_become_the_widest_floating_dtype(xp_backend):
    skip_lazy(xp_backend)
    rows = xp_backend.asarray(np.round(3 * X), "int32")
    mlp = small(MLPRegressor).fit(rows, X[:, 0])
    dtype = "float64" if xp_backend.has_float64 else "float32"
    xp_backend.check(mlp.predict(rows), dtype=dtype, shape=(60,))


def test_strings_are_predicted_on_the_host(xp_backend):
    skip_lazy(xp_backend)
    rows = xp_backend.asarray(X)
    names = np.asarray(["a", "b", "c"])[IDS]
    found = small().fit(rows, names).predict(rows)
    assert isinstance(found, np.ndarray)
    assert set(found) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0], r"`X` must have the shape \(n, n_features\), both above 0; got \(4,\)"),
        (lambda x: x[:0], r"got \(0, 4\)"),
        (lambda x: np.where(x > 1, np.inf, x), "`X` must be finite; got NaN or infinity"),
    ],
)
def test_rows_of_other_libraries_are_checked(xp_backend, change, message):
    skip_lazy(xp_backend)
    if xp_backend.name == "numpy":
        pytest.skip("NumPy's rows are scikit-learn's to check")
    with pytest.raises(ValueError, match=message):
        small().fit(xp_backend.asarray(change(X)), IDS)
    mlp = small().fit(xp_backend.asarray(X), IDS)
    with pytest.raises(ValueError, match="`X` must have 4 features; got 3"):
        mlp.predict(xp_backend.asarray(X[:, :3]))


def test_complex_rows_of_other_libraries():
    torch = pytest.importorskip("torch", reason="NumPy's rows are scikit-learn's to check")
    with pytest.raises(TypeError, match=r"`X` must hold real numbers; got dtype torch.complex64"):
        small().fit(torch.ones((60, 4), dtype=torch.complex64), IDS)


def test_host_rows_with_a_network_of_another_library(xp_backend):
    skip_lazy(xp_backend)
    mlp = small(MLPRegressor).fit(xp_backend.asarray(X), X[:, 0])
    x = X.astype(np.float32)
    values = mlp.predict(x)
    assert isinstance(values, np.ndarray)
    np.testing.assert_allclose(values, small(MLPRegressor).fit(x, X[:, 0]).predict(x), atol=1e-4)
    if xp_backend.name != "numpy":
        with pytest.raises(TypeError, match="all arrays must belong to one library"):
            small(MLPRegressor).fit(x, X[:, 0]).predict(xp_backend.asarray(X))


def test_dask_rows_come_to_the_host():
    array = pytest.importorskip("dask.array", reason="Dask is not installed")
    rows = array.from_array(X, chunks=(20, 4))
    found = small().fit(rows, array.from_array(IDS)).predict(rows)
    np.testing.assert_array_equal(found, small().fit(X, IDS).predict(X))
    assert isinstance(found, np.ndarray)


def test_float32_stays_and_integers_become_float64():
    for dtype, expected in (("float32", "float32"), ("float64", "float64"), ("int8", "float64")):
        mlp = small().fit(X.astype(dtype), IDS)
        assert mlp.coefs_[0].dtype == mlp.predict_proba(X.astype(dtype)).dtype == expected


def test_sparse_matrices_are_rejected_by_scikit_learn():
    with pytest.raises(TypeError, match="dense"):
        small().fit(csr_array(X), IDS)
    with pytest.raises(TypeError, match="dense"):
        small().fit(X, csr_array(np.eye(3, dtype=int)[IDS]))
    with pytest.raises(TypeError, match="dense"):
        small().fit(X, IDS).predict(csr_array(X))


def test_read_only_rows():
    x = X.copy()
    x.flags.writeable = False
    assert_same_bits(small().fit(x, IDS), small().fit(X, IDS))


# ------------------------------------------------------------------- with scikit-learn


def test_in_a_pipeline_and_a_search():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), small(MLPRegressor, learning_rate_init=0.05)),
        {"mlpregressor__alpha": [0.0, 1e4]},
        cv=3,
    )
    search.fit(X, VALUES)
    assert search.best_params_ == {"mlpregressor__alpha": 0.0}
    assert search.predict(X).shape == VALUES.shape


def test_pickled_and_cloned():
    mlp = small().fit(X, IDS)
    copy = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(copy.predict_proba(X), mlp.predict_proba(X))
    assert_same_bits(copy.partial_fit(X, IDS), mlp.partial_fit(X, IDS))
    again = clone(mlp)
    assert again.get_params() == mlp.get_params()
    with pytest.raises(NotFittedError):
        again.predict(X)


def test_the_same_random_state_gives_the_same_bits():
    one, same, other = (small(random_state=seed).fit(X, IDS) for seed in (1, 1, 2))
    assert_same_bits(one, same)
    assert not np.array_equal(one.coefs_[0], other.coefs_[0])


def test_the_loss_regressors_first_argument_is_scikit_learns():
    assert MLPRegressor("squared_error", (3,)).hidden_layer_sizes == (3,)
    assert MLPClassifier((3,), "tanh").activation == "tanh"
    for kind in (MLPClassifier, MLPRegressor):
        ours = kind().get_params()
        assert (ours.pop("device"), ours.pop("predict_batch_size")) == ("cpu", None)
        expected = theirs(kind()).get_params()
        del expected["max_fun"]  # of lbfgs
        assert ours == expected


# -------------------------------------------------------------------------- continuing


@pytest.mark.parametrize("options", [{}, {**SGD, "learning_rate": "invscaling"}])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_partial_fit_is_one_epoch(kind, options):
    y, classes = (IDS, {"classes": [0, 1, 2]}) if kind is MLPClassifier else (VALUES, {})
    options = {"shuffle": False, "batch_size": 25, **options}
    once = small(kind, **options).partial_fit(X, y, **classes)
    assert_same_bits(once, small(kind, max_iter=1, **options).fit(X, y))
    assert (once.n_iter_, once.t_, len(once.loss_curve_)) == (1, 60, 1)
    twice = once.partial_fit(X, y)
    assert_same_bits(twice, small(kind, max_iter=2, **options).fit(X, y))
    assert (twice.n_iter_, twice.t_, len(twice.loss_curve_)) == (1, 120, 2)
    assert twice.best_loss_ == twice.loss_ == twice.loss_curve_[-1]


def test_partial_fit_with_classes_not_seen_yet():
    mlp = small().partial_fit(X[:20], np.zeros(20, int), classes=[0, 1, 2])
    assert mlp.predict_proba(X).shape == (60, 3)
    mlp.partial_fit(X, IDS, classes=[0, 1, 2])
    with pytest.raises(
        ValueError, match=r"`y` must hold classes of the first call, \[0 1 2\]; got"
    ):
        mlp.partial_fit(X, IDS + 1)
    with pytest.raises(ValueError, match=r"`classes` must be those of the first call, \[0 1 2\]"):
        mlp.partial_fit(X, IDS, classes=[0, 1])
    with pytest.raises(ValueError, match="`classes` must be given in the first call"):
        small().partial_fit(X, IDS)
    with pytest.raises(ValueError, match="`early_stopping` must be False for partial_fit"):
        small(early_stopping=True).partial_fit(X, IDS, classes=[0, 1, 2])


def test_warm_start_continues():
    mlp = small(warm_start=True, **SGD).fit(X, IDS)
    weights = mlp.coefs_
    mlp.set_params(learning_rate_init=1e-12).fit(X, IDS)
    np.testing.assert_allclose(mlp.coefs_[0], weights[0], rtol=1e-7)
    # The first epoch of a fit is better than none, the next 11 are not better than the first.
    assert (mlp.t_, len(mlp.loss_curve_)) == ((20 + 12) * 60, 20 + 12)
    # Without it, training starts again.
    assert len(mlp.set_params(warm_start=False).fit(X, IDS).loss_curve_) == 12


def test_options_that_must_not_change():
    mlp = small(warm_start=True).fit(X, IDS)
    with pytest.raises(ValueError, match="`hidden_layer_sizes` and `activation` must not change"):
        mlp.set_params(hidden_layer_sizes=(9,)).fit(X, IDS)
    with pytest.raises(ValueError, match="X has 3 features"):
        mlp.fit(X[:, :3], IDS)
    values = small(MLPRegressor).fit(X, VALUES)
    with pytest.raises(ValueError, match="`y` must have 2 outputs, as before; got 1"):
        values.partial_fit(X, VALUES[:, 0])


def test_options_that_may_change():
    mlp = small(warm_start=True, early_stopping=True).fit(X, IDS)
    mlp.set_params(early_stopping=False).fit(X, IDS)
    assert mlp.best_loss_ == min(mlp.loss_curve_[-mlp.n_iter_ :])
    mlp.set_params(solver="sgd").partial_fit(X, IDS)
    assert mlp.n_iter_ == 1


# ------------------------------------------------------------------ classes and options


@pytest.mark.parametrize(
    "classes",
    [
        np.asarray(["no", "yes"]),
        np.asarray(["b", "a", "c"], dtype=object),
        np.asarray([-1, 7, 3]),
        np.asarray([False, True]),
        np.asarray([0.0, 2.0]),
    ],
)
def test_any_classes(classes):
    y = classes[np.arange(60) % len(classes)]
    x = X + 5.0 * np.eye(4)[np.arange(60) % len(classes)]
    mlp = small(max_iter=200, learning_rate_init=0.01).fit(x, y)
    assert mlp.score(x, y) > 0.9
    assert mlp.predict(x).dtype == theirs(mlp).fit(x, y).predict(x).dtype
    np.testing.assert_array_equal(mlp.classes_, np.sort(classes))
    if classes.dtype.kind != "b":
        assert xpnet.predict(mlp.network_, x).tolist() == mlp.predict(x).tolist()


def test_the_network_is_xpnets(tmp_path):
    mlp = small().fit(X, IDS)
    xpnet.save(mlp.network_, tmp_path / "mlp.safetensors")
    network = xpnet.load(tmp_path / "mlp.safetensors")
    np.testing.assert_array_equal(xpnet.predict_proba(network, X), mlp.predict_proba(X))


def test_logarithms_of_tiny_probabilities_are_exact():
    mlp = small(hidden_layer_sizes=(), alpha=0.0).fit(X, IDS == 1)
    logs = mlp.predict_log_proba(1e6 * X)
    assert np.isfinite(logs).all()
    assert logs.min() < -1e4


def test_activations_beyond_scikit_learns():
    mlp = small(activation="gelu", max_iter=100, learning_rate_init=0.02).fit(X, X[:, 0] > 0)
    assert [layer.activation for layer in mlp.network_.layers] == ["gelu", "identity"]
    assert mlp.score(X, X[:, 0] > 0) > 0.9


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MLPClassifier, {"solver": "lbfgs"}, "('lbfgs' is not supported); got 'lbfgs'"),
        (MLPRegressor, {"loss": "poisson"}, "('poisson' is not supported); got 'poisson'"),
        (MLPClassifier, {"activation": "step"}, "that has a derivative; got 'step'"),
        (MLPClassifier, {"hidden_layer_sizes": (3, 0)}, "`hidden_layer_sizes` must be integers"),
        (MLPClassifier, {"alpha": -1}, "`alpha` must be 0 or more; got -1"),
        (MLPClassifier, {"batch_size": 0}, "'auto' or an integer of at least 1; got 0"),
        (MLPClassifier, {"learning_rate": "fast"}, "`learning_rate` must be 'constant', "),
        (MLPClassifier, {"learning_rate_init": 0.0}, "`learning_rate_init` must be positive"),
        (MLPClassifier, {"max_iter": 2.5}, "`max_iter` must be an integer of at least 1"),
        (MLPClassifier, {"momentum": 1.0}, "`momentum` must be from 0 to below 1; got 1.0"),
        (MLPClassifier, {"shuffle": "no"}, "`shuffle` must be True or False; got 'no'"),
        (MLPClassifier, {"tol": float("nan")}, "`tol` must be 0 or more; got nan"),
        (MLPClassifier, {"n_iter_no_change": 0}, "at least 1, or infinity; got 0"),
        (MLPClassifier, {"predict_batch_size": 0}, "None or an integer of at least 1; got 0"),
        (MLPClassifier, {"device": "gpu:x"}, "`device` must be cpu, gpu, gpu:N"),
        (
            MLPClassifier,
            {"early_stopping": True, "validation_fraction": 0.01},
            "`validation_fraction` must hold out at least 2 rows; got 1 of 60",
        ),
    ],
)
def test_options_out_of_range(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        small(kind, **options).fit(X, QUESTIONS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"`sample_weight` must have the shape \(60,\), one .* per row; got \(1,\)"),
        (-np.ones(60), "`sample_weight` must be finite and 0 or more; got -1.0 at index 0"),
        (np.zeros(60), "`sample_weight` must be above 0 for at least one row; got zero for all"),
    ],
)
def test_weights_out_of_range(weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, IDS, weights)


@pytest.mark.parametrize("y", [IDS, IDS == 1])
@pytest.mark.parametrize("weights", [np.ones(60), 1.0], ids=["rows", "one"])
def test_weights_of_1_give_the_bits_of_none(y, weights):
    assert_same_bits(small().fit(X, y, weights), small().fit(X, y))


def test_rows_of_weight_0_are_left_out():
    weights = np.repeat([1.0, 0.0], 30)
    some = small(batch_size=20, alpha=1.0).fit(X, IDS, weights)
    assert_same_bits(some, small(batch_size=20, alpha=1.0).fit(X[:30], IDS[:30]))


def test_several_classes_per_row_are_rejected():
    with pytest.raises(ValueError, match="`y` must hold one class per row, or columns of 0"):
        small().fit(X, np.stack([IDS, IDS], axis=1))


@pytest.mark.usefixtures("no_gpu")
def test_no_gpu_is_an_error():
    with pytest.raises(xpnet.DeviceError):
        small(device="gpu").fit(X, IDS)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_host_rows_are_computed_on_the_gpu():
    mlp, expected = small(device="gpu").fit(X, IDS), small().fit(X, IDS)
    assert mlp.network_.library == "cupy"
    np.testing.assert_allclose(mlp.predict_proba(X), expected.predict_proba(X), atol=1e-8)
    for ours, on_host in zip(mlp.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(ours, on_host, atol=1e-8)
    np.testing.assert_array_equal(mlp.predict(X), expected.predict(X))
    copy = pickle.loads(pickle.dumps(mlp)).partial_fit(X, IDS)
    assert copy.network_.library == "cupy"


# ---------------------------------------------------------------------------- messages


def test_a_warning_if_not_converged():
    with pytest.warns(ConvergenceWarning, match="has not converged in max_iter=2 epochs"):
        small(max_iter=2).fit(X, IDS)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_stops_without_improvement(capsys, early_stopping):
    options = {"tol": 10.0, "n_iter_no_change": 3, "max_iter": 100, "verbose": True}
    mlp = small(early_stopping=early_stopping, validation_fraction=0.2, **options).fit(X, IDS)
    # The first epoch is better than none.
    assert mlp.n_iter_ == 5
    message = "did not improve more than tol=10.000000 for 3 consecutive epochs. Stopping."
    assert capsys.readouterr().out.splitlines()[-1].endswith(message)


def test_diverging_weights():
    with pytest.raises(RunawayError, match="a lower learning rate may help"):
        small(MLPRegressor, solver="sgd", learning_rate_init=1e6).fit(X, VALUES)


def test_verbose(capsys):
    small(verbose=True, max_iter=2, early_stopping=True).fit(X, IDS)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["Iteration", "Validation"] * 2


def test_an_interrupted_training_is_kept(monkeypatch):
    step, calls = Trainer.step, []

    def interrupted(self, *args, **options):
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.warns(UserWarning, match="training was interrupted"):
        mlp = small().fit(X, IDS)
    assert mlp.n_iter_ == 3
    assert mlp.predict(X).shape == (60,)


def test_without_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import xpnet
from xpnet import *
assert "MLPClassifier" not in dir(xpnet)
try:
    xpnet.MLPClassifier
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "MLPClassifier and MLPRegressor need scikit-learn: pip install scikit-learn\n"
    assert said.stdout == expected
