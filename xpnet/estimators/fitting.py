"""Training of an estimator's network by the loop of `xpnet.train`, with scikit-learn's options."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from xpnet.arrays.namespace import without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.networks.network import Network
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples
from xpnet.training.loop import Loop, TrainingOptions
from xpnet.training.optimizers import SGD, Adam, Optimizer, State
from xpnet.training.run import Epoch
from xpnet.training.trainer import Trainer

__all__ = ["FitState", "Fitting"]

_DEFAULT_BATCH_SIZE = 200
# Lowest learning rate that "adaptive" still divides.
_MIN_RATE = 1e-6


@dataclass(frozen=True, eq=False)
class _Objective(Objective):
    """Losses of scikit-learn, which are multiples of those of xpnet."""

    def row_losses(self, outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
        """Return the losses of the rows and their derivative with respect to the outputs.

        scikit-learn sums the cross-entropy of several units, and halves squared errors: their mean
        over the outputs, but the derivative of their sum.
        """
        n_out = float(self.network.n_out)
        units = {"binary_cross_entropy": (n_out, n_out), "mean_squared_error": (0.5, 0.5 * n_out)}
        loss_factor, slope_factor = units.get(str(self.loss), (1.0, 1.0))
        losses, slope = super().row_losses(outputs, targets, xp)
        return loss_factor * losses, slope_factor * slope


@dataclass
class FitState:
    """State, besides the network, from which `partial_fit` continues.

    `n_divisions` counts how often "adaptive" has divided the learning rate, `n_worse` the epochs
    since the last improvement.
    """

    optimizer: State | None = None
    n_divisions: int = 0
    n_worse: int = 0


class Fitting:
    """One call of `fit` or `partial_fit`, recorded in the attributes of the estimator `mlp`.

    ``score(epoch, held_out)`` is the score of an epoch on the held-out examples.
    """

    def __init__(
        self, mlp: Any, state: FitState, score: Callable[[Epoch, Examples], float]
    ) -> None:
        self._mlp, self._state, self._score = mlp, state, score

    def run(
        self,
        network: Network,
        examples: Examples,
        random: np.random.RandomState,
        *,
        is_partial: bool,
    ) -> Network:
        """Return the trained network; if `is_partial`, after one epoch."""
        mlp, state = self._mlp, self._state
        kept, others = self._split(examples, random)
        held_out = examples.take(others)
        size = _DEFAULT_BATCH_SIZE if mlp.batch_size == "auto" else int(mlp.batch_size)
        options = TrainingOptions(
            epochs=1 if is_partial else int(mlp.max_iter),
            batch_size=min(size, len(kept)),
            rate=float(mlp.learning_rate_init),
            schedule=self._rate_factor,
            seed=int(random.randint(2**31 - 1)),
        )
        # The penalty is divided by the weight of the rows of a batch, here its mean.
        row_weight = 1.0 if examples.weights is None else examples.weights[kept].mean()
        penalty = float(mlp.alpha / (options.batch_size * row_weight))
        trainer = Trainer(_Objective(network), self._optimizer(penalty))
        if state.optimizer and len(state.optimizer.vectors) == len(trainer.state.vectors):
            trainer.state = state.optimizer
        loop = Loop(
            trainer,
            examples,
            kept,
            held_out,
            options=options,
            shuffle=mlp.shuffle,
            n_measured=0,
        )
        mlp.n_iter_ = 0
        try:
            for epoch in loop.epochs():
                mlp.n_iter_ += 1
                mlp.t_ += len(kept)
                self._record(epoch, held_out, 0.5 * penalty * _sum_of_squares(trainer))
                if not is_partial and self._is_converged():
                    break
            else:
                if not is_partial:
                    msg = f"training has not converged in max_iter={mlp.max_iter} epochs"
                    warnings.warn(msg, ConvergenceWarning, stacklevel=4)
        except KeyboardInterrupt:
            msg = "training was interrupted: the network of the last complete epoch is kept"
            warnings.warn(msg, stacklevel=4)
        state.optimizer = trainer.state
        return loop.result().network

    def _split(
        self, examples: Examples, random: np.random.RandomState
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the indices of the training rows, and of those held out, stratified by class."""
        answers, weights = to_numpy(examples.answers), examples.weights
        used = np.arange(len(answers)) if weights is None else np.flatnonzero(weights)
        if not self._mlp.early_stopping:
            return used, used[:0]
        kept, others = train_test_split(
            used,
            random_state=random,
            test_size=self._mlp.validation_fraction,
            stratify=answers[used] if answers.dtype.kind == "i" else None,
        )
        if len(others) < 2:
            n = len(used)
            msg = f"`validation_fraction` must hold out at least 2 rows; got {len(others)} of {n}"
            raise ValueError(msg)
        return kept, others

    def _optimizer(self, weight_decay: float) -> Optimizer:
        mlp = self._mlp
        if mlp.solver == "sgd":
            is_nesterov = bool(mlp.nesterovs_momentum and mlp.momentum > 0.0)
            return SGD(momentum=mlp.momentum, nesterov=is_nesterov, weight_decay=weight_decay)
        betas = {"beta1": mlp.beta_1, "beta2": mlp.beta_2}
        return Adam(**betas, epsilon=mlp.epsilon, weight_decay=weight_decay)

    def _rate_factor(self, _n_done: int, _n_steps: int) -> float:
        """Return the factor of the learning rate: a `Schedule` for the training loop."""
        if self._mlp.solver == "sgd" and self._mlp.learning_rate == "invscaling":
            return float((self._mlp.t_ + 1) ** -self._mlp.power_t)
        return 5.0**-self._state.n_divisions

    def _record(self, epoch: Epoch, held_out: Examples, penalty: float) -> None:
        """Add an epoch to the attributes, and compare it with the best one so far."""
        mlp = self._mlp
        mlp.loss_ = epoch.loss + penalty
        mlp.loss_curve_.append(mlp.loss_)
        self._print(f"Iteration {mlp.n_iter_}, loss = {mlp.loss_:.8f}")
        if mlp.early_stopping:
            score = self._score(epoch, held_out)
            mlp.validation_scores_.append(score)
            self._print(f"Validation score: {score:f}")
            is_worse = score < mlp.best_validation_score_ + mlp.tol
            mlp.best_validation_score_ = max(mlp.best_validation_score_, score)
        else:
            is_worse = mlp.loss_ > mlp.best_loss_ - mlp.tol
            mlp.best_loss_ = min(mlp.best_loss_, mlp.loss_)
        self._state.n_worse = self._state.n_worse + 1 if is_worse else 0

    def _is_converged(self) -> bool:
        """Return whether to stop; "adaptive" lowers the learning rate first."""
        mlp, state = self._mlp, self._state
        if state.n_worse <= mlp.n_iter_no_change:
            return False
        what = "Validation score" if mlp.early_stopping else "Training loss"
        msg = f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change}"
        msg += " consecutive epochs."
        rate = mlp.learning_rate_init * 5.0**-state.n_divisions
        if mlp.solver == "adam" or mlp.learning_rate != "adaptive" or rate <= _MIN_RATE:
            self._print(f"{msg} Stopping.")
            return True
        state.n_divisions, state.n_worse = state.n_divisions + 1, 0
        self._print(f"{msg} Setting learning rate to {rate / 5.0:f}")
        return False

    def _print(self, line: str) -> None:
        if self._mlp.verbose:
            sys.stdout.write(f"{line}\n")


def _sum_of_squares(trainer: Trainer) -> float:
    """Return the sum of the squared weights, without the biases."""
    with without_warnings():
        weights = trainer.is_weight * trainer.parameters
        return float(to_numpy(weights @ weights))
