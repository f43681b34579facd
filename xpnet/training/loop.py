"""Training of a network: steps by an optimizer, and the loop over epochs with its scores."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.memory import keep_freed_memory
from xpnet.arrays.cpu.threads import one_blas_thread
from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of, without_warnings
from xpnet.arrays.transfer import to_numpy, without_graph
from xpnet.inference.predict import argmax_ids, outputs_of
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augment
from xpnet.training.backward import Objective, loss_and_gradient, unflatten_parameters
from xpnet.training.examples import Batch, Examples, all_finite, batches, weight_column
from xpnet.training.optimizers import Optimizer, Step
from xpnet.training.run import MOST_MEASURED, Epoch, Run, RunawayError, TrainingInterrupted
from xpnet.training.schedules import Schedule

__all__ = ["Loop", "Trainer", "flatten_parameters", "loss_and_accuracy", "with_parameters"]

# The most multiplications of a forward pass of a batch on one thread. On two cores of a Zen 4, a
# second thread shortens a step with fewer by 9%, and a step with twice as many by 25%.
_SMALL_BATCH = 10**7


def flatten_parameters(network: Network) -> Any:
    """Return the parameters of a network as one new vector, detached from any torch graph.

    It has at least 32 bits, so that small updates add up; of a reproducible network, 64.
    """
    xp = array_namespace(network.layers[0].weight)
    parameters = [p for layer in network.layers for p in (layer.weight, layer.bias)]
    vector = xp.concat([xp.reshape(without_graph(p), (-1,)) for p in parameters])
    vector = network.widened(vector, xp)
    return vector if limits_of(vector.dtype, xp).bits >= 32 else xp.astype(vector, xp.float32)


def with_parameters(network: Network, vector: Any) -> Network:
    """Return a copy of the network that has the parameters of the vector."""
    xp = array_namespace(vector)
    pairs = zip(network.layers, unflatten_parameters(network, vector, xp), strict=True)
    layers = tuple(replace(layer, weight=weight, bias=bias) for layer, (weight, bias) in pairs)
    return replace(network, layers=layers)


class Trainer:
    """A network in training; each step creates new `parameters`, a vector on its device."""

    def __init__(self, objective: Objective, optimizer: Optimizer) -> None:
        self.objective, self._optimizer, self.n_steps = objective, optimizer, 0
        network = objective.network
        self.xp = xp = network.functions(network.layers[0].weight)
        keep_freed_memory()
        self.parameters = flatten_parameters(network)
        self._sums = optimizer.start(self.parameters)
        # Weights decay, biases do not.
        options = {"dtype": self.parameters.dtype, "device": device_of(self.parameters)}
        counts = [(layer.n_in * layer.n_out, layer.n_out) for layer in network.layers]
        masks = [(xp.ones(n, **options), xp.zeros(m, **options)) for n, m in counts]
        self._decayed = xp.concat([mask for pair in masks for mask in pair])

    def blas_limit(self, batch_size: int) -> AbstractContextManager[None]:
        """Limit NumPy's BLAS to one thread if the batches are small.

        A second thread gains little, changes the last digits, and waits actively between products.
        """
        network = self.objective.network
        is_small = batch_size * network.multiplications <= _SMALL_BATCH
        return one_blas_thread() if is_small and network.library == "numpy" else nullcontext()

    def step(self, batch: Batch, rate: float) -> Any:
        """Update the parameters by the gradient of a batch; return its mean loss, on the device."""
        xp, network = self.xp, self.objective.network
        # The caller checks once per epoch that the parameters are finite.
        with without_warnings():
            pairs = unflatten_parameters(network, self.parameters, xp)
            weights = None if batch.weights is None else network.widened(batch.weights, xp)
            given = self.objective, pairs, batch.rows, batch.targets, xp
            loss, gradient = map(without_graph, loss_and_gradient(*given, weights=weights))
            gradient = cast(gradient, self.parameters.dtype, xp)
            at = Step(gradient, self.parameters, self._decayed, self.n_steps, rate, xp)
            self._sums, update = self._optimizer.step(self._sums, at)
            update += self.parameters  # in place if the library supports it
            self.parameters = update
            self.n_steps += 1
        return loss


class _End(NamedTuple):
    """State at the end of an epoch: the history, and the best epoch with its parameters."""

    history: tuple[Epoch, ...] = ()
    best: Epoch | None = None
    parameters: Any = None


@dataclass(eq=False)
class Loop:
    """Training loop over epochs, with the options of `xpnet.train`.

    `kept` are the indices of the training examples; `held_out`, if any, determine the best epoch.
    """

    trainer: Trainer
    examples: Examples
    kept: NDArray[np.int64]
    held_out: Examples
    epochs: int
    batch_size: int
    rate: float
    schedule: Schedule
    patience: int
    augment: Augment | None
    seed: int

    def __post_init__(self) -> None:
        self._measured = self.examples.take(self.kept[:MOST_MEASURED])
        decisive = self.held_out
        if not decisive.rows.shape[0]:
            decisive = self.examples._replace(rows=None).take(self.kept)
        self._baseline = _baseline(self.trainer.objective, decisive)
        # Replaced by a single assignment: an interrupt leaves either the old epoch or the new one.
        self._end = _End()
        self._start = perf_counter()

    def run(self, on_epoch: Callable[[Run], None] | None) -> Run:
        """Train until all epochs are done or patience is exhausted."""
        try:
            n_worse = 0
            while len(self._end.history) < self.epochs and n_worse < self.patience:
                self._end = self._next_end()
                n_worse = 0 if self._end.best is self._end.history[-1] else n_worse + 1
                if on_epoch is not None:
                    on_epoch(self._result())
            return self._result()
        except KeyboardInterrupt as error:
            if not self._end.history:
                raise
            n_epochs = len(self._end.history)
            stopped = TrainingInterrupted(f"training was interrupted after epoch {n_epochs}")
            stopped.run = self._result()
            raise stopped from error

    def _next_end(self) -> _End:
        """Train for an epoch and return its end, or raise RunawayError."""
        trainer, objective = self.trainer, self.trainer.objective
        history, best, parameters = self._end
        # The end of the epoch reports overflow.
        with without_warnings(), trainer.blas_limit(min(self.batch_size, len(self.kept))):
            loss, rate = self._run_batches()
        self._check(f"the loss ({loss})", is_finite=isfinite(loss))
        with without_warnings():
            weights = objective.network.rounded(trainer.parameters, trainer.xp)
        self._check("the weights", is_finite=all_finite(weights))
        network = with_parameters(objective.scored, trainer.parameters)
        held_out = loss_and_accuracy(objective, network, self.held_out)
        what = f"the loss of the held-out images ({held_out[0]})"
        self._check(what, is_finite=isfinite(held_out[0] or 0.0))
        _, accuracy = loss_and_accuracy(objective, network, self._measured)
        seconds = perf_counter() - self._start
        epoch = Epoch(len(history) + 1, loss, accuracy, *held_out, rate, seconds)
        if best is None or held_out[0] is None or epoch.is_better_than(best):
            best, parameters = epoch, trainer.parameters
        return _End((*history, epoch), best, parameters)

    def _run_batches(self) -> tuple[float, float]:
        """Train on each batch of an epoch; return the mean loss and the last learning rate."""
        trainer, n_batches = self.trainer, -(-len(self.kept) // self.batch_size)
        random = np.random.default_rng([self.seed, len(self._end.history) + 1])
        order = random.permutation(self.kept)
        total: Any = 0.0  # on the network's device
        total_weight = rate = 0.0
        given = self.examples, order, trainer.objective, self.batch_size
        for batch in batches(*given, augment=self.augment, random=random):
            rate = float(self.rate * self.schedule(trainer.n_steps, self.epochs * n_batches))
            total = total + trainer.step(batch, rate) * batch.total_weight
            total_weight += batch.total_weight
        return float(to_numpy(total)) / total_weight, rate

    def _check(self, what: str, *, is_finite: bool) -> None:
        if not is_finite:
            number = len(self._end.history) + 1
            msg = f"{what} diverged in epoch {number}: a lower learning rate may help"
            error = RunawayError(msg)
            error.run = self._result()
            raise error

    def _result(self) -> Run:
        """Return the result so far: the initial network if no epoch is completed."""
        (history, best, parameters), network = self._end, self.trainer.objective.network
        if best is None:
            return Run(network.ordinary, history)
        return Run(with_parameters(network, parameters).ordinary, history, best, self._baseline)


def _baseline(objective: Objective, examples: Examples) -> float:
    """Return the best score without inputs: see `Run`."""
    answers, weights = to_numpy(examples.answers), examples.weights
    if objective.network.output == "values":
        answers = answers.astype(np.float64)
        answers = answers - answers[:1]  # then the mean of a constant is exact, and its error zero
        squares = (answers - np.average(answers, axis=0, weights=weights)) ** 2
        return float(np.mean(np.average(squares, axis=0, weights=weights)))
    answers = answers if objective.has_classes else answers > 0.5
    _, index = np.unique(answers, axis=0, return_inverse=True)
    counts = np.bincount(index.reshape(-1), weights)
    return float(counts.max() / counts.sum())


def loss_and_accuracy(
    objective: Objective, network: Network, examples: Examples
) -> tuple[float | None, float | None]:
    """Return the mean loss of examples, and the share of correct predictions, 0..1.

    Both are weighted means if the examples have weights, and None without examples. The share is
    None for a regression. With independent yes/no targets, a row is correct if all its units are.
    `network` gives the inputs of the loss, as ``objective.scored`` does.
    """
    if not examples.rows.shape[0]:
        return None, None
    outputs, answers = outputs_of(network, examples.rows), examples.answers
    xp, weights = array_namespace(outputs), examples.weights
    with one_blas_thread(), without_warnings():
        scores = network.widened(outputs, xp)
        targets = objective.targets(answers, scores.dtype, xp)
        column = None if weights is None else weight_column(weights, scores)
        mean_loss, _ = objective.mean_loss(scores, targets, network.functions(scores), column)
        loss = float(to_numpy(mean_loss))
        if network.output == "values":
            return loss, None
        if objective.has_classes:
            is_correct = argmax_ids(network, outputs) == answers
        else:
            is_correct = xp.all((outputs > 0.0) == (answers > 0.5), axis=1)
        return loss, float(np.average(to_numpy(is_correct), weights=weights))
