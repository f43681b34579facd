"""Epochs of `fit` and `partial_fit`, by the rules of scikit-learn.

Initial weights and the order of the rows are drawn on the host by the same calls as in
scikit-learn: with the same ``random_state``, both use the same weights and the same batches.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from xpnet.arrays.namespace import current_device, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.networks.network import Network
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, all_finite, batches
from xpnet.training.optimizers import SGD, Adam, Optimizer, State
from xpnet.training.trainer import Trainer

__all__ = ["FitLoop", "FitState"]

_DEFAULT_BATCH_SIZE = 200
# Lowest learning rate that "adaptive" still divides.
_MIN_RATE = 1e-6


@dataclass(frozen=True, eq=False)
class _Objective(Objective):
    """Losses of scikit-learn, which are multiples of those of xpnet."""

    def mean_loss(
        self, outputs: Any, targets: Any, xp: Any, weights: Any | None = None
    ) -> tuple[Any, Any]:
        """Return the weighted mean loss of a batch and its derivative with respect to the outputs.

        scikit-learn sums the cross-entropy of several units, and halves squared errors: their mean
        over the outputs, but the derivative of their sum.
        """
        share = 1.0 / outputs.shape[0] if weights is None else weights / xp.sum(weights)
        n_out = float(self.network.n_out)
        units = {"binary_cross_entropy": (n_out, n_out), "mean_squared_error": (0.5, 0.5 * n_out)}
        loss_factor, slope_factor = units.get(str(self.loss), (1.0, 1.0))
        losses, slope = self.row_losses(outputs, targets, xp)
        return loss_factor * xp.sum(losses * share), slope * (slope_factor * share)


class FitState(NamedTuple):
    """State, besides the network, from which a later call of `fit` or `partial_fit` continues.

    ``n_worse`` is the number of epochs since the last improvement.
    """

    optimizer: State
    rate: float
    n_worse: int


class FitLoop:
    """Training loop of one call of `fit` or `partial_fit`, recorded in an estimator's attributes.

    Training starts from `network`. The answers of the examples are on the device of the rows.
    ``score(network, examples)`` is the score of a network on held-out examples.
    """

    def __init__(
        self,
        mlp: Any,
        network: Network,
        examples: Examples,
        random: np.random.RandomState,
        score: Callable[[Network, Examples], float],
    ) -> None:
        optimizer: Optimizer
        if mlp.solver == "adam":
            optimizer = Adam(
                beta1=mlp.beta_1, beta2=mlp.beta_2, epsilon=mlp.epsilon, weight_decay=mlp.alpha
            )
        else:
            is_nesterov = mlp.nesterovs_momentum and mlp.momentum > 0.0
            optimizer = SGD(momentum=mlp.momentum, nesterov=is_nesterov, weight_decay=mlp.alpha)
        self.trainer = Trainer(_Objective(network), optimizer)
        self._rate = float(mlp.learning_rate_init)
        self._mlp, self._examples, self._random, self._score = mlp, examples, random, score
        self._n_worse = 0
        self._order = np.arange(examples.rows.shape[0])
        self._held_out: Examples | None = None
        if mlp.early_stopping:
            self._hold_out()
        self._best_parameters = self.trainer.parameters
        n, size = len(self._order), mlp.batch_size
        if size != "auto" and int(size) > n:
            msg = f"`batch_size` is above the number of training rows; got {size}: {n} is used"
            warnings.warn(msg, stacklevel=4)
        self._batch_size = min(_DEFAULT_BATCH_SIZE if size == "auto" else int(size), n)

    def _hold_out(self) -> None:
        """Hold out rows for early stopping, stratified by class."""
        examples, has_classes = self._examples, self.trainer.objective.has_classes
        self._order, others = train_test_split(
            self._order,
            random_state=self._random,
            test_size=self._mlp.validation_fraction,
            stratify=to_numpy(examples.answers) if has_classes else None,
        )
        if len(others) < 2:
            n = examples.rows.shape[0]
            msg = f"`validation_fraction` must hold out at least 2 rows; got {len(others)} of {n}"
            raise ValueError(msg)
        self._held_out = examples.take(others)

    def resume(self, state: FitState, *, with_optimizer: bool) -> None:
        """Continue from an earlier call; if `with_optimizer`, also from its optimizer's state."""
        self._n_worse = state.n_worse
        has_same_solver = len(state.optimizer.vectors) == len(self.trainer.state.vectors)
        if with_optimizer and has_same_solver:
            self.trainer.state, self._rate = state.optimizer, state.rate

    @property
    def state(self) -> FitState:
        """State for a later call."""
        return FitState(self.trainer.state, self._rate, self._n_worse)

    def run(self) -> None:
        """Train until the loss or score stops improving, for at most ``max_iter`` epochs."""
        mlp = self._mlp
        mlp.n_iter_ = 0
        try:
            while mlp.n_iter_ < mlp.max_iter:
                self.run_epoch()
                if self._is_converged():
                    break
            else:
                msg = f"training has not converged in max_iter={mlp.max_iter} epochs"
                warnings.warn(msg, ConvergenceWarning, stacklevel=4)
        except KeyboardInterrupt:
            msg = "training was interrupted: the network of the last step is kept"
            warnings.warn(msg, stacklevel=4)
        if self._held_out is not None:
            self.trainer.parameters = self._best_parameters

    def run_epoch(self) -> None:
        """Train on each row once; raise ValueError if the loss or a parameter is not finite."""
        mlp = self._mlp
        if mlp.shuffle:
            self._order = shuffle(self._order, random_state=self._random)
        mlp.loss_ = self._run_batches() / len(self._order)
        if not (isfinite(mlp.loss_) and all_finite(self.trainer.parameters)):
            msg = (
                "training diverged: the loss or a weight is NaN or infinite. Scale the inputs, or"
                f" lower `learning_rate_init`; got {mlp.learning_rate_init}"
            )
            raise ValueError(msg)
        mlp.n_iter_ += 1
        mlp.t_ += len(self._order)
        mlp.loss_curve_.append(mlp.loss_)
        self._print(f"Iteration {mlp.n_iter_}, loss = {mlp.loss_:.8f}")
        self._record_best()
        if mlp.solver == "sgd" and mlp.learning_rate == "invscaling":
            self._change_rate(mlp.learning_rate_init / (mlp.t_ + 1) ** mlp.power_t)

    def _run_batches(self) -> float:
        """Update the parameters by each batch; return the sum of the losses of the rows."""
        trainer, alpha = self.trainer, self._mlp.alpha
        total: Any = 0.0
        limit = trainer.blas_limit(self._batch_size)
        with limit, current_device(trainer.parameters), without_warnings():
            for batch in batches(self._examples, self._order, trainer.objective, self._batch_size):
                if not batch.total_weight:
                    continue
                weights = trainer.is_weight * trainer.parameters
                # As in scikit-learn, the penalty is divided by the total weight of the batch.
                loss = trainer.step(batch, self._rate, decay=1.0 / batch.total_weight)
                penalty = (weights @ weights) * (0.5 * alpha / batch.total_weight)
                total = total + (loss + penalty) * batch.rows.shape[0]
        return float(total if isinstance(total, float) else to_numpy(total))

    def _record_best(self) -> None:
        """Compare the epoch with the best one so far."""
        mlp = self._mlp
        if self._held_out is None:
            is_worse = mlp.loss_ > mlp.best_loss_ - mlp.tol
            mlp.best_loss_ = min(mlp.best_loss_, mlp.loss_)
        else:
            score = self._score(self.trainer.network(), self._held_out)
            mlp.validation_scores_.append(score)
            self._print(f"Validation score: {score:f}")
            is_worse = score < mlp.best_validation_score_ + mlp.tol
            if score > mlp.best_validation_score_:
                mlp.best_validation_score_ = score
                self._best_parameters = self.trainer.parameters
        self._n_worse = self._n_worse + 1 if is_worse else 0

    def _is_converged(self) -> bool:
        """Return whether to stop; "adaptive" lowers the learning rate first."""
        mlp = self._mlp
        if self._n_worse <= mlp.n_iter_no_change:
            return False
        what = "Training loss" if self._held_out is None else "Validation score"
        msg = (
            f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change}"
            " consecutive epochs."
        )
        if mlp.solver == "adam" or mlp.learning_rate != "adaptive" or self._rate <= _MIN_RATE:
            self._print(f"{msg} Stopping.")
            return True
        self._change_rate(self._rate / 5.0)
        self._print(f"{msg} Setting learning rate to {self._rate:f}")
        self._n_worse = 0
        return False

    def _change_rate(self, rate: float) -> None:
        """Set the learning rate, and scale the momentum.

        scikit-learn's momentum is a sum of updates, which include the old rate; here it is a sum
        of gradients.
        """
        state = self.trainer.state
        with current_device(self.trainer.parameters):
            vectors = tuple(total * (self._rate / rate) for total in state.vectors)
        self.trainer.state, self._rate = State(state.n_steps, vectors), rate

    def _print(self, line: str) -> None:
        if self._mlp.verbose:
            sys.stdout.write(f"{line}\n")
