"""The code blocks of a page, for the tests that run them."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks_of"]

# A fenced block, with the HTML comment in the line before it.
_BLOCK = re.compile(r"(?ms)^(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$")
_FILE = re.compile(r"# (\S+\.(?:py|toml|yml))\n")
_NUMBER = re.compile(r"[ \t]*[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A code block: its kind (python, bash, text ...), its text, and the comment before it.

    The comment is "not run: REASON", or "numbers differ" for output with other figures each time.
    """

    line: int
    kind: str
    text: str
    note: str

    @property
    def reason(self) -> str | None:
        """Why the block is not run, or None."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else None

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if its first line is a comment of a name."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    def matches(self, printed: str) -> bool:
        """Return whether the block is this output; "..." stands for any text."""
        expected = self.text
        if self.note == "numbers differ":
            expected, printed = (_NUMBER.sub(" 0", text) for text in (expected, printed))
        parts = map(re.escape, expected.strip().split("..."))
        return bool(re.fullmatch(".*?".join(parts), printed.strip(), re.DOTALL))


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    text = page.read_text("utf-8")
    line_of = lambda found: text.count("\n", 0, found.start()) + 1
    return [Block(line_of(x), x["kind"], x["text"], x["note"] or "") for x in _BLOCK.finditer(text)]
