"""The loop: epochs of mini-batches in an order that is the same on every device."""

import os
from collections.abc import Callable
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np

from xpnet.arrays.counting import Transfers, count_transfers
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    device_of,
    without_warnings,
)
from xpnet.arrays.transfer import move, to_numpy
from xpnet.files.writing import check_target
from xpnet.inference.batches import TransferPolicy, check_batch_size, check_transfers
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augmentation, image_shape
from xpnet.training.backward import Objective
from xpnet.training.checkpoints import Checkpoint, CheckpointFile, fingerprint
from xpnet.training.examples import Examples, as_examples, batches, split
from xpnet.training.learner import Learner
from xpnet.training.optimizers import OPTIMIZERS, Optimizer, State
from xpnet.training.run import Epoch, Run, RunawayError
from xpnet.training.schedules import SCHEDULES, Schedule

__all__ = ["train"]

# Of so many examples that were learned from, the accuracy is measured.
_MOST_MEASURED = 2000


def train(
    network: Network,
    images: Any,
    labels: Any,
    /,
    *,
    epochs: int = 10,
    batch_size: int = 100,
    loss: str | None = None,
    optimizer: str | Optimizer = "adam",
    learning_rate: float | None = None,
    schedule: str | Schedule = "cosine",
    validation: float | tuple[Any, Any] = 0.0,
    patience: int | None = None,
    augment: int = 0,
    distort: float = 0.0,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Callable[[int], None] | None = None,
    transfers: TransferPolicy = "allow",
) -> Run:
    """Train a network on labelled examples, by mini-batches.

    Parameters
    ----------
    network : Network
        Where to start, on the device that shall do the work; it is not changed.
    images : array of shape (n, n_in), (n, height, width) ...
        Host images cross to the network's device some thousand at a time, ``uint8`` as it is;
        images that are there already are chosen there.
    labels : array of shape (n,), or of shape (n, n_out)
        Class ids in 0 .. n_classes - 1, or entries of ``network.classes``; of a regression, the
        values.
    epochs : int, default 10
        Passes over the images.
    batch_size : int, default 100
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error"}, optional
        By default the cross-entropy of a classifier's softmax, or of the sigmoid of its single
        unit, and a regression's mean squared error. The binary cross-entropy of several units
        takes labels of shape (n, n_out), each 0 or 1.
    optimizer : {"adam", "adamw", "momentum", "nesterov", "sgd"} or Optimizer, default "adam"
        Or, with options of its own, `xpnet.Adam`, `xpnet.AdamW` or `xpnet.SGD`.
    learning_rate : float, optional
        At its height; by default 0.005 with Adam and AdamW, and 0.1 with SGD.
    schedule : {"cosine", "constant", "step"} or callable, default "cosine"
        How the rate changes: `xpnet.Cosine`, `xpnet.Constant`, `xpnet.StepDecay`, or any
        ``schedule(n_done, n_steps)`` that gives the factor of a step.
    validation : float or (images, labels), default 0
        The share of the examples, from 0 to below 1, that is held out, or others. The network of
        the epoch that does best on them is what comes back.
    patience : int, optional
        To stop after so many epochs without a better one; by default all epochs are run.
    augment : int, default 0
        Each time an image is met, it is moved by up to this many pixels in both directions.
    distort : float, default 0
        Each time an image is met, it is turned, stretched and bent by about as many pixels.
    seed : int, default 0
        Of the choice of the images held out, of the order of the rest and of what is done to
        them; drawn on the host, so the same on every device.
    checkpoint : str or os.PathLike, optional
        A file in which the training is kept, once a second at most and at its end.
    resume : bool, default False
        Whether to go on from that file, if it is there: to the same bits, on the same machine and
        libraries, as if nothing had happened.
    on_epoch : callable, optional
        Called with each `Epoch`.
    progress : callable, optional
        Called with the number of images in each batch when it is done.
    transfers : {"allow", "forbid"}, default "allow"
        With "forbid", images or labels that are not where the network is are refused, and not
        copied. The order of the images, which is drawn on the host, and the losses still cross.

    Returns
    -------
    Run
        With ``.network``, ``.history``, ``.best`` and ``.transfers``.

    Raises
    ------
    TypeError
        If images or labels are no arrays of the right kind.
    ValueError
        If shapes do not fit, a label is no class, there are no images to train on, an option is
        out of range, an activation has no derivative, or `transfers` forbids to copy images or
        labels (images on a device are moved and bent on the host).
    FileExistsError
        If the checkpoint is there, and `resume` is false.
    WeightsError
        If it is one of another training.
    OSError
        If it cannot be written; the last one stays.
    RunawayError
        If the loss or a weight becomes NaN or infinite: a FloatingPointError, whose ``.run`` is
        what was good until then.

    Examples
    --------
    >>> import xpnet
    >>> start = xpnet.init_network([784, 20, 10], scheme="he", preprocessing=xpnet.Scale(1 / 255))
    >>> run = xpnet.train(start, *xpnet.sample(), epochs=10, batch_size=20, validation=0.2)
    >>> run.best.validation_accuracy > 0.8
    True
    """
    objective = Objective(network, loss)
    optimizer, schedule = _optimizer(optimizer), _schedule(schedule)
    rate = float(optimizer.usual_rate if learning_rate is None else learning_rate)
    _check_options(
        epochs=epochs,
        learning_rate=rate,
        validation=validation,
        patience=patience,
        augment=augment,
        distort=distort,
    )
    check_transfers(transfers)
    batch_size = check_batch_size(network, batch_size)
    images = as_array(images, "images")
    is_augmented = augment > 0 or distort > 0
    shape = image_shape(tuple(images.shape)) if is_augmented else None
    if checkpoint is not None:
        check_target(checkpoint, force=resume)
    with count_transfers() as counted:
        examples = as_examples(objective, images, labels, transfers, on_host=is_augmented)
        if isinstance(validation, tuple):
            kept, _ = split(examples.rows.shape[0], 0.0, seed)
            held_out = as_examples(objective, *validation, transfers)
        else:
            kept, others = split(examples.rows.shape[0], validation, seed)
            held_out = examples.taken(others)
        if not len(kept):
            msg = "`images` must hold at least one to learn from; got none"
            raise ValueError(msg)
        augmentation = None
        if shape is not None:
            background = float(examples.rows.min())
            augmentation = Augmentation(shape, augment, distort, background)
        measured = examples.taken(kept[:_MOST_MEASURED])
        training = _Training(Learner(objective, optimizer), held_out, measured, counted)
        n_steps = epochs * -(-len(kept) // batch_size)
        if checkpoint is not None:
            options = {
                "epochs": epochs,
                "batch_size": batch_size,
                "loss": objective.loss,
                "optimizer": optimizer,
                "rate": rate,
                # A function's text is where it lies in memory: its values tell it from others.
                "schedule": [float(schedule(i * n_steps // 1000, n_steps)) for i in range(1000)],
                "patience": patience,
                "augmentation": augmentation,
                "seed": seed,
                "n_kept": len(kept),
            }
            key = fingerprint(network, (examples, held_out), options)
            training.keep_in(CheckpointFile(checkpoint, key), resume=resume)
        while len(training.history) < epochs and not training.is_over(patience):
            random = np.random.default_rng([seed, len(training.history) + 1])
            order = random.permutation(kept)
            parts = batches(
                examples, order, objective, batch_size, augmentation=augmentation, random=random
            )
            # Weights that run away are told at the end of the epoch; NumPy need not warn of each.
            with without_warnings():
                for rows, targets in parts:
                    factor = schedule(training.n_steps, n_steps)
                    training.learn(rows, targets, float(rate * factor))
                    if progress is not None:
                        progress(rows.shape[0])
            training.end_epoch(len(kept))
            if on_epoch is not None:
                on_epoch(training.history[-1])
        training.finish()
    return training.run()


class _Training:
    """A training under way."""

    def __init__(
        self, learner: Learner, held_out: Examples, measured: Examples, transfers: Transfers
    ) -> None:
        self.learner, self._held_out, self._measured = learner, held_out, measured
        self._transfers = transfers
        self.history: list[Epoch] = []
        self._best: Epoch | None = None
        self._best_parameters = learner.parameters
        self._file: CheckpointFile | None = None
        self._total: Any = 0.0
        self._rate = 0.0
        self._start = perf_counter()

    def keep_in(self, file: CheckpointFile, *, resume: bool) -> None:
        """Keep the training in a file from now on; go on from what is there, if that is asked."""
        self._file = file
        found = file.read() if resume else None
        if found is None:
            return
        learner = self.learner
        xp, device = array_namespace(learner.parameters), device_of(learner.parameters)
        arrays = {name: move(x, xp, device) for name, x in found.arrays.items()}
        learner.parameters, self._best_parameters = arrays["parameters"], arrays["best"]
        vectors = tuple(arrays[f"state.{i}"] for i in range(len(learner.state.vectors)))
        learner.state = State(found.n_steps, vectors)
        self.history = found.history
        self._best = self.history[found.best - 1]
        self._start -= self.history[-1].seconds

    def is_over(self, patience: int | None) -> bool:
        """Tell whether there was no better epoch for too long."""
        return (
            patience is not None
            and self._best is not None
            and len(self.history) - self._best.number >= patience
        )

    @property
    def n_steps(self) -> int:
        """How many steps were taken."""
        return self.learner.state.n_steps

    def learn(self, rows: Any, targets: Any, rate: float) -> None:
        """Learn from a batch."""
        self._rate = rate
        loss = self.learner.learn(rows, targets, rate)
        # The loss stays on the device: to look at it here would wait for each batch.
        with current_device(loss):
            self._total = self._total + loss * float(rows.shape[0])

    def end_epoch(self, n_learned: int) -> None:
        """Measure what was learned, and keep it.

        Raises
        ------
        RunawayError
            If the loss or a weight is no finite number.
        """
        learner, number = self.learner, len(self.history) + 1
        loss = float(to_numpy(self._total)) / n_learned
        self._total = 0.0
        if not (isfinite(loss) and learner.is_finite()):
            what = "the weights" if isfinite(loss) else f"the loss ({loss})"
            msg = f"{what} ran away in epoch {number}: a lower learning rate may help"
            raise RunawayError(msg, self.run())
        has_more = self._held_out.rows.shape[0] > 0
        held_out = learner.scores(self._held_out) if has_more else (None, None)
        epoch = Epoch(
            number=number,
            loss=loss,
            accuracy=learner.scores(self._measured)[1],
            validation_loss=held_out[0],
            validation_accuracy=held_out[1],
            learning_rate=self._rate,
            seconds=perf_counter() - self._start,
        )
        self.history.append(epoch)
        if not has_more or epoch.is_better_than(self._best):
            self._best, self._best_parameters = epoch, learner.parameters
        self._keep()

    def finish(self) -> None:
        """Keep the end, too."""
        self._keep(always=True)

    def _keep(self, *, always: bool = False) -> None:
        if self._file is None or self._best is None:
            return
        state = self.learner.state
        arrays = {f"state.{i}": x for i, x in enumerate(state.vectors)}
        arrays |= {"parameters": self.learner.parameters, "best": self._best_parameters}
        checkpoint = Checkpoint(arrays, state.n_steps, self.history, self._best.number)
        self._file.write(checkpoint, always=always)

    def run(self) -> Run:
        """Return what came of it so far."""
        network = self.learner.network(self._best_parameters)
        return Run(network, tuple(self.history), self._best, self._transfers)


def _optimizer(optimizer: str | Optimizer) -> Optimizer:
    if not isinstance(optimizer, str):
        return optimizer
    if optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        msg = f"`optimizer` must be one of {known}, or an Optimizer; got {optimizer!r}"
        raise ValueError(msg)
    return OPTIMIZERS[optimizer]


def _schedule(schedule: str | Schedule) -> Schedule:
    if not isinstance(schedule, str):
        return schedule
    if schedule not in SCHEDULES:
        msg = f"`schedule` must be one of {', '.join(SCHEDULES)}, or callable; got {schedule!r}"
        raise ValueError(msg)
    return SCHEDULES[schedule]()


def _check_options(
    *,
    epochs: int,
    learning_rate: float,
    validation: float | tuple[Any, Any],
    patience: int | None,
    augment: int,
    distort: float,
) -> None:
    if epochs < 1:
        msg = f"`epochs` must be at least 1; got {epochs}"
        raise ValueError(msg)
    if not 0 < learning_rate < float("inf"):
        msg = f"`learning_rate` must be positive; got {learning_rate}"
        raise ValueError(msg)
    if not isinstance(validation, tuple) and not 0 <= validation < 1:
        msg = f"`validation` must be a share of the images, from 0 to below 1; got {validation}"
        raise ValueError(msg)
    if patience is not None and (patience < 1 or validation == 0):
        what = f"got {patience}" if patience < 1 else "got validation=0"
        msg = f"`patience` must be at least 1, and there must be images held out; {what}"
        raise ValueError(msg)
    if augment < 0:
        msg = f"`augment` must be a number of pixels, 0 or more; got {augment}"
        raise ValueError(msg)
    if not 0 <= distort < float("inf"):
        msg = f"`distort` must be a number of pixels, 0 or more; got {distort}"
        raise ValueError(msg)
