"""Class labels as class ids and back, and confusion matrices, on the device of the labels."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    cast,
    device_of,
    dtype_name,
    library_of,
)
from xpnet.arrays.transfer import is_traced, move, to_numpy
from xpnet.files.errors import DataError
from xpnet.networks.network import Network

__all__ = ["as_class_ids", "confusion_of", "labels_of", "stay_together", "with_label_names"]

_REMEDY = "for class ids, use argmax of predict_proba"
_NAMES_SHOWN = 10


def as_class_ids(network: Network, labels: Any) -> Any:
    """Return labels as class ids: each is matched by its text.

    This is the text of an entry of ``network.classes``; without classes, it is the number of the
    class. Integers that are class ids stay on their device. Raise DataError for a label that is no
    class, or labels that are not one-dimensional.
    """
    labels, classes = as_array(labels, "labels"), network.classes
    if labels.ndim != 1:
        msg = f"`labels` must be one for each image; got {tuple(labels.shape)}"
        if labels.ndim == 2 and labels.shape[1] == network.n_classes:
            msg += "; one-hot labels? give labels.argmax(axis=1)"
        raise DataError(msg)
    xp = array_namespace(labels)
    if classes is None and library_of(labels) != "dask" and xp.isdtype(labels.dtype, "integral"):
        found = xp.astype(labels, _integer_dtype(labels, xp))
        is_wrong = (found < 0) | (found >= network.n_classes)
    else:
        labels, xp = _as_text(to_numpy(labels)), np
        names = range(network.n_classes) if classes is None else classes
        ids = {str(name): i for i, name in enumerate(names)}
        values, places = np.unique(labels, return_inverse=True)
        found = np.asarray([ids.get(str(x), -1) for x in values.tolist()], np.int64)[places]
        is_wrong = found < 0
    # One number, copied from a device. CuPy has a compiled sum of integers, but compiles `any`.
    if to_numpy(xp.sum(xp.astype(is_wrong, found.dtype))):
        i = int(np.flatnonzero(to_numpy(is_wrong))[0])
        got = f"got {str(to_numpy(labels)[i])!r} at index {i}"
        msg = f"`labels` must be classes of the network, {_listed(network)}; {got}"
        raise DataError(msg)
    return found


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
    shown = ", ".join(map(repr, network.classes[:_NAMES_SHOWN]))
    return f"{shown}{' ...' if network.n_classes > _NAMES_SHOWN else ''}"


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
        shown = ", ".join(map(str, names[:5]))
        found = f"{len(names)}: {shown}{' ...' if len(names) > 5 else ''}"
        msg = f"`labels` must name as many classes as the network has, {network.n_classes};"
        msg = f"{msg} got {found}. Give all names by init_network(sizes, classes=names)"
        raise DataError(msg)
    return replace(network, classes=tuple(sorted(names, key=_natural)))


def _natural(name: str | int) -> list[Any]:
    """Return the sorting key that orders digits as numbers."""
    text = str(name).casefold()
    if re.fullmatch("-?[0-9]+", text):
        return ["", int(text), ""]
    parts = re.split("([0-9]+)", text)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def labels_of(network: Network, ids: Any) -> Any:
    """Return the entries of ``network.classes`` for class ids, as described in `xpnet.predict`."""
    classes, xp = network.classes or (), array_namespace(ids)
    strings = [name for name in classes if isinstance(name, str)]
    if strings:
        if is_traced(ids):
            found = f"got {strings[0]!r} in `network.classes`"
            msg = f"labels must be integers to be traced; {found}: {_REMEDY}"
            raise ValueError(msg)
        # Among objects, integers remain integers.
        return np.asarray(classes, None if len(strings) == len(classes) else object)[to_numpy(ids)]
    integer = _integer_dtype(ids, xp)
    limits = xp.iinfo(integer)
    if outside := [x for x in map(int, classes) if not limits.min <= x <= limits.max]:
        msg = f"labels must fit {integer}; got {outside[0]} in `network.classes`: {_REMEDY}"
        raise ValueError(msg)
    names = np.asarray(classes, dtype_name(integer))
    return xp.take(move(names, xp, device_of(ids)), ids)


def _integer_dtype(x: Any, xp: Any) -> Any:
    """Return the default integer dtype of the library on the device of `x`: int64 or int32."""
    return xp.__array_namespace_info__().default_dtypes(device=device_of(x))["integral"]


def stay_together(x: Any, y: Any) -> bool:
    """Return whether two arrays can be compared: one library, one device, and not Dask."""
    return (
        library_of(x) != "dask"
        and array_namespace(x) is array_namespace(y)
        and device_of(x) == device_of(y)
    )


def confusion_of(expected: Any, predicted: Any, n_classes: int) -> NDArray[np.int64]:
    """Return the number of each pair of class (row) and predicted class (column), on the host.

    If both arrays are on one device, they are counted there, and only the counts are copied to the
    host. Predictions of -1 are not counted. DataError is raised if the arrays differ in number.
    """
    if not stay_together(predicted, expected):
        expected, predicted = to_numpy(expected), to_numpy(predicted)
    if predicted.shape != expected.shape:
        found = f"{tuple(expected.shape)} labels for {predicted.shape[0]} images"
        msg = f"`labels` must be one for each image; got {found}"
        raise DataError(msg)
    xp = array_namespace(expected)
    dtype = _integer_dtype(expected, xp)
    pairs = cast(expected, dtype, xp) * n_classes + cast(predicted, dtype, xp)
    pairs = xp.sort(xp.where(predicted < 0, n_classes**2, pairs))
    # The array API has no bincount: find where each pair starts in the sorted ones.
    pair = xp.arange(n_classes**2 + 1, dtype=dtype, device=device_of(expected))
    starts = to_numpy(xp.searchsorted(pairs, pair)).astype(np.int64)
    return np.diff(starts).reshape(n_classes, n_classes)
