"""Plot of activation functions and their derivatives."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.files.errors import nearest_hint
from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.saving import new_panels
from xpnet.pictures.style import INK, MAIN, SECOND, SERIES, picture_style

__all__ = ["plot", "text_curves"]

Function: TypeAlias = Callable[[Any], Any]
_BOOK = ("step", "sigmoid", "relu")
# Of a curve in text: points in a column, and pixels from the top to the bottom.
_POINTS, _PIXELS = 40, 24
# For functions of whole rows: the elements beside x, and the labels of the curves.
_OTHERS = (0.0, -1.0)
_OF_ROW = ("output of x, in the row (x, 0, -1)", "output of 0", "output of -1")
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "function": {"color": MAIN},
    "derivative": {"color": SECOND, "linestyle": "--"},
    # Other colors than those of functions and derivatives.
    **{label: {"color": color} for label, color in zip(_OF_ROW, SERIES[2:], strict=False)},
}


@picture_style()
def plot(*functions: str | Function, start: float = -5.0, stop: float = 5.0) -> Any:
    """Draw activation functions, a panel each: the function solid, its derivative dashed.

    Softmax and others that act on a row are drawn for the row (x, 0, -1), a curve for each element.
    Curves are interrupted where they jump.

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
        If a name is unknown, a function is not elementwise, or the interval is empty or infinite.
    ModuleNotFoundError
        If matplotlib is not installed.

    Examples
    --------
    >>> import xpnet
    >>> figure = xpnet.plot("sigmoid", xpnet.softmax, lambda x: x**2)
    >>> [axes.get_title("left") for axes in figure.axes]
    ['sigmoid', 'softmax', '<lambda>']
    """
    if not -math.inf < start < stop < math.inf:
        msg = f"`start` must be below `stop`, both finite; got {start} and {stop}"
        raise ValueError(msg)
    given = list(dict.fromkeys(map(_known, functions or _BOOK)))
    n_columns = max(3, min(math.ceil(len(given) ** 0.5), 6))
    figure, panels = new_panels(len(given), 2.8, 2.4, n_columns=n_columns)
    lines = {}
    for axes, function in zip(panels, given, strict=True):
        for label, curve in _curves_of(function).items():
            lines[label] = _draw(axes, curve, np.linspace(start, stop, 2001), _STYLES[label])
        name = function if isinstance(function, str) else _name(function)
        axes.set_title(name, parse_math=False)
        axes.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
        axes.axvline(0.0, color=INK, linewidth=0.8, zorder=1)
        axes.set_xlim(start, stop)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.grid()
    figure.suptitle("Activation functions", x=0.01, ha="left")
    labels = [label for label in _STYLES if label in lines]
    n_side = len(_STYLES) if len(given) > 2 else 2
    figure.legend([lines[x] for x in labels], labels, loc="outside lower left", ncols=n_side)
    return figure


def text_curves(*names: str, width: int, ascii_only: bool) -> list[str]:
    """Return the same curves as lines of text, from -5 to 5; derivatives are dotted."""
    from xpnet.pictures.text_images import text_images

    given = names or _BOOK
    n_columns = max(min(max((width + 2) // len(given) - 2, 24), width // 2 - 1, 38), 1)
    columns = np.repeat(np.arange(n_columns), _POINTS)
    x = np.linspace(-5.0, 5.0, columns.size)
    images, captions = np.zeros((len(given), _PIXELS, n_columns)), []
    solid, dotted = dict[str, None](), dict[str, None]()
    for image, name in zip(images, given, strict=True):
        label, *others = functions = _curves_of(name)
        solid[label], dotted = None, dotted | dict.fromkeys(others)
        curves = [np.asarray(curve(x)) for curve in functions.values()]
        low, high = np.nanmin(curves), np.nanmax(curves)
        for i, y in enumerate(curves):
            is_shown = np.isfinite(y) & (columns % (i + 1) == 0)
            rows = (_PIXELS - 1) * (high - y[is_shown]) / ((high - low) or 1.0)
            image[np.rint(rows).astype(int), columns[is_shown]] = 1.0
        captions.append(([name, f"y from {low:.2f} to {high:.2f}"], False))
    legend = f"x from -5 to 5; solid: {'; '.join(solid)}; dotted: {', '.join(dotted)}"
    return [legend, "", *text_images(images, captions, width=width, ascii_only=ascii_only)]


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _known(function: str | Function) -> str | Function:
    """Return the name of an activation, or a function that is none of xpnet's."""
    if not isinstance(function, str):
        is_own = str(getattr(function, "__module__", "")).startswith("xpnet.functions.")
        return _name(function) if is_own and _name(function) in ACTIVATIONS else function
    if function not in ACTIVATIONS:
        hint = nearest_hint(function, ACTIVATIONS) or f" (known: {', '.join(ACTIVATIONS)})"
        msg = f"`functions` must be names of activations; got {function!r}{hint}"
        raise ValueError(msg)
    return function


def _curves_of(function: str | Function) -> Mapping[str, Function]:
    if not isinstance(function, str):
        return {"function": function}
    row = ACTIVATIONS[function]
    if row.is_elementwise:
        derivative = row.derivative or (lambda x, _y, _xp: 0.0 * x)
        return {
            "function": lambda x: row.function(x, np),
            "derivative": lambda x: derivative(x, row.function(x, np), np),
        }

    def element(i: int) -> Function:
        return lambda x: row.function(np.stack(np.broadcast_arrays(x, *_OTHERS), -1), np)[..., i]

    return {label: element(i) for i, label in enumerate(_OF_ROW)}


@np.errstate(all="ignore")  # inf - inf, poles
def _draw(axes: Any, curve: Function, x: NDArray[Any], style: Mapping[str, Any]) -> Any:
    """Draw a curve, interrupted where it jumps; return its line."""
    y = np.asarray(curve(x))
    if y.shape != x.shape:
        msg = f"`functions` must be elementwise; got results of the shape {y.shape} for {x.shape}"
        raise ValueError(msg)
    points = np.stack((x, y))
    low, high = points[:, :-1], points[:, 1:]
    # Keep the half of each interval in which the curve changes more: what is left is a jump.
    for _ in range(40):
        middle = (low[0] + high[0]) / 2.0
        point = np.stack((middle, curve(middle)))
        is_left = abs(point[1] - low[1]) > abs(high[1] - point[1])
        low, high = np.where(is_left, low, point), np.where(is_left, point, high)
    jumps = np.flatnonzero(abs(high[1] - low[1]) > 1e-3 * np.maximum(abs(high[1]), 1.0))
    gap = np.full((2, len(jumps)), np.nan)
    ends = np.stack((low[:, jumps], gap, high[:, jumps]), axis=2).reshape(2, -1)
    points = np.insert(points, np.repeat(jumps + 1, 3), ends, axis=1)
    return axes.plot(*points, linewidth=1.8, **style)[0]
