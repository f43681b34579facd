"""Trainings that diverge or are interrupted keep what was complete, and BLAS its threads."""

import pickle

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import xpnet
from xpnet.training import loop
from xpnet.training.run import RunawayError, TrainingInterrupted

# Divergence


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


def test_a_loss_of_held_out_rows_that_overflows_is_an_error():
    network = xpnet.init_network([1, 3, 1], output="values")
    held_out = np.full((2, 1), 1e30), np.ones(2)
    with pytest.raises(RunawayError, match="held-out images"):
        xpnet.train(network, np.ones((20, 1)), np.ones(20), validation=held_out)


def test_the_finite_epochs_are_kept(digits, start, assert_same_bits):
    def schedule(n_done, _):
        return 1.0 if n_done < 6 else 1e45

    options = {"batch_size": 100, "schedule": schedule, "optimizer": "sgd"}
    with pytest.raises(RunawayError, match="diverged in epoch 3") as caught:
        xpnet.train(start(), *digits, epochs=9, **options)
    assert_same_bits(caught.value.run, xpnet.train(start(), *digits, epochs=2, **options))
    assert len(caught.value.run.history) == 2


def test_a_reproducible_network_that_diverges_is_an_ordinary_one(digits, start):
    network = xpnet.reproducible(start(activation="relu"))
    with pytest.raises(RunawayError) as caught:
        xpnet.train(network, *digits, optimizer="sgd", learning_rate=1e30)
    assert type(caught.value.run.network) is xpnet.Network


# Interrupts


@pytest.fixture
def few():
    """Return a small network and examples."""
    rows = np.random.default_rng(0).normal(size=(12, 2))
    return xpnet.init_network([2, 2]), rows, np.arange(12) % 2


def test_an_interrupt_before_any_line_leaves_the_last_complete_epoch(
    few, interrupted_at, assert_same_bits
):
    options = {"batch_size": 6, "schedule": "constant", "validation": 0.25}
    runs = [xpnet.train(*few, epochs=n, **options) for n in (1, 2)]
    n_complete = set()
    for n in range(1, 1000):
        with interrupted_at(n, loop) as lines:
            try:
                assert_same_bits(xpnet.train(*few, epochs=2, **options), runs[1])
            except TrainingInterrupted as error:
                n_complete.add(len(error.run.history))
                assert_same_bits(error.run, runs[len(error.run.history) - 1])
            except KeyboardInterrupt:
                n_complete.add(0)
        if len(lines) < n:
            break
    assert n_complete == {0, 1, 2}


def test_each_epoch_can_be_kept_and_be_the_last(few, assert_same_bits):
    runs, options = [], {"schedule": "constant", "validation": 0.5}

    def keep(run):
        runs.append(run)
        if len(runs) == 3:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted) as caught:
        xpnet.train(*few, epochs=4, on_epoch=keep, **options)
    runs.append(pickle.loads(pickle.dumps(caught.value)).run)
    for n, run in zip((1, 2, 3, 3), runs, strict=True):
        assert_same_bits(run, xpnet.train(*few, epochs=n, **options))
    assert isinstance(caught.value, KeyboardInterrupt)


# Threads of BLAS


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


def test_small_batches_have_the_same_bits_with_any_number_of_threads(
    digits, start, assert_same_bits
):
    runs = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, "blas"):
            runs.append(xpnet.train(start((784, 100, 10)), *digits, epochs=3))
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


@pytest.mark.parametrize(("width", "batch_size", "n_threads"), [(99, 100, 1), (500, 30, 2)])
def test_only_small_batches_limit_blas(threads_of_blas, width, batch_size, n_threads):
    during, after = [], []
    xpnet.train(
        xpnet.init_network([784, width, 10]),
        np.zeros((300, 784)),
        np.arange(300) % 10,
        epochs=2,
        batch_size=batch_size,
        schedule=lambda *_: during.append(threads_of_blas()) or 1.0,
        on_epoch=lambda _: after.append(threads_of_blas()),
    )
    assert during == [{n_threads}] * len(during)
    assert after == [{2}, {2}]


@pytest.mark.parametrize("callback", ["on_epoch", "schedule"])
@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, GeneratorExit])
def test_an_error_in_a_callback_restores_the_threads(few, threads_of_blas, callback, error):
    def fail(*_):
        raise error

    with pytest.raises(error):
        xpnet.train(*few, **{callback: fail})
    assert threads_of_blas() == {2}
