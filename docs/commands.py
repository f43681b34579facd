"""The options of the commands, from the tables of the command line, on its page."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from sphinx.application import Sphinx

from xpnet.cli.parser import build_parser

__all__ = ["setup"]


def table(columns: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of options; the first cell of each row is code."""
    lines = [names := columns.split(), ["---"] * len(names)]
    for words, *texts in rows:
        lines.append([f"`{words}`", *(re.sub(r"([*_<\[\]`|])", r"\\\1", x) for x in texts)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def paragraphs() -> Iterator[str]:
    """Yield the options of several commands, then each command with its own options."""
    modules = {name: import_module(f"xpnet.cli.{name}") for name in build_parser()[1]}
    commands = defaultdict(list)
    for name, module in modules.items():
        for option in module.OPTIONS:
            commands[option.words, option.help % option.more].append(name)
    shared = [(*option, ", ".join(names)) for option, names in commands.items() if len(names) > 1]
    yield "### Shared options\n"
    yield table("option meaning commands", shared)
    for name, module in modules.items():
        yield f"### {name}\n\n{module.HELP}\n"
        yield "".join(["```bash\n", *(f"xpnet {words}\n" for words in module.EXAMPLES), "```\n"])
        if own := [option for option, names in commands.items() if names == [name]]:
            yield table("option meaning", own)


def insert(_: Sphinx, page: str, source: list[str]) -> None:
    """Insert the options into the page of the command line."""
    if page == "reference/command-line":
        source[0] += "\n".join(["", *paragraphs()])


def setup(app: Sphinx) -> None:
    """Connect the function above."""
    app.connect("source-read", insert)
