"""A figure that notebooks display."""

from io import BytesIO
from typing import NoReturn

from matplotlib.figure import Figure

__all__ = ["Picture"]


class Picture(Figure):
    """A figure that notebooks display, a plain one only if ``matplotlib.pyplot`` is imported."""

    def show(self, *_: object) -> NoReturn:
        """Raise an error with the remedy: the figure has no window."""
        msg = 'the figure has no window: a notebook displays it; savefig("x.png") writes it'
        raise AttributeError(msg)

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()
