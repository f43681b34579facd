"""Curves of activation functions and their derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.activations import ACTIVATIONS, check_activation
from xpnet.pictures.figures import INK, MAIN, SECOND, new_panels, picture_style

__all__ = ["BOOK", "curves_of", "plot"]

BOOK = ("step", "sigmoid", "relu")


@picture_style()
def plot(*functions: str | Callable[[Any], Any], start: float = -5.0, stop: float = 5.0) -> Any:
    """Draw activation functions, a panel each: the function solid, its derivative dashed.

    Parameters
    ----------
    *functions : str or callable
        Names of activations, xpnet's functions, or other elementwise functions of a NumPy array,
        which are drawn without a derivative. By default the book's: step, sigmoid and relu.
    start, stop : float, default -5 and 5
        The interval of x.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook displays it as the last value of a cell; ``savefig`` writes it to a file.

    Raises
    ------
    ValueError
        If a name is unknown, a function is not elementwise (softmax), or a limit is not finite.
    ModuleNotFoundError
        If matplotlib is not installed.

    Examples
    --------
    >>> import xpnet
    >>> figure = xpnet.plot("sigmoid", xpnet.gelu, lambda x: x**2)
    >>> [axes.get_title("left") for axes in figure.axes]
    ['sigmoid', 'gelu', '<lambda>']
    """
    given, lines = functions or BOOK, {}
    figure, panels = new_panels(len(given), 2.8, 2.8)
    for axes, function in zip(panels, given, strict=True):
        axes.set_xlim(start, stop)
        x = np.linspace(start, stop, 2001)
        for label, y in curves_of(function, x).items():
            style = {"color": MAIN} if label == "function" else {"color": SECOND, "ls": "--"}
            (lines[label],) = axes.plot(x, y, linewidth=1.8, **style)
        axes.set_title(getattr(function, "__name__", str(function)), parse_math=False)
        axes.axhline(0.0, color=INK, linewidth=0.8, zorder=1.9)  # below the curves
        axes.axvline(0.0, color=INK, linewidth=0.8, zorder=1.9)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.grid()
    figure.legend(lines.values(), lines.keys(), loc="outside lower left", ncols=2)
    return figure


@np.errstate(all="ignore")  # poles of a user's function
def curves_of(function: Any, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the values of a function at x, and those of its derivative if that is known."""
    if isinstance(function, str):
        check_activation(function)
    row = ACTIVATIONS[function] if isinstance(function, str) else getattr(function, "row", None)
    y = np.asarray(row.function(x, np) if row else function(x))
    if y.shape != x.shape or (row and not row.is_elementwise):
        msg = f"`functions` must be elementwise; got {function!r}"
        raise ValueError(msg)
    if row is None:
        return {"function": y}
    slope = row.derivative(x, y, np) if row.derivative else np.zeros_like(x)
    return {"function": y, "derivative": slope}
