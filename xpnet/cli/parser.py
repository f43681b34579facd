"""The parser of command lines: examples in its help, errors of one line."""

import argparse
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, NoReturn

from xpnet.cli.options import DEBUG, Option
from xpnet.cli.streams import print_line, print_note, standard_output
from xpnet.files.errors import nearest_hint

__all__ = ["build_parser", "parse"]

# Each is a module of this package with HELP, EXAMPLES, OPTIONS and a function `run`.
_COMMANDS = (
    *("evaluate", "predict", "train", "fetch", "convert", "inspect", "parity", "bench", "show"),
    *("plot", "draw", "doctor"),
)
_EXAMPLES = ("evaluate", "evaluate --help", "train --hidden 30 -o model.safetensors")
_EXIT_CODES = """exit codes: 0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,
70 an internal error, 71 out of memory, 130 interrupted, 143 terminated"""
# Words of other programs.
_SYNONYMS = {
    "lr": "--learning-rate",
    "limit": "--rows",
    "weights": "--model",
    "gpu": "--device gpu",
    "cuda": "--device gpu",
    "dtype": "--precision",
    "hash": "--reproducible",
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with a known word that is near to a wrong one."""

    def error(self, message: str) -> NoReturn:
        print_note(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)

    def print_help(self, file: Any = None) -> None:
        with standard_output() as output:  # argparse ignores the error of a full disk
            (file or output).write(self.format_help())

    def unrecognized(self, words: Sequence[str]) -> NoReturn:
        """Raise a usage error for unknown arguments."""
        known = [x for x in self._option_string_actions if x.startswith("--")]
        word = next((x for x in words if x.startswith("-")), "").partition("=")[0].strip("-")
        hint = nearest_hint(word, known, key=lambda x: x.strip("-"))
        if (other := _SYNONYMS.get(word, "")).partition(" ")[0] in known:
            hint = f"; did you mean {other}?"
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line; exit after help, or after a usage error."""
    name = words[0] if words else "--help"
    # The modules of other commands take time to import.
    parser, commands = build_parser([name] if name in _COMMANDS else _COMMANDS)
    if name not in {*_COMMANDS, "-h", "--help", "--version"}:
        hint = f"; choose from {', '.join(_COMMANDS)}"
        if name.startswith("-"):
            hint = f"; options follow the command, as in xpnet evaluate {name}"
        parser.error(f"no command {name!r}{nearest_hint(name, _COMMANDS) or hint}")
    args, others = parser.parse_known_args(words or [name])
    if others:
        commands[name].unrecognized(others)
    return args


def build_parser(names: Sequence[str] = _COMMANDS) -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser of command lines, and the parsers of the commands `names` by name."""
    style: Any = {"allow_abbrev": False, "argument_default": argparse.SUPPRESS}
    style["formatter_class"] = partial(argparse.RawDescriptionHelpFormatter, max_help_position=28)
    text = "Neural networks written once against the array API, on NumPy or CuPy."
    text = _with_examples(text, _EXAMPLES)
    usage = "xpnet COMMAND [options]"
    parser = _Parser("xpnet", usage=usage, description=text, epilog=_EXIT_CODES, **style)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(prog="xpnet", metavar="COMMAND", title="commands")
    for name in names:
        module = import_module(f"xpnet.cli.{name}")
        options: list[Option] = [*module.OPTIONS, DEBUG]
        places = [option.place for option in options if option.place]
        command = commands.add_parser(
            name,
            help=module.HELP.partition(".")[0],
            usage=" ".join(["xpnet", name, *places, "[options]"]),
            description=_with_examples(module.HELP, module.EXAMPLES),
            **style,
        )
        command.set_defaults(run=module.run)
        for option in options:
            option.add_to(command)
    return parser, commands.choices


def _with_examples(text: str, examples: Sequence[str]) -> str:
    """Return the description of a command, and examples, command lines without the word xpnet."""
    lines = [fill(text, max(get_terminal_size().columns - 2, 20)), "", "examples:"]
    return "\n".join([*lines, *(f"  xpnet {words}" for words in examples)])


class _Version(argparse.Action):
    """Show the version, which is looked up only for this option since that takes time."""

    def __call__(self, *_: object) -> NoReturn:
        from importlib.metadata import version

        with standard_output():
            print_line(f"xpnet {version('xpnet')}")
        raise SystemExit(0)
