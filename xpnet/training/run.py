"""What comes of a training: the network, and how it came about."""

from dataclasses import dataclass, field

from xpnet.arrays.transfer_counts import Transfers
from xpnet.networks.network import Network

__all__ = ["Epoch", "Run", "RunawayError"]


@dataclass(frozen=True)
class Epoch:
    """What was learned by the end of one pass over the examples.

    Attributes
    ----------
    number : int
        Counting from 1.
    loss : float
        The mean over the epoch's batches, each as it was met: of a cross-entropy in nats, of a
        squared error in the square of the values' unit.
    accuracy : float or None
        The share, 0..1, of examples that the network gets right at the end of the epoch, of at
        most 2,000 of those that it learned from, as they are without any augmentation; ``None``
        for a regression.
    validation_loss, validation_accuracy : float or None
        Likewise, on the examples held out; ``None`` where there are none.
    learning_rate : float
        Of the last step.
    seconds : float
        Since the start of the training.
    """

    number: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float

    def is_better_than(self, other: "Epoch | None") -> bool:
        """Tell whether more of the examples held out are right, or as many at a lower loss."""
        if other is None:
            return True
        scores = [
            (epoch.validation_accuracy or 0.0, -(epoch.validation_loss or 0.0))
            for epoch in (self, other)
        ]
        return scores[0] > scores[1]


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network and how it came about.

    Attributes
    ----------
    network : Network
        With the parameters of the best epoch.
    history : tuple of Epoch
    best : Epoch or None
        Of the epochs, the one with the highest validation accuracy, or as high and the lowest
        validation loss; without examples held out, the last one. ``None`` before the first.
    transfers : Transfers
        What was copied between host and device.
    """

    network: Network
    history: tuple[Epoch, ...]
    best: Epoch | None = None
    transfers: Transfers = field(default_factory=Transfers)


class RunawayError(FloatingPointError):
    """The loss or a weight became NaN or infinite.

    Attributes
    ----------
    run : Run
        What was good until then.
    """

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run

    def __reduce__(self) -> tuple[type["RunawayError"], tuple[str, Run]]:
        """Pickle by both arguments: errors travel between processes."""
        return type(self), (str(self), self.run)
