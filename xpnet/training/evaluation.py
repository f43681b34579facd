"""Loss and accuracy of examples during training."""

from typing import Any

import numpy as np

from xpnet.arrays.cpu.blas_threads import one_blas_thread
from xpnet.arrays.namespace import array_namespace, current_device, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.batches import BatchOptions
from xpnet.inference.class_labels import stay_together
from xpnet.inference.predict import class_ids
from xpnet.inference.runner import run
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, weight_column
from xpnet.training.trainer import with_parameters

__all__ = ["loss_and_accuracy"]


def loss_and_accuracy(
    objective: Objective, parameters: Any, examples: Examples
) -> tuple[float, float | None]:
    """Return the mean loss of examples, and the share of correct predictions, 0..1.

    Both are weighted means if the examples have weights. The share is ``None`` for a regression.
    With independent yes/no targets, a row is correct if all its units are. `parameters` is a vector
    as returned by `flatten_parameters`.
    """
    with current_device(parameters):
        network = with_parameters(objective.scored, parameters, array_namespace(parameters))
    outputs = run(network, examples.rows, lambda _network, y, _: y, BatchOptions())
    answers = examples.answers
    if not stay_together(outputs, answers):
        outputs, answers = to_numpy(outputs), to_numpy(answers)
    xp, weights = array_namespace(outputs), examples.weights
    with one_blas_thread(), current_device(outputs), without_warnings():
        scores = network.widened(outputs, xp)
        targets = objective.targets(answers, scores.dtype, xp)
        column = None if weights is None else weight_column(weights, scores)
        mean_loss, _ = objective.mean_loss(scores, targets, network.functions(xp), column)
        loss = float(to_numpy(mean_loss))
        if network.output == "values":
            return loss, None
        if objective.has_classes:
            is_correct = class_ids(network, outputs) == answers
        else:
            half = 0.5
            is_correct = xp.all((outputs > 0.0) == (answers > half), axis=1)
        if weights is not None:
            return loss, float(np.average(to_numpy(is_correct), weights=weights))
        n_correct = int(to_numpy(xp.sum(xp.astype(is_correct, xp.int32))))
        return loss, n_correct / outputs.shape[0]
