"""Results as HTML for notebooks: a table and a picture."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import escape
from typing import Any

__all__ = ["result_as_html"]


def result_as_html(rows: Mapping[str, str], draw: Callable[..., Any], *drawn: Any) -> str:
    """Return a table, and what `draw` draws unless nothing is to be drawn or matplotlib missing."""
    left = 'style="text-align:left"'
    lines = (f"<th {left}>{escape(x)}</th><td {left}>{escape(y)}</td>" for x, y in rows.items())
    parts = ["<table>", *(f"<tr>{line}</tr>" for line in lines), "</table>"]
    with suppress(ModuleNotFoundError):
        if len(drawn[0]):
            picture = b64encode(draw(*drawn)._repr_png_()).decode()
            style = 'style="max-width:100%" alt="picture of the result"'
            parts.append(f'<img {style} src="data:image/png;base64,{picture}">')
    return "".join(parts)
