"""``xpnet plot``: the curves of activation functions."""

import argparse

from xpnet.cli.arguments import Subparsers, UsageError, add_common_arguments, file_name
from xpnet.cli.report import print_line
from xpnet.cli.stopwatch import Stopwatch

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plot",
        help="draw the curves of activation functions",
        description="Draw the curves of activation functions from -5 to 5. Needs matplotlib.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "functions", nargs="+", metavar="FUNCTION", help="such as step, sigmoid or relu"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        required=True,
        metavar="FILE",
        help="a .png, .svg or .pdf file",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_common_arguments(parser, json=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _: Stopwatch) -> int:
    """Run the command."""
    from xpnet.pictures.activation_curves import draw_activations
    from xpnet.pictures.saving import check_picture, save_figure

    try:
        check_picture(args.output)
        figure = draw_activations(args.functions)
    except ValueError as error:
        raise UsageError(str(error)) from error
    save_figure(figure, args.output, force=args.force)
    print_line(f"wrote {args.output}")
    return 0
