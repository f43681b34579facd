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
_NAMES: Final = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
_SHAPES: Final = ("0d", "empty", "batched")
_SPECIALS: Final = ("nan", "inf", "-inf", "-0.0", "subnormal")


def sweep(
    arrays: _Arrays, /, *, dtypes: _Words = None, shapes: _Words = None, specials: bool = False
) -> Iterator[tuple[str, _Arrays]]:
    """Return an iterator over variants of a call: the label and the NumPy arrays of each.

    Variants equal to the given arrays, and combinations (empty float32 arrays), are left out.

    The options are those of `parity`. Of all arrays, the floating-point and complex ones are cast;
    without such arrays the integer ones, and without these the boolean ones. Fractions are
    multiplied by a power of ten before they become integers. In ``"batched"``, the arrays with the
    most axes get a new first axis of length 2; the second entry has the elements halved, in
    reversed order. Special numbers are one element per array, at places that differ.
    """
    words = _words(dtypes, "dtypes", (*_KINDS, *_NAMES))
    labels = [name for word in words for name in _KINDS.get(word, (word,))]
    labels += _words(shapes, "shapes", _SHAPES)
    labels += _SPECIALS if specials else ()
    varied = ((label, _vary(arrays, label)) for label in dict.fromkeys(labels))
    return ((label, new) for label, new in varied if _content(new) != _content(arrays))


def _words(given: Any, argument: str, known: tuple[str, ...]) -> list[str]:
    words = given.split(",") if isinstance(given, str) else () if given is None else given
    words = [str(word).strip() for word in (words if isinstance(words, Iterable) else [words])]
    for word in words:
        if word not in known:
            msg = f"`{argument}` must be among {', '.join(known)}; got {word!r}"
            raise ValueError(msg)
    return words


def _content(arrays: _Arrays) -> list[Any]:
    return [(x.dtype, x.shape, x.tobytes()) for x in arrays]  # bytes tell -0.0 from 0.0


def _other_entry(x: NDArray[Any]) -> NDArray[Any]:
    """Return the elements in reversed order and halved, or negated if they are booleans."""
    if x.dtype.kind == "b":
        return np.flip(~x)
    return np.flip(x // 2 if x.dtype.kind in "iu" else (x / 2).astype(x.dtype))


def _vary(arrays: _Arrays, label: str) -> _Arrays:
    if label in _SPECIALS:
        varied = [x.copy() for x in arrays]
        for i, x in enumerate(x for x in varied if x.dtype.kind == "f" and x.size):
            value = np.finfo(x.dtype).tiny / 4 if label == "subnormal" else float(label)
            x.flat[(x.size // 2 + i) % x.size] = value
        return varied
    if label == "0d":  # np.resize gives zeros for empty arrays, which have no first element
        return [np.asarray(np.resize(x, ())) for x in arrays]
    if label == "batched":
        ndim = max((x.ndim for x in arrays), default=0)
        return [np.stack([x, _other_entry(x)]) if x.ndim == ndim else x for x in arrays]
    if label == "empty":
        first = next((x.shape[0] for x in arrays if x.ndim), None)
        return [np.resize(x, [0 if n == first else n for n in x.shape]) for x in arrays]
    kinds = {x.dtype.kind for x in arrays}
    chosen = next((group for group in ("fc", "iu", "b") if kinds & set(group)), "")
    # Fractions become integers of two digits or more.
    values = np.concatenate([[0.0], *(np.ravel(x.real) for x in arrays if x.dtype.kind in chosen)])
    finite = np.abs(values[np.isfinite(values)])
    is_fraction = bool(np.any(finite % 1))
    factor = 10.0 ** max(0.0, 1.0 - np.floor(np.log10(finite.max()))) if is_fraction else 1.0
    with np.errstate(all="ignore"):
        return [_cast(x, label, factor) if x.dtype.kind in chosen else x for x in arrays]


def _cast(x: NDArray[Any], dtype: str, factor: float) -> NDArray[Any]:
    kind = np.dtype(dtype).kind
    if kind in "iu":
        # The largest 64-bit integers are no float64: rounded up they would overflow.
        largest = np.nextafter(float(np.iinfo(dtype).max), 0.0)
        values = np.clip(np.nan_to_num(x.real.astype("float64") * factor), -largest, largest)
        return np.asarray(np.rint(np.abs(values) if kind == "u" else values), dtype)
    if kind == "b":
        return np.asarray(x.real > 0)
    made = (x if kind == "c" else x.real).astype(dtype)
    if kind == "c" and x.dtype.kind != "c":
        made.imag = np.flip(made.real) / 2
    return made
