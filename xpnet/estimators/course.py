"""The epochs of the scikit-learn face: the order of the rows, and the ways to stop.

Starting weights and orders are drawn by scikit-learn's own calls, on the host: with the same
``random_state``, its estimators and these go through the same batches, from the same start.
"""

import warnings
from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from xpnet.arrays.namespace import array_namespace, current_device, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.estimators.lesson import Lesson
from xpnet.estimators.losses import RowObjective
from xpnet.networks.network import Network
from xpnet.training.learner import Learner
from xpnet.training.optimizers import SGD, Adam, Optimizer, State
from xpnet.training.parameters import Layout

__all__ = ["Course", "Memory"]

_USUAL_BATCH_SIZE = 200
# Below, "adaptive" lowers the learning rate no more.
_LOWEST_RATE = 1e-6
_FEWEST_HELD_OUT = 2


class Memory(NamedTuple):
    """What is kept from one course for the next.

    Attributes
    ----------
    state : State
        Of the optimizer.
    rate : float
        The learning rate.
    n_worse : int
        How many epochs there were without a better one.
    """

    state: State
    rate: float
    n_worse: int


class Course:
    """The way of one fit: epoch after epoch, noted down in the attributes of an estimator.

    Parameters
    ----------
    mlp : estimator
    network : Network
        Where to start.
    lesson : Lesson
    random : numpy.random.RandomState
    score : callable
        ``score(network, lesson)``: how good a network is on rows held out.
    """

    def __init__(
        self,
        mlp: Any,
        network: Network,
        lesson: Lesson,
        random: np.random.RandomState,
        score: Callable[[Network, Lesson], float],
    ) -> None:
        self._objective = RowObjective(network, is_weighted=lesson.weights is not None)
        self.learner = Learner(self._objective, _optimizer_of(mlp))
        self.rate = float(mlp.learning_rate_init)
        self._mlp, self._lesson, self._random, self._score = mlp, lesson, random, score
        self._n_worse = 0
        self._order = np.arange(len(lesson.truth))
        self._held_out: Lesson | None = None
        if mlp.early_stopping:
            self._hold_out()
        self._best = self.learner.parameters
        with current_device(self._best):
            self._is_weight = Layout(network).is_weight(self._best, array_namespace(self._best))
        self._batch_size = _batch_size(mlp.batch_size, len(self._order))

    def _hold_out(self) -> None:
        mlp, lesson = self._mlp, self._lesson
        self._order, others = train_test_split(
            self._order,
            random_state=self._random,
            test_size=mlp.validation_fraction,
            stratify=lesson.truth if self._objective.has_classes else None,
        )
        if len(others) < _FEWEST_HELD_OUT:
            msg = (
                f"`validation_fraction` must hold out {_FEWEST_HELD_OUT} rows at least; got"
                f" {len(others)} of {len(lesson.truth)}"
            )
            raise ValueError(msg)
        self._held_out = lesson.taken(others)

    def resume(self, memory: Memory, *, with_optimizer: bool) -> None:
        """Go on from an earlier course."""
        self._n_worse = memory.n_worse
        is_same_solver = len(memory.state.vectors) == len(self.learner.state.vectors)
        if with_optimizer and is_same_solver:
            self.learner.state, self.rate = memory.state, memory.rate

    @property
    def memory(self) -> Memory:
        """What a later course needs to go on, beside the network."""
        return Memory(self.learner.state, self.rate, self._n_worse)

    def run(self) -> None:
        """Learn until nothing gets better, or ``max_iter`` epochs are over.

        Raises
        ------
        ValueError
            If the weights run away.
        """
        mlp = self._mlp
        mlp.n_iter_ = 0
        try:
            while mlp.n_iter_ < mlp.max_iter:
                self.run_epoch()
                if self._is_over():
                    break
            else:
                msg = f"the training has not converged in max_iter={mlp.max_iter} epochs"
                warnings.warn(msg, ConvergenceWarning, stacklevel=4)
        except KeyboardInterrupt:
            warnings.warn("the training was interrupted: it stays as it is", stacklevel=4)
        if self._held_out is not None:
            self.learner.parameters = self._best

    def run_epoch(self) -> None:
        """Learn from each row once.

        Raises
        ------
        ValueError
            If the weights run away.
        """
        mlp = self._mlp
        if mlp.shuffle:
            self._order = shuffle(self._order, random_state=self._random)
        mlp.loss_ = self._learn() / len(self._order)
        self._check()
        mlp.n_iter_ += 1
        mlp.t_ += len(self._order)
        mlp.loss_curve_.append(mlp.loss_)
        self._say(f"Iteration {mlp.n_iter_}, loss = {mlp.loss_:.8f}")
        self._note_best()
        if mlp.solver == "sgd" and mlp.learning_rate == "invscaling":
            self._change_rate(mlp.learning_rate_init / (mlp.t_ + 1) ** mlp.power_t)

    def _learn(self) -> float:
        """Take the steps of an epoch; return the sum of the losses of its rows."""
        learner, alpha = self.learner, self._mlp.alpha
        total: Any = 0.0
        batches = self._lesson.batches(self._order, self._objective, self._batch_size)
        with current_device(learner.parameters), without_warnings():
            for rows, targets, weight in batches:
                if not weight:
                    continue  # rows that do not count
                n, before = rows.shape[0], self._is_weight * learner.parameters
                # As in scikit-learn, the penalty of a batch is divided by what its rows weigh.
                loss = learner.learn(rows, targets, self.rate, decay=1.0 / weight)
                total = total + (loss + (before @ before) * (0.5 * alpha / weight)) * n
        return float(total if isinstance(total, float) else to_numpy(total))

    def _note_best(self) -> None:
        mlp = self._mlp
        if self._held_out is None:
            is_worse = mlp.loss_ > mlp.best_loss_ - mlp.tol
            mlp.best_loss_ = min(mlp.best_loss_, mlp.loss_)
        else:
            score = self._score(self.learner.network(), self._held_out)
            mlp.validation_scores_.append(score)
            self._say(f"Validation score: {score:f}")
            is_worse = score < mlp.best_validation_score_ + mlp.tol
            if score > mlp.best_validation_score_:
                mlp.best_validation_score_, self._best = score, self.learner.parameters
        self._n_worse = self._n_worse + 1 if is_worse else 0

    def _is_over(self) -> bool:
        """Tell whether to stop; where nothing got better, a lower rate may be the answer."""
        mlp = self._mlp
        if self._n_worse <= mlp.n_iter_no_change:
            return False
        what = "Training loss" if self._held_out is None else "Validation score"
        msg = (
            f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change}"
            " consecutive epochs."
        )
        if mlp.solver == "adam" or mlp.learning_rate != "adaptive" or self.rate <= _LOWEST_RATE:
            self._say(f"{msg} Stopping.")
            return True
        self._change_rate(self.rate / 5.0)
        self._say(f"{msg} Setting learning rate to {self.rate:f}")
        self._n_worse = 0
        return False

    def _change_rate(self, rate: float) -> None:
        """Set the learning rate; scikit-learn's momentum is of steps, and keeps the old one."""
        state = self.learner.state
        with current_device(self.learner.parameters):
            vectors = tuple(total * (self.rate / rate) for total in state.vectors)
        self.learner.state, self.rate = State(state.n_steps, vectors), rate

    def _say(self, line: str) -> None:
        if self._mlp.verbose:
            print(line)  # noqa: T201 (what `verbose` asks for)

    def _check(self) -> None:
        """Refuse weights that ran away."""
        if not (isfinite(self._mlp.loss_) and self.learner.is_finite()):
            msg = (
                "the weights ran away: they, or the loss, are not finite. Scale the inputs, or"
                f" lower `learning_rate_init`; got {self._mlp.learning_rate_init}"
            )
            raise ValueError(msg)


def _optimizer_of(mlp: Any) -> Optimizer:
    if mlp.solver == "adam":
        return Adam(mlp.beta_1, mlp.beta_2, mlp.epsilon, weight_decay=mlp.alpha)
    is_ahead = mlp.nesterovs_momentum and mlp.momentum > 0.0
    return SGD(mlp.momentum, is_ahead, weight_decay=mlp.alpha)


def _batch_size(batch_size: int | str, n: int) -> int:
    if batch_size == "auto":
        return min(_USUAL_BATCH_SIZE, n)
    if int(batch_size) > n:
        msg = f"`batch_size` is above the {n} rows to learn from; got {batch_size}: {n} is taken"
        warnings.warn(msg, stacklevel=5)
    return min(int(batch_size), n)
