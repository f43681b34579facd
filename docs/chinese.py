"""Chinese pages: search, joined lines, and the language in HTML."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

__all__ = ["Search", "join_lines", "name_language"]

_AFTER = r"(?<=[\u3001-\u9fff\uff01-\uff5e])"  # characters and punctuation
_BEFORE = r"(?=[\u3001-\u9fff\uff01-\uff5e])"


class Search(SearchEnglish):
    """English search that finds Chinese, too: by the pairs of its characters."""

    js_splitter_code = (Path(__file__).parent / "static" / "split.js").read_text("utf-8")

    def split(self, input: str) -> list[str]:  # noqa: A002 - the name in Sphinx
        """Return the words of a text."""
        words = []
        for word in re.findall(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff]+", input):
            is_chinese = word[0] >= "\u4e00" and len(word) > 1
            words += [word[i : i + 2] for i in range(len(word) - 1)] if is_chinese else [word]
        return words


def join_lines(_: Sphinx, page: str, source: list[str]) -> None:
    """Join the lines of a Chinese paragraph: a browser would show a space between them."""
    if page.startswith("tutorial/zh/"):
        source[0] = re.sub(rf"{_AFTER}\n *{_BEFORE}", "", source[0])


def name_language(_: Sphinx, page: str, __: str, context: dict[str, Any], ___: object) -> None:
    """Name the language of a Chinese page, so that a browser takes Chinese glyphs."""
    if page.startswith("tutorial/zh/"):
        context["language"] = "zh-CN"
