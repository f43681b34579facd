"""Class labels as class ids and back."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, as_array, device_of, dtype_name
from xpnet.arrays.transfer import move, to_numpy
from xpnet.files.errors import DataError
from xpnet.networks.network import Network

__all__ = ["as_class_ids", "labels_of", "with_label_names"]


def as_class_ids(network: Network, labels: Any) -> NDArray[np.int64]:
    """Return labels as class ids, on the host: each is matched by its text.

    This is the text of an entry of ``network.classes``; without classes, it is the number of the
    class. Raise DataError for a label that is no class, or labels that are not one-dimensional.
    """
    labels, classes = as_array(labels, "labels"), network.classes
    if labels.ndim != 1:
        msg = f"`labels` must be one for each image; got {tuple(labels.shape)}"
        if labels.ndim == 2 and labels.shape[1] == network.n_classes:
            msg += "; one-hot labels? give labels.argmax(axis=1)"
        raise DataError(msg)
    labels = _as_text(to_numpy(labels))
    if classes is None and labels.dtype.kind in "iu":
        ids = labels.astype(np.int64)
    else:
        names = range(network.n_classes) if classes is None else classes
        id_of = {str(name): i for i, name in enumerate(names)}
        values, places = np.unique(labels, return_inverse=True)
        ids = np.asarray([id_of.get(str(x), -1) for x in values.tolist()], np.int64)[places]
    is_wrong = (ids < 0) | (ids >= network.n_classes)
    if is_wrong.any():
        i = int(np.argmax(is_wrong))
        got = f"got {str(labels[i])!r} at index {i}"
        msg = f"`labels` must be classes of the network, {_listed(network)}; {got}"
        raise DataError(msg)
    return ids


def _as_text(labels: NDArray[Any]) -> NDArray[Any]:
    """Return objects as an array of texts, others unchanged; raise DataError for a missing one."""
    if labels.dtype.kind not in "OT":
        return labels
    values = labels.tolist()
    for i, x in enumerate(values):
        if not isinstance(x, str) and str(x) in {"None", "nan", "NaT", "<NA>"}:
            msg = f"`labels` must have no missing values; got {x} at index {i}"
            raise DataError(msg)
    return np.asarray([str(x) for x in values], str)


def _listed(network: Network) -> str:
    """Return the classes of a network in words."""
    if network.classes is None:
        return f"0 to {network.n_classes - 1}"
    return ", ".join(map(repr, network.classes[:10])) + " ..." * (network.n_classes > 10)


def with_label_names(network: Network, labels: Any) -> Network:
    """Return a network to be trained on labels: its classes are theirs, unless they are 0 .. n - 1.

    They are in natural order: 2 before 10, and "class 2" before "class 10". DataError is raised if
    the labels do not name as many classes as the network has.
    """
    labels = as_array(labels, "labels")
    if network.classes is not None or not network.n_classes or labels.ndim != 1:
        return network
    host = _as_text(to_numpy(labels))
    if host.dtype.kind not in "iuU":
        return network  # whose error names the labels
    names = np.unique(host).tolist()
    if {str(x) for x in names} <= {str(i) for i in range(network.n_classes)}:
        return network
    if len(names) != network.n_classes:
        rule = f"must name as many classes as the network has, {network.n_classes}"
        remedy = "Give all names by init_network(sizes, classes=names)"
        msg = f"`labels` {rule}; got {len(names)}. {remedy}"
        raise DataError(msg)
    return replace(network, classes=tuple(sorted(names, key=_natural)))


def _natural(name: str | int) -> Any:
    """Return the sorting key that orders digits as numbers."""
    if isinstance(name, int):
        return name
    parts = re.split("([0-9]+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def labels_of(network: Network, ids: Any) -> Any:
    """Return the entries of ``network.classes`` for class ids, as described in `xpnet.predict`."""
    classes, xp = network.classes or (), array_namespace(ids)
    are_strings = [isinstance(name, str) for name in classes]
    if any(are_strings):
        # Among objects, integers remain integers.
        return np.asarray(classes, None if all(are_strings) else object)[to_numpy(ids)]
    defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(ids))
    names = np.asarray(classes, dtype_name(defaults["integral"]))
    return xp.take(move(names, xp, device_of(ids)), ids)
