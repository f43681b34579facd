"""A training under way: what is learned, measured and kept, epoch by epoch."""

from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, current_device, device_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.arrays.transfer_counts import Transfers
from xpnet.training.checkpoints import Checkpoint, CheckpointFile, Resume
from xpnet.training.examples import Examples, check_finite
from xpnet.training.learner import Learner
from xpnet.training.optimizers import State
from xpnet.training.run import Epoch, Run, RunawayError

__all__ = ["Loop"]

# Of so many examples that were learned from, the accuracy is measured.
_MOST_MEASURED = 2000


class Loop:
    """A training under way.

    Parameters
    ----------
    learner : Learner
    examples : Examples
    kept : array of shape (n,), integers
        Which of them are learned from.
    held_out : Examples
        Of which the best epoch is found; there may be none.
    transfers : Transfers
        What is copied meanwhile.

    """

    def __init__(
        self,
        learner: Learner,
        examples: Examples,
        kept: NDArray[np.int64],
        held_out: Examples,
        transfers: Transfers,
    ) -> None:
        self.learner, self._examples, self._held_out = learner, examples, held_out
        self._measured = examples.taken(kept[:_MOST_MEASURED])
        self._n_learned = len(kept)
        self._transfers = transfers
        # The end of the last epoch. It is replaced in one step: an interrupt finds an epoch in it
        # or not, but never a part of one.
        self._end: Checkpoint | None = None
        self._file: CheckpointFile | None = None
        self._total: Any = 0.0
        self._rate = 0.0
        self._start = perf_counter()

    def keep_in(
        self, file: CheckpointFile, *, resume: Resume, epochs: int, patience: int | None
    ) -> None:
        """Keep the training in a file from now on; go on from what is there, if that is asked."""
        self._file = file
        if resume == "finished":
            found = file.read_final(epochs, patience)
        else:
            found = file.read() if resume else None
        if found is None:
            return
        learner = self.learner
        xp, device = array_namespace(learner.parameters), device_of(learner.parameters)
        arrays = {name: move(x, xp, device) for name, x in found.arrays.items()}
        learner.parameters = arrays["parameters"]
        vectors = tuple(arrays[f"state.{i}"] for i in range(len(learner.state.vectors)))
        learner.state = State(found.n_steps, vectors)
        self._end = replace(found, arrays=arrays)
        self._start -= self.history[-1].seconds

    @property
    def history(self) -> tuple[Epoch, ...]:
        """The epochs so far."""
        return () if self._end is None else self._end.history

    @property
    def best(self) -> Epoch | None:
        """The best of them."""
        return None if self._end is None else self._end.history[self._end.best - 1]

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Return whether all epochs are done or patience is exhausted."""
        return self._end is not None and self._end.is_final(epochs, patience)

    @property
    def n_steps(self) -> int:
        """How many steps were taken."""
        return self.learner.state.n_steps

    def learn(self, rows: Any, targets: Any, rate: float) -> None:
        """Learn from a batch."""
        self._rate = rate
        loss = self.learner.learn(rows, targets, rate)
        # The loss stays on the device: to look at it here would wait for each batch.
        with current_device(loss):
            self._total = self._total + loss * float(rows.shape[0])

    def end_epoch(self) -> None:
        """Measure what was learned, and keep it.

        Raises
        ------
        RunawayError
            If the loss or a weight is no finite number.
        ValueError
            If that comes of examples that are none.
        """
        learner, number = self.learner, len(self.history) + 1
        loss = float(to_numpy(self._total)) / self._n_learned
        self._total = 0.0
        if not (isfinite(loss) and learner.is_finite()):
            check_finite(self._examples.rows)
            what = "the weights" if isfinite(loss) else f"the loss ({loss})"
            msg = f"{what} ran away in epoch {number}: a lower learning rate may help"
            raise RunawayError(msg, self.run())
        has_more = self._held_out.rows.shape[0] > 0
        held_out = learner.scores(self._held_out) if has_more else (None, None)
        epoch = Epoch(
            number=number,
            loss=loss,
            accuracy=learner.scores(self._measured)[1],
            validation_loss=held_out[0],
            validation_accuracy=held_out[1],
            learning_rate=self._rate,
            seconds=perf_counter() - self._start,
        )
        if self._end is None or not has_more or epoch.is_better_than(self.best):
            best, arrays = number, self._arrays(learner.parameters)
        else:
            best, arrays = self._end.best, self._arrays(self._end.arrays["best"])
        self._end = Checkpoint(arrays, self.n_steps, (*self.history, epoch), best)
        self._keep()

    def _arrays(self, best: Any) -> dict[str, Any]:
        vectors = {f"state.{i}": x for i, x in enumerate(self.learner.state.vectors)}
        return {"parameters": self.learner.parameters, "best": best, **vectors}

    def finish(self) -> None:
        """Keep the last epoch, too."""
        self._keep(always=True)

    def _keep(self, *, always: bool = False) -> None:
        if self._file is not None and self._end is not None:
            self._file.write(self._end, always=always)

    def run(self) -> Run:
        """Return what came of it so far."""
        learner = self.learner
        # Before the first epoch has ended, the network is where it started.
        network = learner.objective.network
        if self._end is not None:
            network = learner.network(self._end.arrays["best"])
        return Run(network, self.history, self.best, self._transfers)
