"""Variants of a call's arguments: other dtypes, other shapes, special values."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["sweep"]

_Arrays: TypeAlias = list[NDArray[Any]]
_Words: TypeAlias = str | Iterable[str] | None

_KINDS: Final = {
    "float": ("float32", "float64"),
    "int": ("int32", "int64", "uint8"),
    "complex": ("complex64", "complex128"),
    "bool": ("bool",),
}
_SHAPES: Final[dict[str, tuple[str, ...]]] = {x: (x,) for x in ("0d", "empty", "batched")}
_SPECIALS: Final = ("nan", "inf", "-inf", "-0.0")


def sweep(
    arrays: _Arrays, /, *, dtypes: _Words = None, shapes: _Words = None, specials: bool = False
) -> Iterator[tuple[str, _Arrays]]:
    """Return an iterator over variants of a call: the label and the NumPy arrays of each.

    Variants equal to the given arrays, and combinations (empty float32 arrays), are left out.

    The options are those of `parity`. Of all arrays, the floating-point and complex ones are cast;
    without such arrays the integer ones, and without these the boolean ones. In ``"batched"``, the
    arrays with the most axes get a new first axis of length 2; the second entry has the elements
    halved, in reversed order. Special numbers are one element per array, at places that differ.
    """
    labels = [*_labels(dtypes, "dtypes", _KINDS), *_labels(shapes, "shapes", _SHAPES)]
    labels += _SPECIALS if specials else ()
    varied = ((label, _vary(arrays, label)) for label in dict.fromkeys(labels))
    return ((label, new) for label, new in varied if _content(new) != _content(arrays))


def _labels(given: _Words, argument: str, known: dict[str, tuple[str, ...]]) -> list[str]:
    words = given.split(",") if isinstance(given, str) else given or ()
    words = [word.strip() if isinstance(word, str) else word for word in words]
    for word in words:
        if word not in known:
            msg = f"`{argument}` must be among {', '.join(known)}; got {word!r}"
            raise ValueError(msg)
    return [label for word in words for label in known[word]]


def _content(arrays: _Arrays) -> list[Any]:
    return [(x.dtype, x.shape, x.tobytes()) for x in arrays]  # bytes tell -0.0 from 0.0


def _vary(arrays: _Arrays, label: str) -> _Arrays:
    if label in _SPECIALS:
        varied = [x.copy() for x in arrays]
        for i, x in enumerate(x for x in varied if x.dtype.kind == "f" and x.size):
            x.flat[(x.size // 2 + i) % x.size] = float(label)
        return varied
    if label == "0d":  # np.resize gives zeros for empty arrays, which have no first element
        return [np.asarray(np.resize(x, ())) for x in arrays]
    if label == "empty":
        first = next((x.shape[0] for x in arrays if x.ndim), None)
        return [np.resize(x, [0 if n == first else n for n in x.shape]) for x in arrays]
    if label == "batched":
        ndim = max((x.ndim for x in arrays), default=0)
        return [np.stack([x, _other_entry(x)]) if x.ndim == ndim else x for x in arrays]
    kinds = {x.dtype.kind for x in arrays}
    chosen = next((group for group in ("fc", "iu", "b") if kinds & set(group)), "")
    with np.errstate(all="ignore"):
        return [_cast(x, label) if x.dtype.kind in chosen else x for x in arrays]


def _other_entry(x: NDArray[Any]) -> NDArray[Any]:
    """Return the elements in reversed order and halved, or negated if they are booleans."""
    if x.dtype.kind == "b":
        return np.flip(~x)
    return np.flip(x // 2 if x.dtype.kind in "iu" else (x / 2).astype(x.dtype))


def _cast(x: NDArray[Any], dtype: str) -> NDArray[Any]:
    kind = np.dtype(dtype).kind
    if kind in "iu":
        # The largest 64-bit integers are no float64: rounded up they would overflow.
        largest = np.nextafter(float(np.iinfo(dtype).max), 0.0)
        values = np.clip(np.nan_to_num(x.real.astype("float64")), -largest, largest)
        return np.asarray(np.rint(np.abs(values) if kind == "u" else values), dtype)
    if kind == "b":
        return np.asarray(x.real > 0)
    made = (x if kind == "c" else x.real).astype(dtype)
    if kind == "c" and x.dtype.kind != "c":
        made.imag = np.flip(made.real) / 2
    return made
