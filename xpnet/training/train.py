"""Training of a network by mini-batches, in the same order on every device."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xpnet.arrays.namespace import as_array
from xpnet.inference.class_labels import with_label_names
from xpnet.inference.rows import array_in_order, check_integer
from xpnet.networks.column_names import names_of, with_input_names
from xpnet.networks.input_range import declared, warn_of_range
from xpnet.networks.network import Network, check_network
from xpnet.training.augmentation import Augment, image_shape, shifted
from xpnet.training.backward import Objective
from xpnet.training.examples import as_examples, as_sample_weight, split
from xpnet.training.loop import Loop, Trainer
from xpnet.training.optimizers import SGD, Adam, AdamW, Optimizer, as_optimizer
from xpnet.training.run import Run
from xpnet.training.schedules import SCHEDULES, Schedule, as_schedule

__all__ = ["train"]


def train(
    network: Network,
    images: Any,
    labels: Any,
    /,
    *,
    epochs: int = 30,
    batch_size: int | None = None,
    optimizer: str | Optimizer = "adamw",
    learning_rate: float | None = None,
    schedule: str | Schedule = "cosine",
    validation: float | tuple[Any, Any] = 0.0,
    patience: int | None = None,
    augment: int | Augment = 0,
    seed: int = 0,
    on_epoch: Callable[[Run], None] | None = None,
    sample_weight: Any = None,
) -> Run:
    """Train a network on labelled examples by mini-batches.

    Parameters
    ----------
    network : Network
        Initial network, on the device that computes; it is not modified. With a `reproducible`
        one, the trained network and its scores have the same bits everywhere. This needs an
        optimizer of xpnet and a schedule with a name.
    images : array of shape (n, n_in), (n, height, width) ...
        NumPy images are copied to the network's device a few thousand at a time, as float32 if it
        lacks float64; images on it stay there, unless augmented. Or a data frame, as in `predict`:
        the network keeps the names of fewer than 64 columns in ``metadata["inputs"]``, and one that
        has names puts columns in their order.
    labels : array of shape (n,), or of shape (n, n_out)
        Classes, matched by their text as in `evaluate`; for a regression, the target values; for
        several sigmoids at the end of ``output="probabilities"``, 0 or 1 for each unit. If the
        network has no classes, labels other than 0 .. n - 1 become those of the trained network, in
        natural order: "class 2" before "class 10".
    epochs : int, default 30
    batch_size : int, optional
        Images per step; by default an eighth of the images, but 8 to 100. On NumPy, up to 10^7
        multiplications (images times weights) use one BLAS thread; larger steps use all.
    optimizer : {"adam", "adamw", "momentum", "nesterov", "sgd"} or Optimizer, default "adamw"
        `xpnet.Adam`, `xpnet.AdamW` and `xpnet.SGD` take options of their own.
    learning_rate : float, optional
        Highest learning rate; the default is 0.005 for Adam and AdamW, 0.1 for SGD.
    schedule : {"cosine", "constant"} or callable, default "cosine"
        Course of the learning rate. "cosine" falls to zero along half a period; or a function
        ``schedule(n_done, n_steps)`` that returns the factor of the rate for a step.
    validation : float or (images, labels), default 0
        Share of the examples to hold out, from 0 to below 1, or separate held-out examples. The
        result is the network of the epoch with the best score on them.
    patience : int, optional
        Stop after this number of epochs without improvement; by default, run all epochs.
    augment : int or callable, default 0
        Shift each image in each epoch by up to this number of pixels in both directions. Or a
        function ``augment(rows, random)`` that returns changed rows of shape (n, n_in) for some
        NumPy rows, copies of the given images, by a ``numpy.random.Generator``.
    seed : int, default 0
        Random seed of the held-out images, the order of the others, and their augmentation; the
        same on every device.
    on_epoch : callable, optional
        Called after each epoch with the `Run` so far, which ends with the `Epoch` ``history[-1]``.
    sample_weight : array of shape (n,), optional
        Weight of each image, finite and 0 or more; only ratios matter. Losses and accuracies are
        weighted means, except of separate held-out examples. An image of weight 0 is left out.

    Returns
    -------
    Run
        With ``.network``, ``.history`` and ``.best``. On one machine, a seed gives one network. If
        it was trained on bytes and no step is for them, its metadata say so: ``input_range``.

    Raises
    ------
    TypeError, ValueError
        If images, labels, weights or options have a wrong type, shape or value, no images are left
        to train on, or an activation has no derivative. A DataError, which is a ValueError, if
        images hold NaN or infinity, or overflow in the preprocessing.
    RunawayError
        If a loss or a parameter becomes NaN or infinite: a FloatingPointError, whose ``.run`` holds
        the result up to the last finite epoch.
    TrainingInterrupted
        After Ctrl-C, from the second epoch on: a KeyboardInterrupt with the same attribute.

    Warns
    -----
    ScalingWarning
        As by `xpnet.predict`; also if the first 256 images are numbers up to 255, and the network
        has no preprocessing.

    Examples
    --------
    >>> import xpnet
    >>> start = xpnet.init_network([784, 50, 100, 10], preprocessing=xpnet.Scale(1 / 255))
    >>> run = xpnet.train(start, *xpnet.sample(), validation=0.2)
    >>> run.best.validation_accuracy > 0.8
    True
    """
    check_network(network)
    network = with_input_names(network, names_of(images))
    images, labels = array_in_order(network, images), as_array(labels, "labels")
    warn_of_range(network, images, is_trained=True)
    network = declared(with_label_names(network, labels), images)
    objective = Objective(network)
    optimizer, schedule = as_optimizer(optimizer), as_schedule(schedule)
    rate = float(optimizer.usual_rate if learning_rate is None else learning_rate)
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": patience, "seed": seed}
    for name, number in {**counts, "augment": 0 if callable(augment) else augment}.items():
        if number is not None:
            check_integer(name, number, int(name not in {"seed", "augment"}))
    if not 0 < rate < float("inf"):
        msg = f"`learning_rate` must be positive and finite; got {rate}"
        raise ValueError(msg)
    is_pair = isinstance(validation, tuple) and len(validation) == 2
    is_share = isinstance(validation, int | float) and 0 <= validation < 1
    if not is_pair and not is_share:
        rule = "must be a share, from 0 to below 1, or a pair (images, labels)"
        msg = f"`validation` {rule}; got {validation!r}"
        raise (ValueError if isinstance(validation, int | float | tuple) else TypeError)(msg)
    is_known = type(optimizer) in {SGD, Adam, AdamW} and schedule in SCHEDULES.values()
    if network.is_reproducible and not is_known:
        needed = "an optimizer of xpnet, and a `schedule` with a name"
        msg = f"a reproducible network needs {needed}; got {optimizer!r} and {schedule!r}"
        raise TypeError(msg)
    n = images.shape[0] if images.ndim else 0
    # Few images need small steps to be enough.
    batch_size = min(100, max(8, n // 8)) if batch_size is None else int(batch_size)
    weights = as_sample_weight(sample_weight, n)
    examples = as_examples(objective, images, labels, on_host=bool(augment))
    examples = examples._replace(weights=weights)
    used = np.arange(n) if weights is None else np.flatnonzero(weights)
    pair, share = (validation, 0.0) if isinstance(validation, tuple) else (None, validation)
    kept, others = (used[part] for part in split(len(used), share, seed))
    held_out = as_examples(objective, *pair) if pair else examples.take(others)
    if not len(kept):
        msg = "`images` must hold at least one image to train on; got none"
        raise ValueError(msg)
    if patience is not None and not held_out.rows.shape[0]:
        msg = "`patience` needs held-out images: `validation` must be larger"
        raise ValueError(msg)
    change = augment if callable(augment) else None
    if augment and not callable(augment):
        shape = image_shape(tuple(images.shape), augment)
        background = float(examples.rows.min(axis=1)[kept].min())
        change = partial(shifted, shape=shape, pixels=augment, background=background)
    patience = epochs if patience is None else patience
    options = epochs, batch_size, rate, schedule, patience, change, seed
    return Loop(Trainer(objective, optimizer), examples, kept, held_out, *options).run(on_epoch)
