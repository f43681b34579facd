"""The loop: epochs of mini-batches in an order that is the same on every device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, as_array, current_device
from xpnet.arrays.transfer import to_numpy, without_graph
from xpnet.inference.batches import as_rows, check_batch_size, on_network_device
from xpnet.inference.predict import as_class_ids, predict
from xpnet.networks.network import Network
from xpnet.training.augmentation import image_shape, shift
from xpnet.training.backward import loss_and_gradients
from xpnet.training.optimizers import Adam, cosine

__all__ = ["Epoch", "Run", "train"]


@dataclass(frozen=True)
class Epoch:
    """What was learned by the end of one pass over the images.

    Attributes
    ----------
    number : int
        Counting from 1.
    loss : float
        The mean cross-entropy over the epoch's batches, in nats, each as it was met.
    validation_accuracy : float or None
        On the images held out; ``None`` where there are none.
    seconds : float
        Since the start of the training.
    """

    number: int
    loss: float
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network and how it came about.

    Attributes
    ----------
    network : Network
    history : tuple of Epoch
    """

    network: Network
    history: tuple[Epoch, ...]


def train(
    network: Network,
    images: Any,
    labels: Any,
    /,
    *,
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float = 0.005,
    validation: float = 0.0,
    augment: int = 0,
    seed: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Train a classifier by Adam on mini-batches, with a learning rate that falls by a cosine.

    Parameters
    ----------
    network : Network
        Where to start, on the device that shall do the work; it is not changed. With
        ``output="logits"`` and two or more units.
    images : array of shape (n, n_in), (n, height, width) ...
        On the host; batches cross to the network's device, ``uint8`` as it is.
    labels : array of shape (n,), integers
        Class ids in 0 .. n_classes - 1.
    epochs : int, default 10
        Passes over the images.
    batch_size : int, default 100
    learning_rate : float, default 0.005
        At the start.
    validation : float, default 0
        The share of the images, in 0..1, that is held out to measure the accuracy.
    augment : int, default 0
        Each time an image is met, it is moved by up to this many pixels in both directions.
    seed : int, default 0
        Of the choice of the images held out, of the order of the rest and of their moves; drawn
        on the host, so the same on every device.
    on_epoch : callable, optional
        Called with each `Epoch`.
    progress : callable, optional
        Called with the number of images in each batch when it is done.

    Returns
    -------
    Run
        With ``.network`` and ``.history``.

    Raises
    ------
    TypeError
        If images or labels are no arrays of the right kind.
    ValueError
        If shapes do not fit, a label is no class, there are no images to train on, an option is
        out of range, or an activation has no derivative.
    FloatingPointError
        If the loss or a weight becomes NaN or infinite.

    Examples
    --------
    >>> import xpnet
    >>> start = xpnet.init_network([784, 20, 10], scheme="he", preprocessing=xpnet.Scale(1 / 255))
    >>> run = xpnet.train(start, *xpnet.sample(), epochs=10, batch_size=20, validation=0.2)
    >>> run.history[-1].validation_accuracy > 0.8
    True
    """
    _check_options(epochs, learning_rate, validation, augment)
    images = as_array(images, "images")
    rows, ids = _as_examples(network, images, labels)
    batch_size = check_batch_size(network, batch_size)
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows))
    n_held_out = int(validation * len(rows))
    held_out, kept = order[:n_held_out], order[n_held_out:]
    shape = image_shape(tuple(images.shape)) if augment else None
    loop = _Loop(network, learning_rate, epochs * -(-len(kept) // batch_size))
    history: list[Epoch] = []
    start = perf_counter()
    for number in range(1, epochs + 1):
        total: Any = 0.0
        order = random.permutation(kept)
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            batch = rows[chosen]
            if shape is not None:
                batch = shift(batch, shape, augment, random)
            # The loss stays on the device: to look at it here would wait for each batch.
            total = loop.learn(batch, ids[chosen], total)
            if progress is not None:
                progress(len(chosen))
        loss = float(to_numpy(total)) / len(kept)
        loop.check(loss, number)
        accuracy = None
        if n_held_out:
            accuracy = float(np.mean(predict(loop.network, rows[held_out]) == ids[held_out]))
        history.append(Epoch(number, loss, accuracy, perf_counter() - start))
        if on_epoch is not None:
            on_epoch(history[-1])
    return Run(loop.network, tuple(history))


class _Loop:
    """The network as it learns, and the optimizer's state."""

    def __init__(self, network: Network, learning_rate: float, n_steps: int) -> None:
        self.network = _with_parameters(network, [without_graph(p) for p in _parameters(network)])
        self._xp = array_namespace(network.layers[0].weight)
        self._learning_rate, self._n_steps = learning_rate, n_steps
        self._optimizer = Adam()
        with current_device(network.layers[0].weight):
            self._state = self._optimizer.start(_parameters(self.network))

    def learn(self, rows: NDArray[Any], ids: NDArray[np.int64], total: Any) -> Any:
        """Learn from a batch; return `total` plus the sum of its losses, on the device."""
        # Weights that run away are told by `check`; NumPy need not warn of each overflow.
        quiet = np.errstate(over="ignore", invalid="ignore")
        with current_device(self.network.layers[0].weight), quiet:
            batch, labels = (on_network_device(self.network, x) for x in (rows, ids))
            loss, gradients = loss_and_gradients(self.network, batch, labels, self._xp)
            rate = cosine(self._learning_rate, self._state.n_steps / self._n_steps)
            flat = [g for pair in gradients for g in pair]
            steps, self._state = self._optimizer.step(flat, self._state, rate, self._xp)
            pairs = zip(_parameters(self.network), steps, strict=True)
            self.network = _with_parameters(self.network, [p + step for p, step in pairs])
            return total + loss * len(rows)

    def check(self, loss: float, number: int) -> None:
        """Raise FloatingPointError if the loss or the weights are no numbers any more."""
        are_finite = all(np.isfinite(to_numpy(p)).all() for p in _parameters(self.network))
        if not (are_finite and np.isfinite(loss)):
            what = "the weights" if np.isfinite(loss) else f"the loss ({loss})"
            msg = f"{what} ran away in epoch {number}: a lower learning rate may help"
            raise FloatingPointError(msg)


def _parameters(network: Network) -> list[Any]:
    return [p for layer in network.layers for p in (layer.weight, layer.bias)]


def _with_parameters(network: Network, parameters: list[Any]) -> Network:
    triples = zip(network.layers, parameters[::2], parameters[1::2], strict=True)
    layers = tuple(replace(layer, weight=weight, bias=bias) for layer, weight, bias in triples)
    return replace(network, layers=layers)


def _check_options(epochs: int, learning_rate: float, validation: float, augment: int) -> None:
    if epochs < 1:
        msg = f"`epochs` must be at least 1; got {epochs}"
        raise ValueError(msg)
    if not 0 < learning_rate < float("inf"):
        msg = f"`learning_rate` must be positive; got {learning_rate}"
        raise ValueError(msg)
    if not 0 <= validation < 1:
        msg = f"`validation` must be a share of the images, from 0 to below 1; got {validation}"
        raise ValueError(msg)
    if augment < 0:
        msg = f"`augment` must be a number of pixels, 0 or more; got {augment}"
        raise ValueError(msg)


def _as_examples(
    network: Network, images: Any, labels: Any
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the images as rows and the labels as class ids, both on the host."""
    if network.output != "logits" or network.n_out == 1:
        msg = (
            "`network` must give the logits of two or more classes to be trained;"
            f" got output={network.output!r} with {network.n_out} units"
        )
        raise ValueError(msg)
    rows, ids = to_numpy(as_rows(images, network.n_in)), as_class_ids(network, labels)
    if ids.shape != (len(rows),):
        msg = f"`labels` must have the shape ({len(rows)},), as there are images; got {ids.shape}"
        raise ValueError(msg)
    if not len(rows):
        msg = "`images` must hold at least one to learn from; got none"
        raise ValueError(msg)
    return rows, ids
