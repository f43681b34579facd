"""``xpnet plot``: curves of activation functions."""

import argparse
from collections.abc import Sequence
from typing import Any

from xpnet.cli.arguments import add_common_arguments, add_output_arguments, check_output
from xpnet.cli.report import Outcome, Stopwatch, terminal


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    from xpnet.functions.activations import ACTIVATIONS

    known = sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise)
    parser = commands.add_parser(
        "plot",
        help="draw activation functions and their derivatives",
        description="Draw activation functions and their derivatives from -5 to 5: in the terminal,"
        " or with -o FILE as a picture, which needs matplotlib.",
        examples=("plot step sigmoid relu", "plot gelu silu -o curves.svg"),
    )
    text = f"any of {', '.join(known)} (default: the book's three)"
    parser.add_argument("functions", nargs="*", choices=known, metavar="FUNCTION", help=text)
    add_output_arguments(parser, "a .png, .svg or .pdf file (default: text in the terminal)")
    add_common_arguments(parser, run, json=False)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.pictures.activation_curves import BOOK, plot
    from xpnet.pictures.figures import save_figure

    if args.output is None:
        return Outcome(lines=_as_text(args.functions or BOOK))
    check_output(args.output, force=args.force, kind="picture")
    save_figure(plot(*args.functions), args.output, force=args.force)
    return Outcome(lines=[f"wrote {args.output}"])


def _as_text(names: Sequence[str]) -> list[str]:
    """Return curves as pictures of 24 x 24 pixels, in lines of text; derivatives are dotted."""
    import numpy as np

    from xpnet.pictures.activation_curves import curves_of
    from xpnet.pictures.images import text_images

    x = np.linspace(-5.0, 5.0, 24 * 40)
    columns = np.arange(len(x)) // 40
    images, captions = np.zeros((len(names), 24, 24)), []
    for image, name in zip(images, names, strict=True):
        curves = [*curves_of(name, x).values()]
        low, high = np.min(curves), np.max(curves)
        for step, y in enumerate(curves, 1):
            rows = np.rint(23 * (high - y) / (high - low)).astype(int)
            image[rows[columns % step == 0], columns[columns % step == 0]] = 1.0
        captions.append([name, f"y from {low:.2f} to {high:.2f}"])
    legend = "x from -5 to 5; solid: function; dotted: derivative"
    return [legend, "", *text_images(images, captions, **terminal())]
