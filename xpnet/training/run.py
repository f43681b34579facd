"""Result of a training run."""

from dataclasses import dataclass

from xpnet.networks.network import Network

__all__ = ["MOST_MEASURED", "Epoch", "Run", "RunawayError", "TrainingInterrupted"]

# Training accuracy is measured on this number of examples at most.
MOST_MEASURED = 2000


@dataclass(frozen=True)
class Epoch:
    """Scores at the end of one pass over the training examples; ``print`` shows them in a line.

    Attributes
    ----------
    number : int
        Counts from 1.
    loss : float
        Mean training loss of the epoch; each batch is scored before its update. In nats for a
        cross-entropy, in the squared unit of the values for a squared error.
    accuracy : float or None
        Share of correct predictions at the end of the epoch, 0..1, on at most 2,000 of the
        training examples, without augmentation. ``None`` for a regression.
    validation_loss, validation_accuracy : float or None
        The same on the held-out examples, if any.
    learning_rate, seconds : float
        Learning rate of the last step, and time since the start of training.
    """

    number: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float

    def __str__(self) -> str:
        held_out = "validation_loss" if self.accuracy is None else "validation_accuracy"
        scores = [(x.replace("_", " "), getattr(self, x)) for x in ("loss", "accuracy", held_out)]
        shown = ", ".join(f"{name} {x:.4f}" for name, x in scores if x is not None)
        return f"epoch {self.number}: {shown}, {self.seconds:.1f} s"

    def is_better_than(self, other: "Epoch") -> bool:
        """Return whether validation accuracy is higher, or equal at a lower validation loss."""
        both = [(x.validation_accuracy or 0.0, -(x.validation_loss or 0.0)) for x in (self, other)]
        return both[0] > both[1]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """Result of a training run; a notebook shows its curves, too.

    Attributes
    ----------
    network : Network
        The network with the parameters of the best epoch, or the initial one if there is none.
    history : tuple of Epoch
        One entry per epoch.
    best : Epoch or None
        Epoch with the highest validation accuracy; among equals, or for a regression, the one with
        the lowest validation loss. Without held-out examples, the last epoch. ``None`` if no epoch
        was completed.
    baseline : float or None
        Score without looking at inputs, on the examples that determine the best epoch: the share of
        the most frequent class or, for a regression, the mean squared error of the mean value. A
        network that has learned something is better. ``None`` if no epoch was completed.
    """

    network: Network
    history: tuple[Epoch, ...]
    best: Epoch | None = None
    baseline: float | None = None

    def __repr__(self) -> str:
        return f"Run({self._summary()})"

    def _summary(self) -> str:
        best, n_epochs = self.best, len(self.history)
        if best is None:
            return "no epoch completed"
        place, accuracy, loss = "", best.validation_accuracy, best.validation_loss
        if loss is None:
            place, accuracy, loss = " in training", best.accuracy, best.loss
        if accuracy is not None:
            score = f"{accuracy:.3f}{place}, most frequent class {self.baseline or 0.0:.3f}"
        else:
            r2 = f", R2 {1.0 - loss / self.baseline:.3g}" if self.baseline else ""
            score = f"loss {loss:.4g}{r2}{place}"
        return f"{n_epochs:,} epoch{'s' * (n_epochs != 1)}, best {best.number}: {score}"

    def _repr_html_(self) -> str:
        from xpnet.pictures.results import draw_learning, result_as_html

        rows = {"result": self._summary(), "network": repr(self.network)}
        return result_as_html(rows, draw_learning, self.history)


class RunawayError(FloatingPointError):
    """A loss or a parameter is NaN or infinite; ``.run`` is the `Run` of the finite epochs."""

    run: Run


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C after the first epoch; ``.run`` is the `Run` up to the last complete epoch."""

    run: Run
