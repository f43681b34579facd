"""Validation of the options for reading images and labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import TypedDict

__all__ = ["FilePath", "ReadKeywords", "ReadOptions"]

FilePath = str | os.PathLike[str]

_WORDS = {
    "header": ("auto", "yes", "no"),
    "split": ("train", "test", None),
}
_RANGES = {
    "rows": (0, None),
    "features": (1, None),
    "size": (1, None),
    "classes": (1, 256),
    "max_data_bytes": (1, None),
    "block_rows": (1, None),
}
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}


class ReadKeywords(TypedDict, total=False):
    """Keywords of `xpnet.datasets.read`, which documents them, and of `xpnet.datasets.stream`."""

    labels: FilePath | None
    label: str
    header: str
    rows: int | None
    delimiter: str
    floating: bool
    features: int | None
    size: int | None
    classes: int | None
    want_labels: bool
    max_data_bytes: int | None
    invert: bool | None
    split: str | None
    drop: Sequence[str]
    block_rows: int


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """`ReadKeywords` with their defaults, and an option of the command line.

    Raise TypeError if a number is not an integer, and ValueError if an option has an invalid value.
    """

    labels: FilePath | None = None
    label: str = "auto"
    header: str = "auto"
    rows: int | None = None
    delimiter: str = ","
    floating: bool = False
    features: int | None = None
    size: int | None = None
    classes: int | None = None
    want_labels: bool = True
    max_data_bytes: int | None = None
    invert: bool | None = None
    split: str | None = None
    drop: Sequence[str] = ()
    block_rows: int = 4096
    # Read, with a DataWarning, if `split` is None and the data set has both parts.
    default_split: str | None = None

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                known = ", ".join(filter(None, words))
                msg = f"`{name}` must be one of {known}; got {getattr(self, name)!r}"
                raise ValueError(msg)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= index(value) <= (high or index(value)):
                rule = f"{low} to {high}" if high else f"at least {low}"
                msg = f"`{name}` must be {rule}; got {value}"
                raise ValueError(msg)
        if isinstance(self.drop, str):
            msg = f"`drop` must be a sequence of names; got {self.drop!r}"
            raise TypeError(msg)
        delimiter = _DELIMITER_NAMES.get(self.delimiter, self.delimiter)
        if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n.+-_#':
            msg = (
                "`delimiter` must be one character that cannot be part of a number, or one of "
                f"tab, space, comma, semicolon; got {self.delimiter!r}"
            )
            raise ValueError(msg)
        object.__setattr__(self, "delimiter", delimiter)

    @property
    def names_columns(self) -> bool:
        """Whether an option names a column of a CSV file."""
        return bool(self.drop) or self.label not in {"auto", "first", "last", "none"}

    @property
    def own_labels(self) -> bool:
        """Whether to read labels from the file of the images."""
        return self.want_labels and self.labels is None

    @property
    def largest_label(self) -> int:
        """The largest valid label."""
        return 255 if self.classes is None else self.classes - 1
