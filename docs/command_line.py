"""The commands of xpnet and their options as Markdown, from the parser of the command line."""

# ruff: noqa: SLF001 - argparse has no public way to its actions and their texts
import argparse
import re
from collections.abc import Iterator

from xpnet.cli.parser import build_parser

__all__ = ["commands_as_markdown"]


def commands_as_markdown() -> str:
    """Return a section for each command."""
    _, commands = build_parser()
    parts = [part for name, parser in commands.items() for part in section(name, parser)]
    return "\n".join(["", *parts])


def section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the paragraphs of a command."""
    yield f"### {name}\n"
    yield escaped(parser.description or "") + "\n"
    examples = [f"xpnet {words}\n" for words in vars(parser)["examples"]]
    yield "".join(["```bash\n", *examples, "```\n"])
    formatter = parser._get_formatter()
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions and group.title not in {"options", "positional arguments"}:
            yield f"**{(group.title or '').capitalize()}**\n"
        for action in actions:
            names = formatter._format_action_invocation(action)
            yield f"`{names}`\n: {escaped(formatter._expand_help(action))}\n"


def escaped(text: str) -> str:
    """Return the text without characters that Markdown would take for its own."""
    return re.sub(r"([*_<\[\]`])", r"\\\1", " ".join(text.split()))
