"""The commands of xpnet and their options as Markdown, from the parser of the command line."""

# ruff: noqa: SLF001 - argparse has no public way to its actions and their texts
import argparse
import re
from collections.abc import Iterator
from importlib import import_module

from xpnet.cli.parser import build_parser

__all__ = ["commands_as_markdown"]


def commands_as_markdown() -> str:
    """Return a section for each command."""
    _, commands = build_parser()
    parts = [part for name, parser in commands.items() for part in section(name, parser)]
    return "\n".join(["", *parts])


def section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the paragraphs of a command."""
    module = import_module(f"xpnet.cli.{name}")
    yield f"### {name}\n"
    yield escaped(module.HELP) + "\n"
    yield "".join(["```bash\n", *(f"xpnet {words}\n" for words in module.EXAMPLES), "```\n"])
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.dest != "help":
            names = formatter._format_action_invocation(action)
            yield f"`{names}`\n: {escaped(formatter._expand_help(action))}\n"


def escaped(text: str) -> str:
    """Return the text without characters that Markdown would take for its own."""
    return re.sub(r"([*_<\[\]`])", r"\\\1", " ".join(text.split()))
