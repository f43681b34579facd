"""What an estimator learns from: rows, what should come of each, and how much each counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import move
from xpnet.estimators.inputs import ROWS_AT_A_TIME, dtype_of
from xpnet.estimators.losses import RowObjective
from xpnet.training.examples import Examples, batches

__all__ = ["Lesson"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned from.

    Parameters
    ----------
    rows : array or sparse matrix of shape (n, n_features)
    truth : array of shape (n,) or (n, n_out)
        Class ids, or values in the dtype of the rows; on the host.
    weights : array of shape (n,), optional
        Of the rows, on the host.
    """

    rows: Any
    truth: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are a sparse matrix."""
        return hasattr(self.rows, "toarray")

    @cached_property
    def answers(self) -> Any:
        """The truth, with the weights as its last column, where the rows are."""
        answers = self.truth
        if self.weights is not None:
            answers = np.column_stack([answers, self.weights]).astype(dtype_of(self.rows))
        xp = np if self.is_sparse else array_namespace(self.rows)
        return answers if xp is np else move(answers, xp, device_of(self.rows))

    def taken(self, order: NDArray[np.int64]) -> "Lesson":
        """Return these rows, in this order."""
        truth = self.truth[order]
        weights = None if self.weights is None else self.weights[order]
        if self.is_sparse:
            return Lesson(self.rows[order], truth, weights)
        return Lesson(Examples(self.rows, self.truth).taken(order).rows, truth, weights)

    def batches(
        self, order: NDArray[np.int64], objective: RowObjective, size: int
    ) -> Iterator[tuple[Any, Any, float]]:
        """Yield rows and targets on the network's device, and what the rows weigh together."""
        parts = (
            batch
            for examples, part in self._dense(order, size)
            for batch in batches(examples, part, objective, size)
        )
        for start, (rows, targets) in zip(range(0, len(order), size), parts, strict=True):
            weight = float(rows.shape[0])
            if self.weights is not None:
                weight = float(np.sum(self.weights[order[start : start + size]]))
            yield rows, targets, weight

    def _dense(
        self, order: NDArray[np.int64], size: int
    ) -> Iterator[tuple[Examples, NDArray[np.int64]]]:
        """Yield examples and their order: all of them; of sparse rows, some thousand, dense."""
        if not self.is_sparse:
            yield Examples(self.rows, self.answers), order
            return
        n_at_a_time = max(ROWS_AT_A_TIME // size, 1) * size
        for start in range(0, len(order), n_at_a_time):
            part = order[start : start + n_at_a_time]
            yield Examples(self.rows[part].toarray(), self.answers[part]), np.arange(len(part))
