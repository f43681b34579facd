"""Images of any shape and source as batches of rows, on the device of a network."""

import operator
from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np

from xpnet.arrays.namespace import array_namespace, as_array, device_of, library_of
from xpnet.arrays.transfer import is_in_host_memory, move
from xpnet.networks.network import Network

__all__ = [
    "TransferPolicy",
    "as_rows",
    "check_batch_size",
    "check_transfer",
    "check_transfers",
    "default_batch_size",
    "is_stream",
    "on_network_device",
]

TransferPolicy = Literal["allow", "forbid"]
_POLICIES = get_args(TransferPolicy)

# The widest stage of a batch holds this many numbers at most: 1,337 rows of 784 pixels, 4 MB. Of
# 96 to 3,000 rows tried with one thread and with two, up to there a network as narrow as
# 784-50-100-10 gets faster, by a tenth; beyond, the second-level cache no longer serves it, and it
# gets slower, by up to a quarter. A wide network, 784-1024-1024-10, does not care, within 2%.
_NUMBERS_IN_CACHE = 2**20
# A GPU wants many rows for one launch; 65,536 rows of 784 bytes are 51 MB. So many rows have up to
# 4,096 units of float32 in 1 GB.
_ROWS_ON_GPU = 2**16
_NUMBERS_ON_GPU = 2**28


def default_batch_size(network: Network) -> int:
    """Return how many rows suit the network's device at a time, at most."""
    widest = max(network.n_in, *(layer.n_out for layer in network.layers))
    if network.library == "cupy":
        return max(min(_ROWS_ON_GPU, _NUMBERS_ON_GPU // widest), 1)
    return max(_NUMBERS_IN_CACHE // widest, 1)


def check_batch_size(network: Network, batch_size: int | None) -> int:
    """Return the batch size as a positive number, chosen for the network where it is None.

    Raises
    ------
    TypeError
        If `batch_size` is no whole number.
    ValueError
        If it is below 1.
    """
    if batch_size is None:
        return default_batch_size(network)
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__"):
        msg = f"`batch_size` must be a whole number or None; got {batch_size!r}"
        raise TypeError(msg)
    if batch_size < 1:
        msg = f"`batch_size` must be at least 1; got {batch_size}"
        raise ValueError(msg)
    return operator.index(batch_size)


def is_stream(images: object) -> bool:
    """Tell whether `images` is an iterator of batches, and not one array."""
    return isinstance(images, Iterator)


def as_rows(images: Any, n_in: int) -> Any:
    """Return images of shape (n, n_in), (n, height, width) ... as rows, (n, n_in).

    Raises
    ------
    TypeError
        If `images` is no array.
    ValueError
        If an image does not have `n_in` values.
    """
    if type(images) is not np.ndarray:
        images = as_array(images, "images")
    shape = images.shape
    if shape[1:] == (n_in,):
        return images
    n_values = int(np.prod(shape[1:]))
    if len(shape) > 1 and n_values == n_in:
        return array_namespace(images).reshape(images, (-1, n_in))
    shown = f"got the shape {tuple(shape)}"
    msg = f"`images` must be rows of {n_in} values, as the network takes; {shown}"
    if int(np.prod(shape)) == n_in:
        msg += ". For a single image, give images[None]"
    raise ValueError(msg)


def on_network_device(network: Network, rows: Any) -> Any:
    """Return host rows on the network's device; other rows, which should be there, as they are."""
    if not isinstance(rows, np.ndarray):
        return rows
    weight = network.layers[0].weight
    return move(rows, array_namespace(weight), network.device)


def check_transfers(transfers: str) -> None:
    """Refuse a word that says nothing of transfers.

    Raises
    ------
    ValueError
        If it is neither "allow" nor "forbid".
    """
    if transfers not in _POLICIES:
        msg = f"`transfers` must be allow or forbid; got {transfers!r}"
        raise ValueError(msg)


def check_transfer(x: Any, network: Network, transfers: str, name: str = "images") -> None:
    """Refuse an array that is to cross between host and device, where that is forbidden.

    Raises
    ------
    ValueError
        If `transfers` is "forbid", and the array and the network are not both in host memory, or
        both on a device.
    """
    weight = network.layers[0].weight
    if transfers == "allow" or is_in_host_memory(x) == is_in_host_memory(weight):
        return
    source, target = _place(x), _place(weight)
    call = f"{library_of(weight)}.asarray({name}, device=...)"
    if library_of(weight) in {"numpy", "cupy"}:
        word = "cpu" if library_of(weight) == "numpy" else target
        call = f"xpnet.Device({word!r}).to_device({name})"
    msg = (
        f"`{name}` of shape {tuple(x.shape)} would be copied from {source} to {target}: move them"
        f" once with {call}, or give transfers='allow'"
    )
    raise ValueError(msg)


def _place(x: Any) -> str:
    """Name the device of an array in a sentence."""
    if is_in_host_memory(x):
        return "the host"
    return f"gpu:{x.device.id}" if library_of(x) == "cupy" else str(device_of(x))
