"""Labels as class ids, and how often each class is taken for which: where the labels live."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    current_device,
    device_of,
    library_of,
)
from xpnet.arrays.transfer import to_numpy
from xpnet.networks.network import Network

__all__ = ["as_class_ids", "confusion_of", "stay_together"]


def as_class_ids(network: Network, labels: Any) -> Any:
    """Return labels (class ids, or entries of ``network.classes``) as class ids.

    Whole numbers are class ids where all classes are named by texts. Labels on a device stay
    there; Dask's are computed.

    Raises
    ------
    TypeError
        If they are no integers, where the network names no classes.
    ValueError
        If one is no class of the network.
    """
    truth = as_array(labels, "labels")
    if library_of(truth) == "dask":
        truth = to_numpy(truth)
    xp = array_namespace(truth)
    with current_device(truth):
        is_integer = xp.isdtype(truth.dtype, "integral")
        if network.classes is not None and not (is_integer and _are_texts(network.classes)):
            rule = "entries of the network's classes"
            found = (
                _places(truth, network.classes, xp) if is_integer else _looked_up(network, truth)
            )
        elif is_integer:
            rule = f"class ids from 0 to {network.n_classes - 1}"
            found = xp.astype(truth, _whole(truth, xp))
        else:
            msg = f"`labels` must be integers; got dtype {truth.dtype}"
            raise TypeError(msg)
        wrong = (found < 0) | (found >= network.n_classes)
        # Of labels on a device, this one answer comes back.
        if to_numpy(xp.any(wrong)):
            i = int(np.flatnonzero(to_numpy(wrong))[0])
            label = to_numpy(truth).reshape(-1)[i]
            msg = f"`labels` must be {rule}; got {label} in place {i}"
            raise ValueError(msg)
    return found


def _are_texts(classes: tuple[str | int, ...]) -> bool:
    return all(isinstance(name, str) for name in classes)


def _places(truth: Any, classes: tuple[str | int, ...], xp: Any) -> Any:
    """Return the places of whole numbers among the classes; -1 for those that are none."""
    truth = xp.astype(truth, _whole(truth, xp))
    found = xp.zeros_like(truth) - 1
    for i, name in enumerate(classes):
        if isinstance(name, int):
            found = found + xp.astype(truth == name, truth.dtype) * (i + 1)
    return found


def _looked_up(network: Network, truth: Any) -> NDArray[np.int64]:
    """Return the places of labels, of which some may be texts, which no device holds."""
    ids = {name: i for i, name in enumerate(network.classes or ())}
    return np.asarray([ids.get(label, -1) for label in to_numpy(truth).tolist()], np.int64)


def _whole(x: Any, xp: Any) -> Any:
    """Return the dtype of whole numbers beside `x`: int64, where its library has not int32."""
    return xp.__array_namespace_info__().default_dtypes(device=device_of(x))["integral"]


def stay_together(x: Any, y: Any) -> bool:
    """Tell whether two arrays are of one library and on one device, where they can be compared."""
    return (
        library_of(x) != "dask"
        and array_namespace(x) is array_namespace(y)
        and device_of(x) == device_of(y)
    )


def confusion_of(
    expected: Any, predicted: Any, n_classes: int, n_predicted: int
) -> NDArray[np.int64]:
    """Return how many of each class (row) were taken for which (column), on the host.

    Parameters
    ----------
    expected, predicted : array of shape (n,), integers
        Class ids. Where both are on one device, they are counted there, and the counts alone come
        back.
    n_classes, n_predicted : int
        How many there are of `expected`, and of `predicted`.

    Returns
    -------
    array of shape (n_classes, n_predicted), int64
    """
    if not stay_together(expected, predicted):
        expected, predicted = to_numpy(expected), to_numpy(predicted)
    xp = array_namespace(expected)
    with current_device(expected):
        whole = _whole(expected, xp)
        pairs = xp.sort(xp.astype(expected, whole) * n_predicted + xp.astype(predicted, whole))
        # The standard has no bincount: where each pair begins, and how far it is to the next one.
        pair = xp.arange(n_classes * n_predicted + 1, dtype=whole, device=device_of(expected))
        starts = to_numpy(xp.searchsorted(pairs, pair)).astype(np.int64)
    return np.diff(starts).reshape(n_classes, n_predicted)
