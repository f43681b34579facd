"""Batches of rows: options, default sizes, and checks of the images."""

import operator
from typing import Any, NamedTuple, Self

import numpy as np

from xpnet.arrays.namespace import array_namespace, as_array, limits_of
from xpnet.arrays.transfer import is_in_host_memory, move
from xpnet.networks.network import Network

__all__ = [
    "BatchOptions",
    "as_rows",
    "check_batch_size",
    "check_integer",
    "default_batch_size",
    "on_network_device",
]

# Rows of a batch on a CPU: the values of the widest stage should fit into the second-level cache,
# 2 MB of float32; fewer than 512 rows make products slow, and more than 1,024 gain nothing, unless
# a batch is too short for threads. On a Zen 5 with one thread, 784-50-100-10 takes 20% longer in
# batches of 128 or 4,096, and 784-1024-1024-10 takes 17% and 6% longer, than with 512.
_VALUES_IN_CACHE = 2**19
_ROWS_ON_CPU = (512, 1024, 4096)
_MOST_VALUES = 2**24
# From 512 on, rounded up to a multiple of this, for people. Instead of 668, 784-50-100-10 takes 4%
# longer in more tiles of 640, and 3% less in fewer of 704 (one thread; best of 25, interleaved).
_ROUND_ROWS = 64
# Fewest multiplications in a batch that is worth waking a thread, about 0.2 ms.
_MIN_WORK = 2 * 10**7
# Bytes of the widest stage of a batch on a device, the rows included: 21,399 rows of 784 numbers in
# float32. A device needs many rows per call, and computes with several such arrays.
_DEVICE_BYTES = 2**26


class BatchOptions(NamedTuple):
    """Options of a computation in batches, as for `xpnet.predict`; a `Runner` validates them."""

    batch_size: int | None = None
    threads: int | None = None

    def checked(self) -> Self:
        """Return the options, after validation, with `batch_size` as an int."""
        if self.threads is not None:
            check_integer("threads", self.threads, kind="an integer or None")
        if self.batch_size is None:
            return self
        check_integer("batch_size", self.batch_size, kind="an integer or None")
        return self._replace(batch_size=operator.index(self.batch_size))


def check_integer(name: str, value: Any, least: int = 1, kind: str = "an integer") -> None:
    """Raise TypeError if an option is not an integer, ValueError if it is below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        msg = f"`{name}` must be {kind}; got {value!r}"
        raise TypeError(msg)
    if value < least:
        msg = f"`{name}` must be at least {least}; got {value}"
        raise ValueError(msg)


def check_batch_size(network: Network, batch_size: int | None) -> int:
    """Return the batch size as a positive integer; None selects the network's default."""
    return BatchOptions(batch_size).checked().batch_size or default_batch_size(network)


def default_batch_size(network: Network) -> int:
    """Return the number of rows in a batch that suits the network's device."""
    widest = max(network.n_in, *(layer.n_out for layer in network.layers))
    weight = network.layers[0].weight
    if not is_in_host_memory(weight):
        n_bytes = widest * limits_of(weight.dtype, array_namespace(weight)).bits // 8
        return max(_DEVICE_BYTES // n_bytes, 1)
    fewest, usual, most = _ROWS_ON_CPU
    most = max(usual, min(_MIN_WORK // network.multiplications, most))
    n_rows = max(min(max(_VALUES_IN_CACHE // widest, fewest), most, _MOST_VALUES // widest), 1)
    return n_rows if n_rows < fewest else -(-n_rows // _ROUND_ROWS) * _ROUND_ROWS


def as_rows(images: Any, n_in: int) -> Any:
    """Return images of shape (n, n_in), (n, height, width) ... as rows, after validation."""
    if type(images) is not np.ndarray:
        images = as_array(images, "images")
    shape = images.shape
    if shape[1:] == (n_in,):
        return images
    if len(shape) > 1 and int(np.prod(shape[1:])) == n_in:
        return array_namespace(images).reshape(images, (-1, n_in))
    rule = f"must be rows of {n_in} values, the inputs of the network"
    msg = f"`images` {rule}; got the shape {tuple(shape)}"
    if int(np.prod(shape)) == n_in:
        msg += ". For a single image, give images[None]"
    raise ValueError(msg)


def on_network_device(network: Network, rows: Any) -> Any:
    """Return host rows on the network's device, and rows of other libraries unchanged."""
    if not isinstance(rows, np.ndarray):
        return rows
    return move(rows, array_namespace(network.layers[0].weight), network.device)
