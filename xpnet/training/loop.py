"""Training loop over epochs: batches and evaluation."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import isfinite, sqrt
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.threads import one_blas_thread
from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    device_of,
    without_warnings,
)
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.class_labels import stay_together
from xpnet.inference.predict import argmax_ids, outputs_of
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augmentation
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, batches, weight_column
from xpnet.training.run import MOST_MEASURED, ChanceWarning, Epoch, Run, RunawayError
from xpnet.training.schedules import Schedule
from xpnet.training.trainer import Trainer

__all__ = ["Loop", "TrainingOptions", "loss_and_accuracy"]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training loop, as for `xpnet.train`."""

    epochs: int
    batch_size: int
    rate: float
    schedule: Schedule
    patience: int | None = None
    augmentation: Augmentation | None = None
    seed: int = 0


class _End(NamedTuple):
    """State at the end of an epoch: the history, and the number and parameters of the best one."""

    history: tuple[Epoch, ...] = ()
    best: int = 0
    parameters: Any = None


class Loop:
    """Training loop over epochs, of ``n_steps`` batches in all.

    `kept` holds the indices of the training examples. Unless `held_out` is empty, it determines the
    best epoch. If `shuffle` is false, each epoch has the order of `kept`. The accuracy of each
    epoch is measured on `n_measured` training examples at most.
    """

    def __init__(
        self,
        trainer: Trainer,
        examples: Examples,
        kept: NDArray[np.int64],
        held_out: Examples,
        *,
        options: TrainingOptions,
        shuffle: bool = True,
        n_measured: int = MOST_MEASURED,
    ) -> None:
        self._trainer, self._options = trainer, options
        self._examples, self._kept, self._held_out = examples, kept, held_out
        self._shuffle = shuffle
        self.n_steps = options.epochs * -(-len(kept) // options.batch_size)
        self._measured = examples.take(kept[:n_measured])
        weights = examples.weights
        self._total_weight = float(len(kept) if weights is None else weights[kept].sum())
        # State at the end of the last epoch, replaced by a single assignment: an interrupt leaves
        # either the old epoch or the new one.
        self._end = _End()
        self._start = perf_counter()

    @property
    def history(self) -> tuple[Epoch, ...]:
        """The completed epochs."""
        return self._end.history

    @property
    def best(self) -> Epoch | None:
        """The best of the completed epochs."""
        return self.history[self._end.best - 1] if self.history else None

    def run(self, on_epoch: Callable[[Epoch], None] | None) -> Run:
        """Train until all epochs are done or patience is exhausted."""
        for epoch in self.epochs():
            if on_epoch is not None:
                on_epoch(epoch)
        is_classifier = self._trainer.objective.has_classes
        if self.best is not None and is_classifier and self._measured.weights is None:
            self._warn_of_chance(self.best)
        return self.result()

    def epochs(self) -> Iterator[Epoch]:
        """Train for an epoch at a time, and yield its scores."""
        options, trainer = self._options, self._trainer
        batch_size = min(options.batch_size, len(self._kept))
        while not self._is_done():
            # The end of the epoch reports overflow.
            with without_warnings(), trainer.blas_limit(batch_size):
                loss, rate = self.run_batches()
            self.end_epoch(loss, rate)
            yield self.history[-1]

    def _is_done(self) -> bool:
        n_done, patience = len(self.history), self._options.patience
        is_exhausted = patience is not None and n_done - self._end.best >= patience
        return n_done >= self._options.epochs or is_exhausted

    def run_batches(self) -> tuple[float, float]:
        """Train on each batch of an epoch; return the mean loss and the last learning rate."""
        options, trainer = self._options, self._trainer
        random = np.random.default_rng([options.seed, len(self.history) + 1])
        order = random.permutation(self._kept) if self._shuffle else self._kept
        total: Any = 0.0
        rate = 0.0
        augment = partial(options.augmentation, random=random) if options.augmentation else None
        objective, size = trainer.objective, options.batch_size
        for batch in batches(self._examples, order, objective, size, augment=augment):
            rate = float(options.rate * options.schedule(trainer.n_steps, self.n_steps))
            loss = trainer.step(batch, rate)
            total = total + loss * batch.total_weight
        return float(to_numpy(total)) / self._total_weight, rate

    def end_epoch(self, loss: float, rate: float) -> None:
        """Evaluate the network and add the epoch to the history, or raise RunawayError."""
        trainer, number = self._trainer, len(self.history) + 1
        if not (isfinite(loss) and trainer.is_finite):
            what = "the weights" if isfinite(loss) else f"the loss ({loss})"
            msg = f"{what} diverged in epoch {number}: a lower learning rate may help"
            raise RunawayError(msg, self.result())
        network = trainer.scored_network()
        objective = trainer.objective
        validation_loss, validation_accuracy = loss_and_accuracy(objective, network, self._held_out)
        _, accuracy = loss_and_accuracy(objective, network, self._measured)
        seconds = perf_counter() - self._start
        epoch = Epoch(number, loss, accuracy, validation_loss, validation_accuracy, rate, seconds)
        if validation_loss is None or epoch.is_better_than(self.best):
            best, parameters = number, trainer.parameters
        else:
            _, best, parameters = self._end
        self._end = _End((*self.history, epoch), best, parameters)

    def _warn_of_chance(self, epoch: Epoch) -> None:
        """Warn the caller of `xpnet.train` if the training accuracy of an epoch may be chance.

        Without learning, it is at most the share p of the most frequent class. On n examples, it
        exceeds p by three standard deviations, 3 sqrt(p (1 - p) / n), once in 700 times. If the sum
        is 1 or more, there are too few examples for a warning.
        """
        answers, n_classes = self._measured.answers, self._trainer.objective.network.n_classes
        xp, n = array_namespace(answers), answers.shape[0]
        # One number is copied from a device.
        ids = xp.arange(n_classes, dtype=answers.dtype, device=device_of(answers))
        counts = xp.sum(cast(answers[:, None] == ids[None, :], answers.dtype, xp), axis=0)
        share = int(to_numpy(xp.max(counts))) / n
        if epoch.accuracy <= share + 3.0 * sqrt(share * (1.0 - share) / n) < 1.0:
            msg = (
                "the network has learned little or nothing: its accuracy on training images is"
                f" {epoch.accuracy:.3f}, and {share:.3f} of them are of the most frequent class."
                " Usual causes: few epochs, a learning rate that is too high or too low, unscaled"
                " inputs, small initial weights, or labels of other images"
            )
            warnings.warn(msg, ChanceWarning, stacklevel=4)

    def result(self) -> Run:
        """Return the result so far: the initial network if no epoch is completed."""
        network = self._trainer.objective.network.ordinary
        if self.history:
            network = self._trainer.network(self._end.parameters)
        return Run(network, self.history, self.best)


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
    outputs = outputs_of(network, examples.rows)
    answers = examples.answers
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
