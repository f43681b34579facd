"""The options for reading images and labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

__all__ = ["FilePath", "ReadOptions"]

FilePath = str | os.PathLike[str]

_WORDS = {"header": ("auto", "yes", "no"), "split": ("train", "test", None)}
_LEAST = {"rows": 0, "features": 1, "size": 1, "block_rows": 1}
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """The options of `xpnet.read`, which documents them and their errors, and of its callers."""

    labels: FilePath | None = None
    label: str = "auto"
    drop: Sequence[str] = ()
    header: str = "auto"
    rows: int | None = None
    delimiter: str = ","
    floating: bool = False
    features: int | None = None
    size: int | None = None
    invert: bool | None = None
    split: str | None = None
    want_labels: bool = True  # if false, labels are neither searched nor checked
    block_rows: int = 4096  # the most rows of a block
    default_split: str | None = None  # if `split` is None and the data have both parts

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                known = ", ".join(filter(None, words))
                msg = f"`{name}` must be one of {known}; got {getattr(self, name)!r}"
                raise ValueError(msg)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and index(value) < least:
                msg = f"`{name}` must be at least {least}; got {value}"
                raise ValueError(msg)
        delimiter = _DELIMITERS.get(self.delimiter, self.delimiter)
        if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n.+-_#':
            msg = (
                "`delimiter` must be one character that cannot be part of a number, or one of "
                f"tab, space, comma, semicolon; got {self.delimiter!r}"
            )
            raise ValueError(msg)
        object.__setattr__(self, "delimiter", delimiter)

    @property
    def is_for_csv(self) -> bool:
        """Whether an option says how a CSV file is written, or what its columns are."""
        words = (self.label, self.header, self.delimiter)
        return bool(self.drop) or self.floating or words != ("auto", "auto", ",")

    @property
    def own_labels(self) -> bool:
        """Whether to read labels from the file of the images."""
        return self.want_labels and self.labels is None
