"""Creation of figures, and figures as files."""

import os
import warnings
from pathlib import Path
from typing import Any, Literal

from xpnet.files.writing import atomic_write
from xpnet.pictures.style import check_matplotlib

__all__ = ["SUFFIXES", "check_picture", "new_figure", "new_panels", "save_figure", "shorten_name"]

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless the suffix of a path is one of `SUFFIXES`."""
    if Path(path).suffix.lower() not in SUFFIXES:
        msg = f"a picture's name must end in {', '.join(SUFFIXES)}; got {os.fspath(path)!r}"
        raise ValueError(msg)


def new_figure(width: float, height: float, *, layout: Literal["constrained"] | None = None) -> Any:
    """Return an empty matplotlib figure of a size in inches, which notebooks display."""
    check_matplotlib()
    from xpnet.pictures.figures import Picture

    return Picture(figsize=(width, height), layout=layout)


def new_panels(n: int, width: float, height: float, *, n_columns: int) -> tuple[Any, list[Any]]:
    """Return a figure of `n` panels of a size in inches, with room around them, and their axes."""
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    figure = new_figure(max(width * n_columns, 4.5), height * n_rows + 0.9, layout="constrained")
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for unused in axes[n:]:
        unused.remove()
    return figure, axes[:n]


def save_figure(figure: Any, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a figure to a file atomically, in the format of its suffix."""
    check_picture(path)
    with atomic_write(path, force=force) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # drawn as a box
        figure.savefig(stream, format=Path(path).suffix[1:].lower(), dpi=150)


def shorten_name(name: str, length: int) -> str:
    """Return a name on one line, with an ellipsis if it is longer than `length`."""
    name = " ".join(name.split())
    return name if len(name) <= length else f"{name[: length - 3]}..."
