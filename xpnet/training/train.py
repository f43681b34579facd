"""Train a network: epochs of mini-batches in an order that is the same on every device."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array, without_warnings
from xpnet.arrays.transfer_counts import count_transfers
from xpnet.inference.batches import TransferPolicy, check_batch_size, check_transfers
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augmentation, image_shape
from xpnet.training.backward import Objective
from xpnet.training.checkpoints import CheckpointFile, Resume, fingerprint, locked
from xpnet.training.examples import Examples, as_examples, batches, check_finite, split
from xpnet.training.learner import Learner
from xpnet.training.loop import Loop
from xpnet.training.optimizers import OPTIMIZERS, Optimizer
from xpnet.training.run import Epoch, Run
from xpnet.training.schedules import SCHEDULES, Schedule

__all__ = ["train"]


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
    resume: Resume = False,
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
        A file in which the training is kept, once a second at most and at its end, which may be
        an interrupt (then it holds the last whole epoch). Meanwhile, no other training can use
        it, where the system has file locks: not on Windows.
    resume : bool or "finished", default False
        Whether to go on from that file, if it is there: to the same bits, on the same machine and
        libraries, as if nothing had happened. With "finished", only from the end of the same
        training; any other file is replaced.
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
    BlockingIOError
        If another training uses it.
    WeightsError
        If it is one of another training, or damaged, and `resume` is true.
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
        learning_rate=rate,
        validation=validation,
        distort=distort,
        epochs=(epochs, 1),
        patience=(patience, 1),
        augment=(augment, 0),
        seed=(seed, 0),
    )
    check_transfers(transfers)
    batch_size = check_batch_size(network, batch_size)
    images = as_array(images, "images")
    is_augmented = augment > 0 or distort > 0
    shape = image_shape(tuple(images.shape)) if is_augmented else None
    with locked(checkpoint, resume=resume), count_transfers() as counted:
        examples = as_examples(objective, images, labels, transfers, on_host=is_augmented)
        kept, held_out = _divided(objective, examples, validation, transfers, seed=seed)
        if not len(kept):
            msg = "`images` must hold at least one to learn from; got none"
            raise ValueError(msg)
        if patience is not None and not held_out.rows.shape[0]:
            msg = "`patience` needs images held out: `validation` must be larger"
            raise ValueError(msg)
        augmentation = None
        if shape is not None:
            background = float(examples.rows.min())
            augmentation = Augmentation(shape, augment, distort, background)
        loop = Loop(Learner(objective, optimizer), examples, kept, held_out, counted)
        n_steps = epochs * -(-len(kept) // batch_size)
        if checkpoint is not None:
            options = {
                "epochs": epochs,
                "batch_size": batch_size,
                "loss": objective.loss,
                "optimizer": optimizer,
                "state": [tuple(x.shape) for x in loop.learner.state.vectors],
                "rate": rate,
                # A function's text is where it lies in memory: its values tell it from others.
                "schedule": [float(schedule(i * n_steps // 1000, n_steps)) for i in range(1000)],
                "patience": patience,
                "augmentation": augmentation,
                "seed": seed,
                "n_kept": len(kept),
            }
            key = fingerprint(network, (examples, held_out), options)
            file = CheckpointFile(checkpoint, key)
            loop.keep_in(file, resume=resume, epochs=epochs, patience=patience)
        try:
            while not loop.is_over(epochs, patience):
                random = np.random.default_rng([seed, len(loop.history) + 1])
                order = random.permutation(kept)
                parts = batches(
                    examples, order, objective, batch_size, augmentation=augmentation, random=random
                )
                # Weights that run away are told at the epoch's end; NumPy need not warn of each.
                with without_warnings():
                    for rows, targets in parts:
                        factor = schedule(loop.n_steps, n_steps)
                        loop.learn(rows, targets, float(rate * factor))
                        if progress is not None:
                            progress(rows.shape[0])
                loop.end_epoch()
                if on_epoch is not None:
                    on_epoch(loop.history[-1])
        finally:
            loop.finish()
    return loop.run()


def _divided(
    objective: Objective,
    examples: Examples,
    validation: float | tuple[Any, Any],
    transfers: TransferPolicy,
    *,
    seed: int,
) -> tuple[NDArray[np.int64], Examples]:
    """Return which examples to learn from, and those held out: a part of them, or others."""
    n = examples.rows.shape[0]
    if isinstance(validation, tuple):
        held_out = as_examples(objective, *validation, transfers)
        check_finite(held_out.rows)
        return split(n, 0.0, seed)[0], held_out
    kept, others = split(n, validation, seed)
    return kept, examples.taken(others)


def _optimizer(optimizer: str | Optimizer) -> Optimizer:
    if not isinstance(optimizer, str):
        if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
            msg = f"`optimizer` must be a name, or an optimizer such as Adam(); got {optimizer!r}"
            raise TypeError(msg)
        return optimizer
    if optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        msg = f"`optimizer` must be one of {known}, or an Optimizer; got {optimizer!r}"
        raise ValueError(msg)
    return OPTIMIZERS[optimizer]


def _schedule(schedule: str | Schedule) -> Schedule:
    if not isinstance(schedule, str):
        if isinstance(schedule, type) or not callable(schedule):
            msg = f"`schedule` must be a name, or a schedule such as Cosine(); got {schedule!r}"
            raise TypeError(msg)
        return schedule
    if schedule not in SCHEDULES:
        msg = f"`schedule` must be one of {', '.join(SCHEDULES)}, or callable; got {schedule!r}"
        raise ValueError(msg)
    return SCHEDULES[schedule]()


def _check_options(
    *,
    learning_rate: float,
    validation: float | tuple[Any, Any],
    distort: float,
    **whole: tuple[int | None, int],
) -> None:
    """Refuse options out of range; of whole numbers, the least one is given."""
    for name, (value, least) in whole.items():
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
            msg = f"`{name}` must be a whole number; got {value!r}"
            raise TypeError(msg)
        if value is not None and value < least:
            msg = f"`{name}` must be at least {least}; got {value}"
            raise ValueError(msg)
    if not 0 < learning_rate < float("inf"):
        msg = f"`learning_rate` must be positive; got {learning_rate}"
        raise ValueError(msg)
    if isinstance(validation, tuple):
        if len(validation) != 2:
            msg = f"`validation` must be a pair, (images, labels); got {len(validation)} of them"
            raise ValueError(msg)
    elif not isinstance(validation, int | float):
        kind = type(validation).__name__
        msg = f"`validation` must be a share, or a pair (images, labels); got {kind}"
        raise TypeError(msg)
    elif not 0 <= validation < 1:
        msg = f"`validation` must be a share of the images, from 0 to below 1; got {validation}"
        raise ValueError(msg)
    if not 0 <= distort < float("inf"):
        msg = f"`distort` must be a number of pixels, 0 or more; got {distort}"
        raise ValueError(msg)
