"""Tests of training from the public function."""

import dataclasses
import pickle
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import xpnet
from xpnet.training.optimizers import SGD, Adam
from xpnet.training.run import RunawayError
from xpnet.training.schedules import SCHEDULES

SAMPLE, LABELS = xpnet.sample()
SAMPLE = SAMPLE.reshape(1000, 784)


@pytest.fixture(scope="module")
def digits():
    images, labels = xpnet.sample()
    return images[:300], labels[:300]


def start(sizes=(784, 20, 10), **options):
    options = {"activation": "sigmoid", "preprocessing": xpnet.Scale(1 / 255), **options}
    return xpnet.init_network([*sizes], **options)


def arrays(run):
    return [x for layer in run.network.layers for x in (layer.weight, layer.bias)]


def test_it_learns(digits):
    before = xpnet.evaluate(start(), *digits).accuracy
    run = xpnet.train(start(), *digits, epochs=15, batch_size=20, learning_rate=0.01)
    assert before < 0.3
    assert xpnet.evaluate(run.network, *digits).accuracy > 0.95
    losses = [epoch.loss for epoch in run.history]
    assert losses[-1] < losses[0] / 5
    assert [epoch.number for epoch in run.history] == list(range(1, 16))
    assert all(a.seconds < b.seconds for a, b in pairwise(run.history))
    assert {(e.validation_accuracy, e.validation_loss) for e in run.history} == {(None, None)}
    assert run.best is run.history[-1]


def test_the_history(digits):
    images, labels = digits
    run = xpnet.train(
        start(), images, labels, epochs=3, batch_size=50, validation=0.2, schedule="constant"
    )
    for epoch in run.history:
        assert 0 < epoch.loss < 3
        assert epoch.learning_rate == 0.005
    # The seed decides which are held out.
    order = np.random.default_rng(0).permutation(300)
    held_out, kept = order[:60], order[60:]
    assert run.best is max(run.history, key=lambda e: (e.validation_accuracy, -e.validation_loss))
    result = xpnet.evaluate(run.network, images[held_out], labels[held_out])
    assert run.best.validation_accuracy == pytest.approx(result.accuracy)
    assert run.best.accuracy == pytest.approx(
        xpnet.evaluate(run.network, images[kept], labels[kept]).accuracy
    )
    loss = xpnet.cross_entropy(
        xpnet.forward(run.network, images[held_out].reshape(60, -1)), labels[held_out]
    )
    assert run.best.validation_loss == pytest.approx(float(loss), rel=1e-5)


def test_the_loss_is_the_mean_over_all_examples(digits):
    # The rate is too small to change the network.
    network = start()
    run = xpnet.train(network, *digits, epochs=1, batch_size=77, learning_rate=1e-30)
    logits = xpnet.forward(network, digits[0].reshape(300, -1))
    assert run.history[0].loss == pytest.approx(float(xpnet.cross_entropy(logits, digits[1])), 1e-5)


@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16])
def test_numpy_scalars_as_rates(digits, number, assert_same_bits):
    run = xpnet.train(
        start(), *digits, epochs=1, learning_rate=number(0.25), schedule=lambda *_: number(0.5)
    )
    expected = xpnet.train(start(), *digits, epochs=1, learning_rate=0.25, schedule=lambda *_: 0.5)
    assert_same_bits(run, expected)
    assert type(run.history[0].learning_rate) is float


@pytest.mark.parametrize("options", [{}, {"augment": 1}])
def test_the_same_seed_gives_the_same_bits(digits, options, assert_same_bits):
    one, same, other = (
        xpnet.train(start(), *digits, epochs=2, seed=seed, **options) for seed in (1, 1, 2)
    )
    assert_same_bits(one, same)
    assert not np.array_equal(arrays(one)[0], arrays(other)[0])


def test_each_epoch_has_its_own_order():
    orders = []

    def recorded(rows, _):
        orders.append(rows[:, 0].tolist())
        return rows

    network, rows = xpnet.init_network([1, 2]), np.arange(30.0)[:, None]
    xpnet.train(network, rows, np.arange(30) % 2, epochs=3, batch_size=7, augment=recorded)
    assert len(set(map(tuple, orders))) == 3
    assert [sorted(order) for order in orders] == [[*range(30)]] * 3


def test_an_augmentation_of_ones_own(digits, assert_same_bits):
    def darker(rows, random):
        return rows * random.choice([0, 1], size=(len(rows), 1))

    options = {"epochs": 2, "validation": 0.2}
    runs = [xpnet.train(start(), *digits, augment=f, **options) for f in (darker, darker, 0)]
    assert_same_bits(runs[0], runs[1])
    assert runs[0].history[-1].loss > runs[2].history[-1].loss
    assert_same_bits(xpnet.train(start(), *digits, augment=lambda x, _: x, **options), runs[2])
    with pytest.raises(ValueError, match="`augment`"):
        xpnet.train(start(), *digits, augment=lambda rows, _: rows[:-1], **options)


def there(network, xp_backend, dtype="float32"):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays are lazy: training would build an endless graph")
    return network.map_arrays(lambda x: xp_backend.asarray(x, dtype))


def test_every_backend_learns_alike(xp_backend, digits):
    images, labels = digits[0][:60], digits[1][:60]
    options = {"epochs": 2, "batch_size": 20}
    network = there(start(), xp_backend)
    run = xpnet.train(network, images, labels, **options)
    expected = xpnet.train(start(), images, labels, **options)
    assert run.history[-1].loss == pytest.approx(expected.history[-1].loss, rel=1e-4)
    # By a gradient that is nothing but rounding Adam may step either way. By Cauchy's inequality,
    # a mean with the weights a over the root of a mean square with the weights b is at most the
    # root of sum(a^2 / b): that is how far a step goes, in learning rates.
    most = 0.0
    for n_done in range(6):
        ages = np.arange(n_done + 1)
        a, b = 0.9**ages, 0.999**ages
        reach = np.sqrt(np.sum((a / a.sum()) ** 2 / (b / b.sum())))
        most += 2 * 0.005 * SCHEDULES["cosine"](n_done, 6) * reach
    n_far = n_all = 0
    for x, truth in zip(arrays(run), arrays(expected), strict=True):
        values = xp_backend.check(x, dtype="float32", shape=truth.shape)
        far = np.abs(values - truth)
        assert far.max() <= most + 1e-6
        n_far += np.count_nonzero(far > 1e-5)
        n_all += far.size
    assert n_far <= n_all // 100


OWN = SGD(momentum=0.5, weight_decay=1e-4)
RATES = {"momentum": 0.2, "nesterov": 0.2, "sgd": 0.5, OWN: 0.8}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", *RATES])
def test_every_optimizer_learns(digits, optimizer, schedule):
    rate = RATES.get(optimizer)  # for Adam and AdamW, the usual one
    options = {"optimizer": optimizer, "learning_rate": rate, "schedule": schedule}
    run = xpnet.train(start(), *digits, epochs=12, batch_size=20, **options)
    assert run.history[-1].accuracy > 0.9


@pytest.mark.parametrize("augment", [0, 1])
def test_held_out_images_are_not_trained_on(digits, augment):
    images, labels = digits[0] // 2 + 1, digits[1]
    # Their values do not change the trained weights.
    held_out = np.random.default_rng(0).permutation(300)[:150]
    others = images.copy()
    others[held_out] = 0  # nor are they the background of the others
    one, other = (
        xpnet.train(start(), x, labels, epochs=1, validation=0.5, augment=augment)
        for x in (images, others)
    )
    np.testing.assert_array_equal(arrays(one)[0], arrays(other)[0])
    assert one.history[0].validation_loss != other.history[0].validation_loss


def test_the_accuracy_is_not_that_of_the_first_examples():
    # Sorted by class, 3,000 of each: the first 2,000 would all be of one.
    labels = np.repeat([0, 1], 3000)
    rows = np.zeros((6000, 2), np.float32)
    network = xpnet.Network([xpnet.Dense(np.zeros((2, 2)), np.asarray([100.0, 0.0]))])
    others = rows[:2], labels[:2]
    for validation in (0.1, others):
        run = xpnet.train(
            network, rows, labels, epochs=1, validation=validation, learning_rate=1e-9
        )
        assert run.history[0].accuracy == pytest.approx(0.5, abs=0.06)  # five deviations


def worsening(**options):
    """Return a run whose validation scores get worse from the second epoch on."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 2))
    labels = (rows[:, 0] > 0).astype(int)
    # The held-out labels are the opposite of the training labels.
    held_out = rows[:20], labels[:20]
    network = xpnet.Network([xpnet.Dense(np.asarray([[-1.0, 1.0], [0.0, 0.0]]), np.zeros(2))])
    options |= {"optimizer": "sgd", "learning_rate": 0.3, "schedule": "constant"}
    run = xpnet.train(network, rows, 1 - labels, epochs=9, validation=held_out, **options)
    return run, held_out


def test_the_best_weights_come_back():
    run, held_out = worsening()
    losses = [epoch.validation_loss for epoch in run.history]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    assert len(run.history) == 9
    assert run.best is run.history[0]
    loss = xpnet.cross_entropy(run.network(held_out[0]), held_out[1])
    assert float(loss) == pytest.approx(losses[0], rel=1e-12)


@pytest.mark.parametrize("patience", [1, 3, 8])
def test_patience_stops_training_without_improvement(patience):
    run, _ = worsening(patience=patience)
    assert len(run.history) == 1 + patience
    assert run.best is run.history[0]
    np.testing.assert_array_equal(arrays(run)[0], arrays(worsening()[0])[0])


@pytest.fixture
def threads_of_blas():
    """Give NumPy's BLAS two threads, and return a function that returns their number."""

    def found():
        blas = [x for x in threadpool_info() if x["user_api"] == "blas"]
        return {x["num_threads"] for x in blas if "numpy" in x["filepath"]}

    with threadpool_limits(2, "blas"):
        if found() != {2}:
            pytest.skip("the threads of this BLAS cannot be set")
        yield found


def test_small_batches_have_the_same_bits_with_any_number_of_threads(digits, assert_same_bits):
    runs = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, "blas"):
            runs.append(xpnet.train(start((784, 100, 10)), *digits, epochs=3, validation=0.2))
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


@pytest.mark.parametrize(("width", "batch_size", "n_threads"), [(99, 100, 1), (500, 30, 2)])
def test_only_small_batches_limit_blas(digits, threads_of_blas, width, batch_size, n_threads):
    during, after = [], []

    def schedule(*_):
        during.append(threads_of_blas())
        return 1.0

    xpnet.train(
        start((784, width, 10)),
        *digits,
        epochs=2,
        batch_size=batch_size,
        schedule=schedule,
        on_epoch=lambda _: after.append(threads_of_blas()),
    )
    assert during == [{n_threads}] * len(during)
    assert after == [{2}, {2}]


@pytest.mark.parametrize("callback", ["on_epoch", "schedule"])
@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, GeneratorExit])
def test_an_error_in_a_callback_restores_the_threads(digits, threads_of_blas, callback, error):
    def fail(*_):
        raise error

    with pytest.raises(error):
        xpnet.train(start(), *digits, **{callback: fail})
    assert threads_of_blas() == {2}


def test_a_regression_learns_a_sine():
    x = np.linspace(-3, 3, 200)[:, None]
    network = xpnet.init_network([1, 20, 1], activation="tanh", scheme="he", output="values")
    run = xpnet.train(
        network, x, np.sin(x[:, 0]), epochs=200, batch_size=20, learning_rate=0.1, validation=0.2
    )
    assert np.max(np.abs(xpnet.predict(run.network, x)[:, 0] - np.sin(x[:, 0]))) < 0.1
    assert run.best.validation_loss < 1e-3
    assert {epoch.accuracy for epoch in run.history} == {None}
    assert run.best is min(run.history, key=lambda epoch: epoch.validation_loss)


@pytest.mark.parametrize(
    "augment", [0, lambda rows, _: rows * np.float64(1.0)], ids=["", "augment"]
)
def test_rows_and_values_of_float64_on_every_device(xp_backend, augment):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = x[:, 0] - x[:, 1]
    host = xpnet.init_network([2, 1], output="values")
    options = {"epochs": 2, "validation": (x, y), "augment": augment}
    run = xpnet.train(there(host, xp_backend), x, y, **options)
    expected = xpnet.train(host, x, y, **options)
    for ours, other in zip(run.history, expected.history, strict=True):
        assert ours.loss == pytest.approx(other.loss, rel=1e-4)
        assert ours.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)
    assert run.baseline == pytest.approx(y.var(), rel=1e-6)


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_one_unit_for_two_classes(output, assert_same_bits):
    random = np.random.default_rng(1)
    rows = random.normal(size=(200, 2))
    names = np.where(rows[:, 0] + rows[:, 1] > 0.5, "above", "below")
    ending = "sigmoid" if output == "probabilities" else "identity"
    layer = xpnet.Dense(np.zeros((2, 1)), np.zeros(1), ending)
    network = xpnet.Network([layer], output=output, classes=["below", "above"])
    options = {"epochs": 30, "batch_size": 20, "learning_rate": 0.3}
    run = xpnet.train(network, rows, names, **options)
    assert run.network.output == output
    assert run.network.layers[-1].activation == ending
    assert run.history[-1].accuracy > 0.97
    assert xpnet.evaluate(run.network, rows, names).accuracy == run.history[-1].accuracy
    ids = (names == "above").astype(int)
    assert_same_bits(run, xpnet.train(xpnet.Network([layer], output=output), rows, ids, **options))


def test_independent_units():
    rows = np.random.default_rng(2).normal(size=(300, 3))
    layer = xpnet.Dense(np.zeros((3, 3)), np.zeros(3), "sigmoid")
    network = xpnet.Network([layer], output="probabilities")
    options = {"epochs": 40, "batch_size": 20, "learning_rate": 0.3}
    run = xpnet.train(network, rows, rows > 0.0, **options)
    right = np.all((run.network(rows) > 0.5) == (rows > 0.0), axis=1)
    assert run.history[-1].accuracy == pytest.approx(np.mean(right))
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_network_of_half_the_bits_learns(digits, dtype):
    network = start(dtype="float16")
    if dtype == "bfloat16":
        torch = pytest.importorskip("torch", reason="only torch has a bfloat16 to learn in")
        network = start().map_arrays(lambda x: torch.tensor(x).bfloat16())
    run = xpnet.train(network, *digits, epochs=10, batch_size=20, learning_rate=0.01)
    assert str(run.network.dtype).endswith(dtype)
    assert run.history[-1].accuracy > 0.9
    losses = [epoch.loss for epoch in run.history]
    assert losses == sorted(losses, reverse=True)


def test_the_loss_of_many_examples_is_not_too_large_for_float16():
    # The sum of 100,000 losses of 0.69 is; nor is their mean rounded to three digits.
    rows, labels = np.ones((100_000, 2), np.float16), np.arange(100_000) % 2
    network = xpnet.init_network([2, 2], scheme="normal", dtype="float16")
    run = xpnet.train(network, rows, labels, epochs=1, batch_size=5000, learning_rate=1e-6)
    assert run.history[0].loss == pytest.approx(0.6931, rel=1e-3)


def read_only(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("options", [{}, {"augment": 1}])
def test_images_of_a_mapped_file_can_be_learned(digits, tmp_path, options, assert_same_bits):
    np.save(tmp_path / "images.npy", digits[0])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    options = {"epochs": 1, "validation": 0.2, **options}
    run = xpnet.train(start().map_arrays(read_only), mapped, read_only(digits[1]), **options)
    assert_same_bits(run, xpnet.train(start(), *digits, **options))


@pytest.mark.parametrize("augment", [0, 1])
def test_images_of_any_backend_can_be_learned(xp_backend, digits, augment):
    images, labels = digits[0][:50], digits[1][:50]
    placed = xp_backend.asarray(images, "uint8"), xp_backend.asarray(labels, "int64")
    # Dask's are computed first.
    network = start() if xp_backend.name == "dask" else there(start(), xp_backend)
    options = {"epochs": 2, "batch_size": 20, "validation": 0.2, "augment": augment}
    run, expected = (
        xpnet.train(*given, **options) for given in ((network, *placed), (start(), images, labels))
    )
    losses = [[epoch.loss for epoch in r.history] for r in (run, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_torchs_graph_does_not_grow():
    torch = pytest.importorskip("torch", reason="only torch keeps a graph")

    def leaf(*shape):
        return torch.ones(*shape, requires_grad=True)

    network = xpnet.Network(
        [xpnet.Dense(leaf(2, 2), leaf(2))], preprocessing=xpnet.Standardize(leaf(2), leaf(2))
    )
    run = xpnet.train(network, leaf(6, 2), torch.arange(6) % 2, epochs=2, validation=0.5)
    assert not any(x.requires_grad for x in arrays(run))


WRONG = [
    ("epochs", 0, ValueError, "at least 1"),
    ("epochs", 1.5, TypeError, "integer"),
    ("epochs", True, TypeError, "integer"),
    ("batch_size", 0, ValueError, "at least 1"),
    *(("learning_rate", x, ValueError, "positive") for x in (0, np.nan, np.inf)),
    *(("validation", x, ValueError, "share") for x in (1.0, -0.1, (1, 2, 3))),
    ("validation", [1, 2], TypeError, "pair"),
    *(("augment", x, ValueError, "augment") for x in (-1, 28)),
    ("augment", 1.5, TypeError, "integer"),
    ("seed", -1, ValueError, "seed"),
    ("seed", "one", TypeError, "seed"),
    ("patience", 3, ValueError, "held-out"),
    ("patience", 0, ValueError, "at least 1"),
    ("optimizer", "lion", ValueError, "lion"),
    *(("optimizer", x, TypeError, "Adam") for x in (Adam, 3, SimpleNamespace(step=print))),
    ("schedule", "linear", ValueError, "linear"),
    ("schedule", None, TypeError, "schedule"),
]


@pytest.mark.parametrize(("name", "value", "error", "word"), WRONG)
def test_wrong_options(digits, name, value, error, word):
    with pytest.raises(error, match=word):
        xpnet.train(start(), *digits, **{name: value})


@pytest.mark.parametrize(
    ("images", "error", "word"),
    [
        (np.zeros((2, 64)), ValueError, "784"),
        (np.zeros((0, 784)), ValueError, "at least one image"),
        (np.zeros((2, 784)) * 1j, TypeError, "complex128"),
        ("digits", TypeError, "images"),
    ],
)
def test_images_that_do_not_fit(images, error, word):
    with pytest.raises(error, match=word):
        xpnet.train(start(), images, np.zeros(len(images) % 6, int))


@pytest.mark.parametrize(("n", "n_batches"), [(1, 1), (7, 3), (6, 2)])
def test_the_rate_of_each_step(digits, n, n_batches):
    seen, rates = [], []

    def schedule(n_done, n_steps):
        seen.append((n_done, n_steps))
        return (n_done + 1) / n_steps

    rows, options = (x[:n] for x in digits), {"learning_rate": 0.01, "schedule": schedule}
    on_epoch = lambda run: rates.append(run.history[-1].learning_rate)
    xpnet.train(start(), *rows, epochs=2, batch_size=3, on_epoch=on_epoch, **options)
    assert seen == [(i, 2 * n_batches) for i in range(2 * n_batches)]
    assert rates == pytest.approx([0.005, 0.01])


@pytest.mark.parametrize(("n", "n_batches"), [(8, 1), (9, 2), (63, 8), (72, 8), (810, 9)])
def test_the_usual_batch_is_an_eighth_but_8_to_100(n, n_batches):
    steps, rows = [], np.zeros((n, 1))
    schedule = lambda i, _: steps.append(i) or 1.0
    xpnet.train(xpnet.init_network([1, 2]), rows, np.arange(n) % 2, epochs=1, schedule=schedule)
    assert len(steps) == n_batches


def test_a_nan_loss_stops_training():
    steep = xpnet.init_network([2, 2]).map_arrays(lambda x: x * np.float32(1e30))
    with pytest.raises(RunawayError, match=r"nan.* epoch 1") as it:
        xpnet.train(steep, np.asarray([[1e30, 1e30]]), [0])
    again = pickle.loads(pickle.dumps(it.value))
    assert str(again) == str(it.value)
    assert (again.run.history, again.run.best) == ((), None)
    np.testing.assert_array_equal(again.run.network.layers[0].weight, steep.layers[0].weight)


@pytest.mark.parametrize(
    ("sizes", "n", "rate", "word"),
    [
        ([2, 5, 2], 300, 1e300, "diverged in epoch 1"),
        # The loss of the only batch is finite, the weights after it are not.
        ([2, 2], 3, 1e39, "weights"),
    ],
)
def test_diverging_weights_raise_without_a_warning(sizes, n, rate, word):
    network = xpnet.init_network(sizes, activation="relu", scheme="he")
    with pytest.raises(RunawayError, match=word):
        xpnet.train(network, np.ones((n, 2)), np.arange(n) % 2, epochs=1, learning_rate=rate)


def test_the_finite_epochs_are_kept(digits, assert_same_bits):
    def schedule(n_done, _):
        return 1.0 if n_done < 6 else 1e45

    options = {"batch_size": 100, "schedule": schedule, "optimizer": "sgd"}
    with pytest.raises(RunawayError, match="diverged in epoch 3") as caught:
        xpnet.train(start(), *digits, epochs=9, **options)
    assert_same_bits(caught.value.run, xpnet.train(start(), *digits, epochs=2, **options))
    assert len(caught.value.run.history) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1)])
def test_pixels_without_scaling(dtype, shape):
    images, labels = SAMPLE[:40].astype(dtype).reshape(40, *shape), LABELS[:40]
    network = xpnet.init_network([784, 10])
    with pytest.warns(xpnet.ScalingWarning, match=r"up to 255.*Scale\(1/255\)$") as caught:
        trained = xpnet.train(network, images, labels, epochs=1).network
    (told,) = [each for each in caught if each.category is xpnet.ScalingWarning]
    assert Path(told.filename) == Path(__file__)
    assert trained.metadata.get("input_range") == (None if dtype is np.float32 else "0..255")
    for step in (xpnet.Scale(1 / 255), xpnet.Standardize.fit(images)):
        xpnet.train(dataclasses.replace(network, preprocessing=step), images, labels, epochs=1)
    declared = dataclasses.replace(network, metadata={"input_range": "0..255"})
    xpnet.train(declared, images, labels, epochs=1)


@pytest.mark.parametrize(
    "rows",
    [
        SAMPLE / 255,
        SAMPLE > 99,
        SAMPLE - 33.3,
        SAMPLE * 16.0,  # above 255
        SAMPLE[:, 300:363],  # fewer than 64 are measurements
    ],
    ids=range(5),
)
def test_numbers_that_are_no_pixels_of_255(rows):
    run = xpnet.train(xpnet.init_network([rows.shape[1], 10]), rows, LABELS, epochs=1)
    assert run.network.metadata == {}


@pytest.mark.parametrize("convert", [np.asarray, list, lambda x: x.astype(object)], ids=range(3))
@pytest.mark.parametrize("names", [["setosa", "versicolor", "virginica"], ["no", "yes"]], ids=len)
def test_labels_that_are_names(convert, names):
    ids = np.random.default_rng(0).permutation(np.arange(90) % len(names))
    rows, labels = np.eye(3)[ids], convert(np.asarray(names)[ids])
    network = xpnet.init_network([3, 3 if len(names) == 3 else 1])
    run = xpnet.train(network, rows, labels, validation=0.2, learning_rate=0.1)
    assert run.network.classes == tuple(names)
    assert xpnet.predict(run.network, rows).tolist() == list(labels)
    assert xpnet.evaluate(run.network, rows, labels).accuracy == 1.0
