"""Whitening of the inputs: a preprocessing step that decorrelates them."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply, array_namespace, as_floating, cast
from xpnet.arrays.transfer import beside
from xpnet.networks.column_statistics import check_finite, covariances

__all__ = ["Whiten"]


@dataclass(frozen=True, eq=False, repr=False)
class Whiten:
    """Subtract a mean and multiply by a matrix: ``(x - mean) @ matrix``.

    `fit` finds the mean and the matrix that decorrelate the inputs: their covariance becomes the
    identity.

    Parameters
    ----------
    mean : array of shape (n_in,)
        An array of any library; a network keeps it in its own library, device and dtype.
    matrix : array of shape (n_in, n_in)
        In the library and on the device of `mean`.

    Raises
    ------
    TypeError
        If `mean` or `matrix` is not an array of real numbers, or their libraries differ.
    ValueError
        If the shapes do not fit, the devices differ, or a NumPy array holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> Whiten([1.0, 2.0], [[0.0, 1.0], [0.5, 0.0]])(np.asarray([4.0, 1.0]))
    array([-0.5,  3. ])
    """

    mean: Any
    matrix: Any

    def __post_init__(self) -> None:
        mean, _ = as_floating(self.mean, "mean")
        matrix, _ = as_floating(self.matrix, "matrix")
        array_namespace(mean, matrix)
        if mean.ndim != 1:
            msg = f"`mean` must have the shape (n_in,); got {tuple(mean.shape)}"
            raise ValueError(msg)
        if tuple(matrix.shape) != 2 * tuple(mean.shape):
            n_in = mean.shape[0]
            msg = f"`matrix` must have the shape ({n_in}, {n_in}); got {tuple(matrix.shape)}"
            raise ValueError(msg)
        check_finite(mean, "mean")
        check_finite(matrix, "matrix")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def fit(cls, x: Any, /, *, epsilon: float = 0.1) -> Self:
        """Return the step by which the covariance of training data becomes the identity (ZCA).

        The whitened data stay as close to the inputs as they can, so whitened images are still
        images.

        Parameters
        ----------
        x : array of shape (n, ...)
            As for `Standardize.fit`; at least two rows differ.
        epsilon : float, default 0.1
            Added to the variance of each component, in units of the mean variance of the columns.
            Without it, a component of small variance would be amplified, and a constant one (pixels
            that are always black) divided by zero.

        Returns
        -------
        Whiten
            With NumPy arrays of float64.

        Raises
        ------
        TypeError, ValueError
            As `Standardize.fit`; also ValueError if all rows are equal, a covariance is infinite,
            or `epsilon` is negative, not finite, or too small for components that do not vary.

        Notes
        -----
        With the covariance ``V diag(w) V^T`` (divided by n, not n - 1), the matrix is
        ``V diag(1 / sqrt(w + epsilon * mean(w))) V^T``. The whitened data have the variance
        ``w / (w + epsilon * mean(w))`` along each component.

        Whitening amplifies components of small variance, noise included, so it does not help every
        network.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.asarray([[3.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-3.0, -1.0]])
        >>> white = Whiten.fit(x, epsilon=0.0)(x)
        >>> bool(np.allclose(white.T @ white / 4, np.eye(2)))
        True
        """
        epsilon = float(epsilon)
        if not math.isfinite(epsilon) or epsilon < 0.0:
            msg = f"`epsilon` must be finite and not negative; got {epsilon}"
            raise ValueError(msg)
        mean, covariance = covariances(x)
        variances, components = np.linalg.eigh(covariance)
        variances = np.maximum(variances, 0.0)
        raised = variances + epsilon * np.mean(variances)
        if not raised.min() > len(raised) * np.finfo(np.float64).eps * variances.max():
            msg = f"`epsilon` must be larger where not all components vary; got {epsilon}"
            raise ValueError(msg)
        return cls(mean, components / np.sqrt(raised) @ components.T)

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) @ matrix for `x` of shape (..., n_in); integers become floating."""

        def compute(y: Any, xp: Any) -> Any:
            return Whiten(beside(self.mean, y), beside(self.matrix, y)).compute(y, xp)

        return apply(compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return (x - mean) @ matrix for floating-point `x` on the device of the arrays."""
        y = x - self.mean
        return y @ cast(self.matrix, y.dtype, xp)

    def __repr__(self) -> str:
        return f"Whiten({self.mean.shape[0]} means, {' x '.join(map(str, self.matrix.shape))})"
