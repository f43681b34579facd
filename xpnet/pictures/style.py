"""One style for all pictures: light, with colours that mean the same in each.

The colours are those of Okabe and Ito, which the colour-blind can tell apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from xpnet.files.optional import import_optional

__all__ = ["GRAY", "INK", "MAIN", "SECOND", "SERIES", "WRONG"]
__all__ += ["check_matplotlib", "picture_style"]

INK: Final = "#222222"  # text and axes
GRAY: Final = "#6b6b6b"  # context: subtitles, reference lines, others beside xpnet
MAIN: Final = "#0072B2"  # the subject: xpnet, a function, training
SECOND: Final = "#E69F00"  # its companion: held-out rows, a derivative, the best of several
WRONG: Final = "#D55E00"  # wrong predictions, and differences above a bound
# Equals, none of them right or wrong.
SERIES: Final = (MAIN, SECOND, "#CC79A7", "#56B4E9", INK)

_INKED = "axes.edgecolor axes.labelcolor axes.titlecolor text.color xtick.color ytick.color"
_PARAMETERS: Final = {
    **dict.fromkeys(_INKED.split(), INK),
    **dict.fromkeys(["figure.facecolor", "axes.facecolor"], "white"),
    **dict.fromkeys(["figure.titlesize", "axes.titlesize"], 11),
    **dict.fromkeys(["figure.titleweight", "axes.titleweight"], "bold"),
    **dict.fromkeys(["axes.spines.top", "axes.spines.right", "legend.frameon"], False),
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize"], 9),
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "font.size": 10,
    "grid.color": "0.9",
}


def check_matplotlib() -> None:
    """Raise ModuleNotFoundError, with the remedy, if matplotlib is not installed."""
    import_optional("matplotlib.figure", "pictures need matplotlib")


@contextmanager
def picture_style() -> Iterator[None]:
    """Draw in this style, with the user's other settings; a context or a decorator."""
    check_matplotlib()
    from matplotlib import rc_context

    with rc_context(_PARAMETERS):
        yield
