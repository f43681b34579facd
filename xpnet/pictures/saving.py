"""Creation of figures, and figures as files."""

import os
from pathlib import Path
from typing import Any, Literal

from xpnet.files.writing import atomic_write

__all__ = ["SUFFIXES", "check_picture", "new_figure", "save_figure", "shorten_name"]

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless the suffix of a path is one of `SUFFIXES`."""
    if Path(path).suffix.lower() not in SUFFIXES:
        msg = f"a picture's name must end in {', '.join(SUFFIXES)}; got {os.fspath(path)!r}"
        raise ValueError(msg)


def new_figure(width: float, height: float, *, layout: Literal["constrained"] | None = None) -> Any:
    """Return an empty matplotlib figure of a size in inches, without a window.

    Raise ModuleNotFoundError, with the remedy, if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        msg = 'pictures need matplotlib: pip install "xpnet[plot]"'
        raise ModuleNotFoundError(msg, name=error.name) from error
    return Figure(figsize=(width, height), layout=layout)


def save_figure(figure: Any, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a figure to a file atomically, in the format of its suffix."""
    check_picture(path)
    with atomic_write(path, force=force) as stream:
        figure.savefig(stream, format=Path(path).suffix[1:].lower(), dpi=150)


def shorten_name(name: str, length: int) -> str:
    """Return a name on one line, with an ellipsis if it is longer than `length`."""
    name = " ".join(name.split())
    return name if len(name) <= length else f"{name[: length - 3]}..."
