"""``xpnet plot``: curves of activation functions."""

import argparse

from xpnet.cli.arguments import (
    Subparsers,
    add_common_arguments,
    add_picture_arguments,
    check_output,
)
from xpnet.cli.report import Outcome, Stopwatch

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    from xpnet.functions.activations import ACTIVATIONS

    parser = commands.add_parser(
        "plot",
        help="draw the curves of activation functions",
        description="Draw the curves of activation functions from -5 to 5, such as: xpnet plot step"
        " sigmoid relu -o curves.png. Needs matplotlib.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "functions",
        nargs="+",
        choices=sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise),
        metavar="FUNCTION",
        help="such as step, sigmoid or relu",
    )
    add_picture_arguments(parser)
    add_common_arguments(parser, json=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.pictures.activation_curves import draw_activations
    from xpnet.pictures.saving import save_figure

    check_output(args.output, force=args.force, kind="picture")
    save_figure(draw_activations(args.functions), args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output}"])
