"""Parser of command lines, with examples in its help and errors of one line."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, NoReturn

from xpnet.cli import exit_codes
from xpnet.cli.report import print_line
from xpnet.cli.streams import print_note, standard_output
from xpnet.files.errors import nearest_hint

__all__ = ["build_parser", "parse"]

# Each is a module of this package.
_COMMANDS = (
    "evaluate",
    "predict",
    "train",
    "fetch",
    "convert",
    "inspect",
    "parity",
    "bench",
    "show",
    "plot",
    "draw",
    "doctor",
)
# More choices are listed only if no one is near.
_MOST_CHOICES = 20


class _Parser(argparse.ArgumentParser):
    """A parser of a command, or of all commands.

    Errors are one line, with the nearest valid word. `examples` are command lines without the word
    xpnet.
    """

    def __init__(self, *, examples: Sequence[str], **options: Any) -> None:
        style = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=style, **options)
        self.examples = examples

    def error(self, message: str) -> NoReturn:
        print_note(f"{message} (see {self.prog} --help)")
        raise SystemExit(exit_codes.USAGE)

    def print_help(self, file: Any = None) -> None:
        names = (self._usage_of(action) for action in self._get_positional_actions())
        self.usage = " ".join(["%(prog)s", *names, "[options]"])
        parts = [fill(self.description or "", get_terminal_size().columns - 2)]  # as argparse
        parts.append("\n".join(["examples:", *(f"  xpnet {words}" for words in self.examples)]))
        self.description = "\n\n".join(parts)
        with standard_output() as output:  # argparse ignores errors in writing
            (file or output).write(self.format_help())

    @staticmethod
    def _usage_of(action: argparse.Action) -> str:
        name = str(action.metavar)
        forms = {"?": f"[{name}]", "+": f"{name} ...", "*": f"[{name} ...]"}
        return forms.get(str(action.nargs), name)

    def unrecognized(self, words: Sequence[str]) -> NoReturn:
        """Raise a usage error for unknown arguments."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        option = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
        self.error(f"unrecognized arguments: {' '.join(words)}{nearest_hint(option, options)}")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # For "--rows=--", argparse would drop the value as if it ended the options.
        if action.option_strings and "--" in arg_strings:
            raise argparse.ArgumentError(action, "expected one argument; got '--'")
        return super()._get_values(action, arg_strings)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # The message of argparse depends on the version of Python.
        # Python 3.11 checks the empty list of a positional argument that is left out.
        if action.choices is not None and value != [] and value not in action.choices:
            choices = list(map(str, action.choices))
            hint = nearest_hint(value, choices)
            if not hint or len(choices) <= _MOST_CHOICES:
                hint += f" (choose from {', '.join(choices)})"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line; exit after help, or after a usage error."""
    # The modules of other commands take time to import.
    is_command = bool(words) and words[0] in _COMMANDS
    parser, commands = build_parser(words[:1] if is_command else _COMMANDS)
    args, others = parser.parse_known_args(words)
    if others:
        commands.get(args.command, parser).unrecognized(others)
    if args.command is None:
        parser.print_help()
        raise SystemExit(exit_codes.DONE)
    return args


def build_parser(names: Sequence[str] = _COMMANDS) -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser of command lines, and the parsers of the commands `names` by name."""
    parser = _Parser(
        prog="xpnet",
        description="Neural networks written once against the array API, on NumPy or CuPy.",
        epilog="Exit codes: 0 done, 1 out of bound, 2 usage, 3 data, 4 weights,\n"
        "5 device, 70 an internal error, 71 out of memory, 130 interrupted,\n"
        "143 terminated.",
        examples=("evaluate", "evaluate --help", "train --hidden 30 -o model.safetensors"),
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for name in names:
        import_module(f"xpnet.cli.{name}").add_parser(commands)
    return parser, commands.choices


class _Version(argparse.Action):
    """Show the version, which is looked up only for this option since that takes time."""

    def __call__(self, *_: object) -> NoReturn:
        import xpnet

        print_line(f"xpnet {xpnet.__version__}")
        raise SystemExit(exit_codes.DONE)
