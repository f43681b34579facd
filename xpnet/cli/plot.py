"""``xpnet plot``: curves of activation functions."""

import argparse
from typing import Any

from xpnet.cli.arguments import add_common_arguments, add_output_arguments, check_output
from xpnet.cli.report import Outcome, Stopwatch, terminal


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    from xpnet.functions.activations import ACTIVATIONS

    parser = commands.add_parser(
        "plot",
        help="draw activation functions and their derivatives",
        description="Draw activation functions and their derivatives from -5 to 5: in the terminal,"
        " or with -o FILE as a picture, which needs matplotlib.",
        examples=("plot step sigmoid relu", "plot gelu softmax -o curves.svg"),
    )
    parser.add_argument(
        "functions",
        nargs="*",
        choices=sorted(ACTIVATIONS),
        metavar="FUNCTION",
        help=f"any of {', '.join(sorted(ACTIVATIONS))} (default: the book's three)",
    )
    add_output_arguments(parser, "a .png, .svg or .pdf file (default: text in the terminal)")
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.pictures.activation_curves import plot, text_curves
    from xpnet.pictures.saving import save_figure

    if args.output is None:
        return Outcome(lines=text_curves(*args.functions, **terminal()))
    check_output(args.output, force=args.force, kind="picture")
    save_figure(plot(*args.functions), args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output}"])
