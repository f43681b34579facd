"""scikit-learn's losses: those of xpnet in other units, of rows that may have weights."""

from dataclasses import dataclass
from typing import Any

from xpnet.arrays.namespace import cast
from xpnet.training.backward import Objective

__all__ = ["RowObjective"]


@dataclass(frozen=True, eq=False)
class RowObjective(Objective):
    """scikit-learn's losses: the mean over rows, which may have weights.

    Parameters
    ----------
    network, loss
        As for `Objective`.
    is_weighted : bool, default False
        Whether the last column of the answers is the weight of each row.
    """

    is_weighted: bool = False

    def targets(self, answers: Any, dtype: Any, xp: Any) -> Any:
        """Return what the outputs should be; the weights of the rows stay the last column."""
        if not self.is_weighted:
            return super().targets(answers, dtype, xp)
        weights = cast(answers[:, -1:], dtype, xp)
        answers = answers[:, 0] if self.loss == "cross_entropy" else answers[:, :-1]
        return xp.concat([super().targets(answers, dtype, xp), weights], axis=1)

    def of(self, outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
        """Return the weighted mean loss of a batch, and its derivative by the outputs."""
        n_out = self.network.n_out
        share = 1.0 / outputs.shape[0]
        if self.is_weighted:
            share = targets[:, n_out:] / xp.sum(targets[:, n_out:])
        losses, slope = self.of_rows(outputs, targets[:, :n_out], xp)
        of_losses, of_slope = self._units
        return of_losses * xp.sum(losses * share), slope * (of_slope * share)

    @property
    def _units(self) -> tuple[float, float]:
        """Return how many times as large scikit-learn's loss is, and its derivative.

        It sums up what several units are asked, and halves squared errors: their mean over the
        outputs, but their derivative is that of the sum.
        """
        n_out = float(self.network.n_out)
        units = {"binary_cross_entropy": (n_out, n_out), "mean_squared_error": (0.5, 0.5 * n_out)}
        return units.get(str(self.loss), (1.0, 1.0))
