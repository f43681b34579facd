"""Training loop over epochs: batches and evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.threads import one_blas_thread
from xpnet.arrays.namespace import array_namespace, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.class_labels import stay_together
from xpnet.inference.predict import argmax_ids, outputs_of
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augment
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, batches, weight_column
from xpnet.training.run import MOST_MEASURED, Epoch, Run, RunawayError, TrainingInterrupted
from xpnet.training.schedules import Schedule
from xpnet.training.trainer import Trainer

__all__ = ["Loop", "loss_and_accuracy"]


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
    patience: int | None
    augment: Augment | None
    seed: int

    def __post_init__(self) -> None:
        self._measured = self.examples.take(self.kept[:MOST_MEASURED])
        answers, weights = to_numpy(self.held_out.answers), self.held_out.weights
        if not len(answers):
            answers, weights = to_numpy(self.examples.answers)[self.kept], self.examples.weights
            weights = None if weights is None else weights[self.kept]
        self._baseline = _baseline(self.trainer.objective, answers, weights)
        # Replaced by a single assignment: an interrupt leaves either the old epoch or the new one.
        self._end = _End()
        self._start = perf_counter()

    def run(self, on_epoch: Callable[[Run], None] | None) -> Run:
        """Train until all epochs are done or patience is exhausted."""
        try:
            while not self._is_done():
                self._end = self._next_end()
                if on_epoch is not None:
                    on_epoch(self._result())
            return self._result()
        except KeyboardInterrupt as error:
            if not self._end.history:
                raise
            msg = f"training was interrupted after epoch {len(self._end.history)}"
            raise TrainingInterrupted(msg, self._result()) from error

    def _is_done(self) -> bool:
        history, best, _ = self._end
        n_worse = len(history) - best.number if best else 0
        is_exhausted = self.patience is not None and n_worse >= self.patience
        return len(history) >= self.epochs or is_exhausted

    def _next_end(self) -> _End:
        """Train for an epoch and return its end, or raise RunawayError."""
        trainer, objective = self.trainer, self.trainer.objective
        history, best, parameters = self._end
        # The end of the epoch reports overflow.
        with without_warnings(), trainer.blas_limit(min(self.batch_size, len(self.kept))):
            loss, rate = self._run_batches()
        self._check(f"the loss ({loss})", is_finite=isfinite(loss))
        self._check("the weights", is_finite=trainer.is_finite)
        network = trainer.scored_network()
        held_out = loss_and_accuracy(objective, network, self.held_out)
        what = f"the loss of the held-out images ({held_out[0]})"
        self._check(what, is_finite=isfinite(held_out[0] or 0.0))
        _, accuracy = loss_and_accuracy(objective, network, self._measured)
        seconds = perf_counter() - self._start
        epoch = Epoch(len(history) + 1, loss, accuracy, *held_out, rate, seconds)
        if held_out[0] is None or epoch.is_better_than(best):
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
            raise RunawayError(msg, self._result())

    def _result(self) -> Run:
        """Return the result so far: the initial network if no epoch is completed."""
        history, best, parameters = self._end
        if best is None:
            return Run(self.trainer.objective.network.ordinary, history)
        return Run(self.trainer.network(parameters), history, best, self._baseline)


def _baseline(objective: Objective, answers: NDArray[Any], weights: Any) -> float:
    """Return the best score without inputs: see `Run`."""
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
    if not stay_together(outputs, answers):
        outputs, answers = to_numpy(outputs), to_numpy(answers)
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
        if weights is not None:
            return loss, float(np.average(to_numpy(is_correct), weights=weights))
        n_correct = int(to_numpy(xp.sum(xp.astype(is_correct, xp.int32))))
        return loss, n_correct / outputs.shape[0]
