"""Images in a grid, with their labels and what a network takes them for."""

from math import ceil, isqrt, sqrt
from typing import Any

from numpy.typing import NDArray

from xpnet.pictures.saving import new_figure

__all__ = ["as_images", "draw_images"]

_INCHES = 1.0


def as_images(images: NDArray[Any], /) -> NDArray[Any]:
    """Return rows of pixels as square images, (n, height, width); images as they are.

    Raises
    ------
    ValueError
        If the rows do not make square images.
    """
    if images.ndim == 3:  # noqa: PLR2004 (n, height, width)
        return images
    side = isqrt(images.shape[-1])
    if images.ndim != 2 or side * side != images.shape[-1]:  # noqa: PLR2004 (rows)
        msg = f"`images` must be square to be shown; got the shape {images.shape}"
        raise ValueError(msg)
    return images.reshape(-1, side, side)


def draw_images(
    images: NDArray[Any], labels: list[str] | None = None, predictions: list[str] | None = None
) -> Any:
    """Return a figure of gray images, dark on light.

    Parameters
    ----------
    images : array of shape (n, height, width) or (n, height * height)
    labels, predictions : list of n str, optional
        Written above each image; a prediction that differs from the label in red.
    """
    images = as_images(images)
    n_columns = max(ceil(sqrt(len(images))), 1)
    n_rows = max(ceil(len(images) / n_columns), 1)
    figure = new_figure(n_columns * _INCHES, n_rows * _INCHES * 1.25)
    for i, axes in enumerate(figure.subplots(n_rows, n_columns, squeeze=False).flat):
        axes.set_axis_off()
        if i < len(images):
            axes.imshow(images[i], cmap="gray_r")
            _write_title(
                axes,
                None if labels is None else labels[i],
                None if predictions is None else predictions[i],
            )
    return figure


def _write_title(axes: Any, label: str | None, prediction: str | None) -> None:
    if label is None and prediction is None:
        return
    if label is None or prediction is None or label == prediction:
        axes.set_title(prediction or label, fontsize=9)
    else:
        axes.set_title(f"{label}, taken for {prediction}", fontsize=7, color="tab:red")
