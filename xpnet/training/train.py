"""The loop: epochs of mini-batches in an order that is the same on every device."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.counting import Transfers, count_transfers
from xpnet.arrays.namespace import array_namespace, as_array, current_device, device_of
from xpnet.arrays.transfer import move, to_numpy, without_graph
from xpnet.inference.batches import (
    TransferPolicy,
    as_rows,
    check_batch_size,
    check_transfer,
    check_transfers,
    on_network_device,
)
from xpnet.inference.labels import as_class_ids, confusion_of, stay_together
from xpnet.inference.predict import predict
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
    transfers : Transfers
        What was copied between host and device.
    """

    network: Network
    history: tuple[Epoch, ...]
    transfers: Transfers = field(default_factory=Transfers)


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
    transfers: TransferPolicy = "allow",
) -> Run:
    """Train a classifier by Adam on mini-batches, with a learning rate that falls by a cosine.

    Parameters
    ----------
    network : Network
        Where to start, on the device that shall do the work; it is not changed. With
        ``output="logits"`` and two or more units.
    images : array of shape (n, n_in), (n, height, width) ...
        Host images cross to the network's device batch by batch, ``uint8`` as it is; images that
        are there already are chosen there.
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
    transfers : {"allow", "forbid"}, default "allow"
        With "forbid", images or labels that are not where the network is are refused, and not
        copied. The order of the images, which is drawn on the host, and the losses still cross.

    Returns
    -------
    Run
        With ``.network``, ``.history`` and ``.transfers``.

    Raises
    ------
    TypeError
        If images or labels are no arrays of the right kind.
    ValueError
        If shapes do not fit, a label is no class, there are no images to train on, an option is
        out of range, an activation has no derivative, or `transfers` forbids to copy images or
        labels (images on a device are moved by `augment` on the host).
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
    check_transfers(transfers)
    images = as_array(images, "images")
    shape = image_shape(tuple(images.shape)) if augment else None
    with count_transfers() as counted:
        rows, ids = _as_examples(network, images, labels, transfers, augment=augment)
        batch_size = check_batch_size(network, batch_size)
        random = np.random.default_rng(seed)
        order = random.permutation(rows.shape[0])
        n_held_out = int(validation * rows.shape[0])
        held_out, kept = order[:n_held_out], order[n_held_out:]
        loop = _Loop(network, learning_rate, epochs * -(-len(kept) // batch_size))
        history: list[Epoch] = []
        start = perf_counter()
        for number in range(1, epochs + 1):
            total: Any = 0.0
            # Where the images are: an order crosses once, and not batch by batch.
            order_of_rows, order_of_ids = _beside((rows, ids), random.permutation(kept))
            for first in range(0, len(kept), batch_size):
                part = slice(first, min(first + batch_size, len(kept)))
                batch = _taken(rows, order_of_rows[part])
                if shape is not None:
                    batch = shift(batch, shape, augment, random)
                # The loss stays on the device: to look at it here would wait for each batch.
                total = loop.learn(batch, _taken(ids, order_of_ids[part]), total)
                if progress is not None:
                    progress(batch.shape[0])
            loss = float(to_numpy(total)) / len(kept)
            loop.check(loss, number)
            accuracy = loop.accuracy(rows, ids, held_out) if n_held_out else None
            history.append(Epoch(number, loss, accuracy, perf_counter() - start))
            if on_epoch is not None:
                on_epoch(history[-1])
    return Run(loop.network, tuple(history), counted)


class _Loop:
    """The network as it learns, and the optimizer's state."""

    def __init__(self, network: Network, learning_rate: float, n_steps: int) -> None:
        self.network = _with_parameters(network, [without_graph(p) for p in _parameters(network)])
        self._xp = array_namespace(network.layers[0].weight)
        self._learning_rate, self._n_steps = learning_rate, n_steps
        self._optimizer = Adam()
        with current_device(network.layers[0].weight):
            self._state = self._optimizer.start(_parameters(self.network))

    def learn(self, rows: Any, ids: Any, total: Any) -> Any:
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
            return total + loss * rows.shape[0]

    def accuracy(self, rows: Any, ids: Any, held_out: NDArray[np.int64]) -> float:
        """Return the share of images held out that the network gets right now."""
        of_rows, of_ids = _beside((rows, ids), held_out)
        predicted = predict(self.network, _taken(rows, of_rows))
        confusion = confusion_of(_taken(ids, of_ids), predicted, self.network.n_classes)
        return float(np.trace(confusion) / len(held_out))

    def check(self, loss: float, number: int) -> None:
        """Raise FloatingPointError if the loss or the weights are no numbers any more."""
        with current_device(self.network.layers[0].weight):
            finite = [self._xp.all(self._xp.isfinite(p)) for p in _parameters(self.network)]
            are_finite = all(bool(to_numpy(answer)) for answer in finite)
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
    network: Network, images: Any, labels: Any, transfers: TransferPolicy, *, augment: int
) -> tuple[Any, Any]:
    """Return the images as rows and the labels as class ids, on the network's device or host."""
    if network.output != "logits" or network.n_out == 1:
        msg = (
            "`network` must give the logits of two or more classes to be trained;"
            f" got output={network.output!r} with {network.n_out} units"
        )
        raise ValueError(msg)
    labels = as_array(labels, "labels")
    for x, name in ((images, "images"), (labels, "labels")):
        check_transfer(x, network, transfers, name)
    rows, ids = as_rows(images, network.n_in), as_class_ids(network, labels)
    if tuple(ids.shape) != (rows.shape[0],):
        msg = (
            f"`labels` must have the shape ({rows.shape[0]},), as there are images;"
            f" got {tuple(ids.shape)}"
        )
        raise ValueError(msg)
    if not rows.shape[0]:
        msg = "`images` must hold at least one to learn from; got none"
        raise ValueError(msg)
    if augment and not isinstance(rows, np.ndarray) and transfers == "forbid":
        msg = f"`augment` must be 0 with transfers='forbid': it works on the host; got {augment}"
        raise ValueError(msg)
    weight = network.layers[0].weight
    rows = rows if stay_together(rows, weight) and not augment else to_numpy(rows)
    return rows, ids if stay_together(ids, weight) else to_numpy(ids)


def _beside(arrays: tuple[Any, ...], order: NDArray[np.int64]) -> list[Any]:
    """Return an order where each of the arrays is, on the host or on the one device."""
    there = next((x for x in arrays if not isinstance(x, np.ndarray)), None)
    moved = order if there is None else move(order, array_namespace(there), device_of(there))
    return [order if isinstance(x, np.ndarray) else moved for x in arrays]


def _taken(x: Any, order: Any) -> Any:
    """Return the rows of `x` in this order."""
    if isinstance(x, np.ndarray):
        return x[order]
    with current_device(x):
        return array_namespace(x).take(x, order, axis=0)
