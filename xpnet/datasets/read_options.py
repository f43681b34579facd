"""What a caller may say about a data set, checked once."""

import os
from dataclasses import dataclass
from operator import index

__all__ = ["FilePath", "Options"]

FilePath = str | os.PathLike[str]

_LABEL_PLACES = ("auto", "first", "last", "none")
_HEADERS = ("auto", "yes", "no")
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `xpnet.datasets.read`, which documents them.

    Raises
    ------
    TypeError
        If a number is not a whole number.
    ValueError
        If an option has a value that it cannot have.
    """

    labels: FilePath | None = None
    label: str = "auto"
    header: str = "auto"
    rows: int | None = None
    delimiter: str = ","
    floating: bool = False
    features: int | None = None
    classes: int | None = None
    want_labels: bool = True
    max_data_bytes: int | None = None
    block_rows: int = 4096

    def __post_init__(self) -> None:
        _check_word("label", self.label, _LABEL_PLACES)
        _check_word("header", self.header, _HEADERS)
        _check_range("rows", self.rows, 0, None)
        _check_range("features", self.features, 1, None)
        _check_range("classes", self.classes, 1, 256)
        _check_range("max_data_bytes", self.max_data_bytes, 1, None)
        _check_range("block_rows", self.block_rows, 1, None)
        delimiter = _DELIMITER_NAMES.get(self.delimiter, self.delimiter)
        if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n.+-_#':
            msg = (
                "`delimiter` must be one character that is no part of a number, or one of "
                f"tab, space, comma, semicolon; got {self.delimiter!r}"
            )
            raise ValueError(msg)
        object.__setattr__(self, "delimiter", delimiter)

    @property
    def own_labels(self) -> bool:
        """Whether labels in the images' own file are of interest."""
        return self.want_labels and self.labels is None

    @property
    def largest_label(self) -> int:
        """The largest label that is not an error."""
        return 255 if self.classes is None else self.classes - 1


def _check_word(name: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        msg = f"`{name}` must be one of {', '.join(words)}; got {word!r}"
        raise ValueError(msg)


def _check_range(name: str, value: int | None, low: int, high: int | None) -> None:
    if value is None:
        return
    if index(value) < low or (high is not None and index(value) > high):
        rule = f"at least {low}" if high is None else f"{low} to {high}"
        msg = f"`{name}` must be {rule}; got {value}"
        raise ValueError(msg)
