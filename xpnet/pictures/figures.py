"""Figures in one light style, in the colours of Okabe and Ito; their files."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final

from xpnet.files.optional import import_optional
from xpnet.files.writing import atomic_write

__all__ = ["INK", "MAIN", "SECOND", "WRONG", "check_picture", "new_panels"]
__all__ += ["picture_style", "save_figure"]

INK: Final = "#222222"  # text and axes
MAIN: Final = "#0072B2"  # the subject: a function, training
SECOND: Final = "#E69F00"  # its companion: a derivative, held-out rows
WRONG: Final = "#D55E00"  # wrong predictions

_INKED = "axes.edgecolor axes.labelcolor axes.titlecolor text.color xtick.color ytick.color"
_STYLE = {
    **dict.fromkeys(_INKED.split(), INK),
    **dict.fromkeys(["figure.facecolor", "axes.facecolor"], "white"),
    **dict.fromkeys(["axes.spines.top", "axes.spines.right", "legend.frameon"], False),
    "axes.titlelocation": "left",
    "font.size": 9,
    "grid.color": "0.9",
}
# For Chinese, Japanese and Korean letters, which matplotlib's own font lacks. Titles are not bold:
# of a font without bold letters, as many of these, matplotlib would log a warning.
_FONTS = """Noto Sans CJK SC, Noto Sans CJK JP, Noto Sans CJK KR, Noto Sans SC, Noto Sans JP,
Noto Sans KR, Source Han Sans SC, Source Han Sans JP, Source Han Sans KR, WenQuanYi Zen Hei,
WenQuanYi Micro Hei, IPAGothic, IPAexGothic, NanumGothic, Microsoft YaHei, SimHei, Yu Gothic,
MS Gothic, Malgun Gothic, PingFang SC, PingFang HK, Hiragino Sans GB, Hiragino Sans,
Heiti TC, Apple SD Gothic Neo""".replace("\n", " ").split(", ")


@contextmanager
def picture_style() -> Iterator[None]:
    """Draw in this style, with the user's other settings; a context or a decorator."""
    matplotlib = import_optional("matplotlib", "pictures need matplotlib")
    from matplotlib.font_manager import get_font_names

    # Of a font that is not installed, matplotlib would log a warning.
    installed = set(get_font_names())
    fonts = matplotlib.rcParams["font.family"] + [x for x in _FONTS if x in installed]
    with matplotlib.rc_context({**_STYLE, "font.family": fonts}):
        yield


def new_panels(n: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Return a figure of `n` panels of a size in inches, for notebooks too, and their axes."""
    from matplotlib.figure import Figure

    n_columns = max(ceil(sqrt(n)), min(n, 3), 1)
    n_rows = max(ceil(n / n_columns), 1)
    figure: Any = Figure(figsize=(width * n_columns, height * n_rows), layout="constrained")
    # Otherwise, notebooks display figures only if matplotlib.pyplot is imported.
    figure._repr_png_ = partial(_as_png, figure)
    return figure, [figure.add_subplot(n_rows, n_columns, i + 1) for i in range(n)]


def _as_png(figure: Any) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def check_picture(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError for a suffix of no picture, ModuleNotFoundError without matplotlib."""
    if Path(path).suffix.lower() not in (".png", ".svg", ".pdf"):
        msg = f"a picture's name must end in .png, .svg, .pdf; got {os.fspath(path)!r}"
        raise ValueError(msg)
    import_optional("matplotlib", "pictures need matplotlib")


def save_figure(figure: Any, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a figure to a file atomically, in the format of its suffix."""
    with atomic_write(path, force=force) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # drawn as a box
        figure.savefig(stream, format=Path(path).suffix[1:].lower(), dpi=150)
