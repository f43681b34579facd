"""Tests of training from the public function."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.training.optimizers import SGD
from xpnet.training.schedules import SCHEDULES


def arrays(run):
    return [x for layer in run.network.layers for x in (layer.weight, layer.bias)]


def test_it_learns(digits, start):
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


def test_the_best_epoch_is_that_of_the_result(digits, start):
    images, labels = digits
    options = {"epochs": 3, "batch_size": 50, "validation": 0.2, "schedule": "constant"}
    run = xpnet.train(start(), images, labels, **options)
    assert [epoch.learning_rate for epoch in run.history] == [0.005] * 3
    assert run.best is max(run.history, key=lambda e: (e.validation_accuracy, -e.validation_loss))
    order = np.random.default_rng(0).permutation(300)  # the seed decides which are held out
    found = [
        xpnet.evaluate(run.network, images[index], labels[index]).accuracy
        for index in (order[:60], order[60:])
    ]
    assert found == pytest.approx([run.best.validation_accuracy, run.best.accuracy])


@pytest.mark.parametrize("augment", [0, 1])
def test_the_same_seed_gives_the_same_bits(digits, start, augment, assert_same_bits):
    options = {"epochs": 2, "augment": augment}
    one, same, other = (xpnet.train(start(), *digits, seed=x, **options) for x in (1, 1, 2))
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


def test_an_augmentation_of_ones_own(digits, start, assert_same_bits):
    def darker(rows, random):
        return rows * random.choice([0, 1], size=(len(rows), 1))

    augments = darker, darker, lambda rows, _: rows, 0
    options = {"epochs": 2, "validation": 0.2}
    runs = [xpnet.train(start(), *digits, augment=x, **options) for x in augments]
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[2], runs[3])
    assert runs[0].history[-1].loss > runs[3].history[-1].loss


OWN = SGD(momentum=0.5, weight_decay=1e-4)
RATES = {"momentum": 0.2, "nesterov": 0.2, "sgd": 0.5, OWN: 0.8}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", *RATES])
def test_every_optimizer_learns(digits, start, optimizer, schedule):
    rate = RATES.get(optimizer)  # for Adam and AdamW, the usual one
    options = {"optimizer": optimizer, "learning_rate": rate, "schedule": schedule}
    run = xpnet.train(start(), *digits, epochs=12, batch_size=20, **options)
    assert run.history[-1].accuracy > 0.9


@pytest.mark.parametrize("augment", [0, 1])
def test_held_out_images_are_not_trained_on(digits, start, augment):
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
    options = {"epochs": 1, "learning_rate": 1e-9}
    for validation in (0.1, (rows[:2], labels[:2])):
        run = xpnet.train(network, rows, labels, validation=validation, **options)
        assert run.history[0].accuracy == pytest.approx(0.5, abs=0.06)  # five deviations


def worsening(**options):
    """Return a run whose held-out labels are the opposite of the others, and these examples."""
    rows = np.random.default_rng(0).normal(size=(40, 2))
    labels = (rows[:, 0] > 0).astype(int)
    held_out = rows[:20], labels[:20]
    network = xpnet.Network([xpnet.Dense(np.asarray([[-1.0, 1.0], [0.0, 0.0]]), np.zeros(2))])
    usual = {"optimizer": "sgd", "learning_rate": 0.3, "schedule": "constant", "epochs": 9}
    run = xpnet.train(network, rows, 1 - labels, validation=held_out, **(usual | options))
    return run, held_out


@pytest.mark.parametrize("patience", [None, 1, 3, 8])
def test_the_best_weights_come_back_and_patience_ends(patience):
    run, held_out = worsening(patience=patience)
    losses = [epoch.validation_loss for epoch in run.history]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    assert len(run.history) == 1 + (patience or 8)
    assert run.best is run.history[0]
    loss = xpnet.cross_entropy(run.network(held_out[0]), held_out[1])
    assert float(loss) == pytest.approx(losses[0], rel=1e-12)


def test_patience_begins_again_after_a_better_epoch():
    # The third step goes back, beyond the start.
    back = lambda n_done, _: -3.0 if n_done == 2 else 1.0
    run, _ = worsening(patience=2, batch_size=40, schedule=back)
    assert [len(run.history), run.best.number] == [5, 3]


@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16])
def test_numpy_scalars_as_rates(digits, start, number, assert_same_bits):
    run, expected = (
        xpnet.train(start(), *digits, epochs=1, learning_rate=rate, schedule=lambda *_, x=half: x)
        for rate, half in [(number(0.25), number(0.5)), (0.25, 0.5)]
    )
    assert_same_bits(run, expected)
    assert type(run.history[0].learning_rate) is float


@pytest.mark.parametrize(("n", "n_batches"), [(1, 1), (7, 3), (6, 2)])
def test_the_rate_of_each_step(digits, start, n, n_batches):
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


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_pixels_without_scaling(digits, dtype):
    images, labels = digits[0][:40].astype(dtype), digits[1][:40]
    network = xpnet.init_network([784, 10])
    with pytest.warns(xpnet.ScalingWarning, match=r"up to 255.*Scale\(1/255\)$") as caught:
        trained = xpnet.train(network, images, labels, epochs=1).network
    (told,) = [each for each in caught if each.category is xpnet.ScalingWarning]
    assert Path(told.filename) == Path(__file__)
    assert trained.metadata.get("input_range") == (None if dtype is np.float32 else "0..255")
    scaled = xpnet.train(network, images / 255, labels, epochs=1).network
    assert scaled.metadata == {}
