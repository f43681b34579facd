"""``xpnet plot``: curves of activation functions."""

from collections.abc import Sequence

from xpnet.cli.options import Option, picture
from xpnet.cli.report import Outcome
from xpnet.cli.streams import terminal

HELP = (
    "Draw activation functions and their derivatives. They are drawn from -5 to 5; without -o, as"
    " text in the terminal."
)
EXAMPLES = ("plot step sigmoid relu", "plot gelu silu -o curves.svg")
_FUNCTIONS = "names of activations, such as tanh (default: the book's step, sigmoid and relu)"
OPTIONS = [Option("FUNCTION", str, _FUNCTIONS, {"dest": "functions", "nargs": "*"})]
OPTIONS += picture("-o --output FILE", "write a picture")


def run(
    functions: Sequence[str] = (), *, output: str | None = None, force: bool = False, **_: object
) -> Outcome:
    """Run the command."""
    from xpnet.pictures.activation_curves import BOOK, plot
    from xpnet.pictures.figures import save_figure

    if output is None:
        return Outcome(lines=_as_text(functions or BOOK))
    save_figure(plot(*functions), output, force=force)
    return Outcome(rows={"wrote": output})


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
