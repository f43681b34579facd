"""Class labels as class ids and back, and confusion matrices, on the device of the labels."""

from contextlib import suppress
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
from xpnet.arrays.transfer import is_numpy, is_traced, move, to_numpy
from xpnet.inference.nonfinite import without_complements
from xpnet.networks.network import Network

__all__ = ["as_class_ids", "confusion_of", "labels_of", "stay_together", "with_label_names"]

_REMEDY = "for class ids, use argmax of predict_proba"


def as_class_ids(network: Network, labels: Any) -> Any:
    """Return labels (class ids, or entries of ``network.classes``) as class ids.

    Integers are class ids if all classes are strings, and strings of digits are integers if none
    is. Labels on a device stay there; Dask arrays are computed. TypeError is raised if labels are
    not integers and the network has no ``classes``, ValueError if a label is not a class of the
    network, or is the id of one class and the name of another, or labels are one-hot.
    """
    labels = as_array(labels, "labels")
    if labels.ndim == 2 and labels.shape[1] == network.n_classes:
        hint = "one-hot labels? give labels.argmax(axis=1)"
        msg = f"`labels` must be one for each image; got {tuple(labels.shape)}; {hint}"
        raise ValueError(msg)
    if library_of(labels) == "dask":
        labels = to_numpy(labels)
    classes = network.classes or ()
    if not any(isinstance(name, str) for name in classes):
        numbers, names = _numbered(labels)
        labels = numbers if names is None else labels
    xp = array_namespace(labels)
    rule = "entries of the network's classes"
    if xp.isdtype(labels.dtype, "integral"):
        numbers = found = xp.astype(labels, _integer_dtype(labels, xp))
        if all(isinstance(name, str) for name in classes):
            rule = f"class ids from 0 to {network.n_classes - 1}"
            _check_meaning(numbers, classes, xp)
        else:
            found = xp.zeros_like(numbers) - 1
            for i, name in enumerate(classes):
                if isinstance(name, int):
                    found = found + xp.astype(numbers == name, numbers.dtype) * (i + 1)
    elif classes:  # strings, which only the host supports
        ids = {name: i for i, name in enumerate(classes)}
        found = np.asarray([ids.get(name, -1) for name in to_numpy(labels).tolist()], np.int64)
    else:
        msg = f"`labels` must be integers; got dtype {labels.dtype}"
        msg += ": some are missing or no strings" * (str(labels.dtype) == "object")
        raise TypeError(msg)
    is_wrong = (found < 0) | (found >= network.n_classes)
    # One number, copied from a device. CuPy has a compiled sum of integers, but compiles `any`.
    if to_numpy(xp.sum(xp.astype(is_wrong, found.dtype))):
        i = int(np.flatnonzero(to_numpy(is_wrong))[0])
        label = to_numpy(labels).reshape(-1)[i]
        msg = f"`labels` must be {rule}; got {label} at index {i}"
        raise ValueError(msg)
    return found


def with_label_names(network: Network, labels: Any) -> Network:
    """Return a network without ``classes`` with the sorted names that its labels are.

    Strings that are numbers, such as names of folders, are class ids. ValueError is raised if the
    labels do not name as many classes as the network has.
    """
    _, names = _numbered(labels)
    if names is None or network.classes is not None or not network.n_classes:
        return network
    if len(names) != network.n_classes:
        found = f"{len(names)}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        msg = f"`labels` must name as many classes as the network has, {network.n_classes};"
        msg = f"{msg} got {found}. Give all names by init_network(sizes, classes=names)"
        raise ValueError(msg)
    return replace(network, classes=names)


def _numbered(labels: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Return strings, also as objects, as by `number_labels`, and other labels unchanged."""
    is_text = is_numpy(labels) and labels.dtype.kind in "OU"
    if not (is_text and all(isinstance(x, str) for x in labels.tolist())):
        return labels, None
    from xpnet.datasets.picture_files import number_labels

    return number_labels(np.asarray(labels.tolist(), str))


def _check_meaning(numbers: Any, classes: Any, xp: Any) -> None:
    """Raise ValueError if an integer is the id of one class and the name of another."""
    for i, name in enumerate(classes):
        number = _number_of(name, i)
        if number != i and 0 <= number < len(classes) and to_numpy(xp.any(numbers == number)):
            msg = (
                f"`labels` must be strings, such as names of folders: {number} may be the class"
                f" {name!r} or the id of the class {classes[number]!r}"
            )
            raise ValueError(msg)


def _number_of(name: str, default: int) -> int:
    """Return the whole number that a name such as "2" or "2.0" stands for."""
    with suppress(ValueError):
        if (number := float(name)).is_integer():
            return int(number)
    return default


def labels_of(network: Network, ids: Any) -> Any:
    """Return the entries of ``network.classes`` for class ids, as described in `xpnet.predict`."""
    classes, xp = network.classes or (), array_namespace(ids)
    strings = [name for name in classes if isinstance(name, str)]
    if strings:
        if is_traced(ids):
            found = f"got {strings[0]!r} in `network.classes`"
            msg = f"labels must be integers to be traced; {found}: {_REMEDY}"
            raise ValueError(msg)
        # Among objects, 0 and "0" remain two classes.
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


def confusion_of(expected: Any, predicted: Any, n_classes: int) -> tuple[NDArray[np.int64], int]:
    """Return the number of each pair of class (row) and predicted class (column), on the host.

    The second result is the number of `predicted` ids that are complements (see
    `xpnet.inference.nonfinite`). If both arrays are on one device, they are counted there, and only
    the counts are copied to the host. ValueError is raised if they differ in number.
    """
    if not stay_together(predicted, expected):
        expected, predicted = to_numpy(expected), to_numpy(predicted)
    if predicted.shape != expected.shape:
        found = f"{tuple(expected.shape)} labels for {predicted.shape[0]} images"
        msg = f"`labels` must be one for each image; got {found}"
        raise ValueError(msg)
    xp = array_namespace(expected)
    dtype = _integer_dtype(expected, xp)
    n_lost = int(to_numpy(xp.sum(cast(predicted < 0, dtype, xp))))
    if n_lost:
        predicted = without_complements(predicted)
    pairs = xp.sort(cast(expected, dtype, xp) * n_classes + cast(predicted, dtype, xp))
    # The array API has no bincount: find where each pair starts in the sorted ones.
    pair = xp.arange(n_classes**2 + 1, dtype=dtype, device=device_of(expected))
    starts = to_numpy(xp.searchsorted(pairs, pair)).astype(np.int64)
    return np.diff(starts).reshape(n_classes, n_classes), n_lost
