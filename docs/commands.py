"""The options of the commands, from the tables of the command line, on its page."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import chain, starmap

from sphinx.application import Sphinx

from xpnet.cli.parser import build_parser

__all__ = ["setup"]


def described(words: str, text: str) -> str:
    """Return the definition of an option, without characters that Markdown takes for its own."""
    text = re.sub(r"([*_<\[\]`])", r"\\\1", text)
    return f"`{words}`\n: {text}\n"


def paragraphs() -> Iterator[str]:
    """Yield what each command does, with its options; those of several commands come once."""
    modules = {name: import_module(f"xpnet.cli.{name}") for name in build_parser()[1]}
    options = {
        name: [(option.words, option.help % option.more) for option in module.OPTIONS]
        for name, module in modules.items()
    }
    counts = Counter(chain.from_iterable(options.values()))
    shared = [option for option, n in counts.items() if n > 2]
    yield "### Options of several commands\n"
    yield from starmap(described, shared)
    for name, module in modules.items():
        yield f"### {name}\n\n{module.HELP}\n"
        yield "".join(["```bash\n", *(f"xpnet {words}\n" for words in module.EXAMPLES), "```\n"])
        yield from starmap(described, (x for x in options[name] if x not in shared))
        if words := [f"`{x[0]}`" for x in options[name] if x in shared]:
            yield f"As above: {', '.join(words)}.\n"


def insert(_: Sphinx, page: str, source: list[str]) -> None:
    """Insert the options into the page of the command line."""
    if page == "reference/command-line":
        source[0] += "\n".join(["", *paragraphs()])


def setup(app: Sphinx) -> None:
    """Connect the function above."""
    app.connect("source-read", insert)
