"""What is done to the inputs before the first layer.

Preprocessing is stored with the weights, because a wrong scaling fails silently: the same
network that is right on 98% of the digits can be right on 34% of them when the pixels it is
given are 255 times too large.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias

from xpnet._typing import ArrayT
from xpnet.arrays.linalg import eigh
from xpnet.arrays.namespace import apply, array_namespace, as_floating, cast, current_device
from xpnet.networks.column_statistics import covariances, deviations

__all__ = ["STEPS", "Scale", "Standardize", "Step", "Whiten", "arrays_of", "map_arrays"]

# Of the largest number of a component, this much is large.
_LARGE = 0.9


@dataclass(frozen=True)
class Scale:
    """Multiply the inputs by a number: ``Scale(1 / 255)`` takes raw bytes to 0..1.

    Parameters
    ----------
    factor : float
        Finite and not zero.

    Raises
    ------
    ValueError
        If `factor` is zero, infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> Scale(0.5)(np.asarray([2.0, 4.0]))
    array([1., 2.])
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", _divisor(float(self.factor), "factor"))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return x * factor."""
        return apply(self.compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return x * factor for a floating `x`: the mathematics."""
        return cast(x * self.factor, x.dtype, xp)  # of CuPy's bfloat16, the product is float32


@dataclass(frozen=True, eq=False, repr=False)
class Standardize:
    """Subtract a mean and divide by a scale: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : float, or array of shape (n_in,)
        For all inputs, or one for each. Arrays are of the library and device of the network's
        weights, and are kept in its dtype. No scale is zero.

    Raises
    ------
    TypeError
        If one is neither a number nor an array of real numbers.
    ValueError
        If an array has another number of dimensions than 1; or a number is infinite, NaN, or a
        scale of zero.

    Examples
    --------
    >>> import numpy as np
    >>> Standardize(3.0, np.asarray([0.5, 2.0]))(np.asarray([4.0, 1.0]))
    array([ 2., -1.])
    """

    mean: Any = 0.0
    scale: Any = 1.0

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            value = getattr(self, name)
            if isinstance(value, int | float):
                check = _divisor if name == "scale" else _finite
                value = check(float(value), name)
            else:
                value, _ = as_floating(value, name)
                if value.ndim != 1:
                    msg = f"`{name}` must have the shape (n_in,); got {tuple(value.shape)}"
                    raise ValueError(msg)
            object.__setattr__(self, name, value)

    @classmethod
    def fit(cls, x: Any, /) -> Self:
        """Return the step that takes each column of training data to mean 0 and deviation 1.

        Parameters
        ----------
        x : array of shape (n, ...)
            At least one row of finite real numbers, in memory, of any library; whole numbers, such
            as raw ``uint8`` pixels, go in as they are. More dimensions than 2 are taken as columns.

        Returns
        -------
        Standardize
            With the means and standard deviations (of n, not n - 1) of the columns, in the library
            and on the device of `x`: computed in float64 where the device has it, else in float32.
            A column whose numbers are all equal has the scale 1, and becomes 0.

        Raises
        ------
        TypeError
            If `x` is no array of real numbers, or of Dask.
        ValueError
            If it has no rows or no columns, or a number or a sum of them is infinite or NaN.

        Examples
        --------
        >>> import numpy as np
        >>> step = Standardize.fit(np.asarray([[1, 7], [3, 7]]))
        >>> step.mean, step.scale
        (array([2., 7.]), array([1., 1.]))
        """
        mean, deviation = deviations(x)
        with current_device(mean):
            xp = array_namespace(mean)
            return cls(mean, xp.where(deviation > 0.0, deviation, 1.0))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) / scale."""
        return apply(self.compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return (x - mean) / scale for a floating `x`: the mathematics."""
        return cast((x - self.mean) / self.scale, x.dtype, xp)  # as of `Scale`

    def __repr__(self) -> str:
        shown = (
            f"{name}={value}" if isinstance(value, float) else f"{value.shape[0]} {name}s"
            for name, value in (("mean", self.mean), ("scale", self.scale))
        )
        return f"Standardize({', '.join(shown)})"


@dataclass(frozen=True, eq=False, repr=False)
class Whiten:
    """Subtract a mean and multiply by a matrix: ``(x - mean) @ matrix``.

    `fit` finds those that take away what the inputs have in common, so that their covariance is
    the identity.

    Parameters
    ----------
    mean : array of shape (n_in,)
        Of any library; a network keeps it in its own dtype.
    matrix : array of shape (n_in, n_in)
        Of the library and device of `mean`.

    Raises
    ------
    TypeError
        If one is no array of real numbers, or the libraries differ.
    ValueError
        If the shapes do not fit, or the devices differ.

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
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def fit(cls, x: Any, /, *, method: Literal["zca", "pca"] = "zca", epsilon: float = 0.1) -> Self:
        """Return the step that gives training data the identity as its covariance.

        Parameters
        ----------
        x : array of shape (n, ...)
            As for `Standardize.fit`; at least two rows differ.
        method : {"zca", "pca"}, default "zca"
            "zca" gives numbers that are as near to the inputs as any white ones, so that whitened
            images are images still. "pca" gives components, those of the largest variance first.
        epsilon : float, default 0.1
            Added to the variance of each component, in units of the mean variance of the columns.
            Without it, a component that hardly varies would be blown up, and one that never does
            (pixels that are always black) divided by zero.

        Returns
        -------
        Whiten
            In the library and on the device of `x`, in float64 where the device has it, else in
            float32.

        Raises
        ------
        TypeError
            As `Standardize.fit`.
        ValueError
            As `Standardize.fit`; and if all rows are equal, `method` is unknown, or `epsilon` is
            negative, not finite, or too small for components that do not vary.

        Notes
        -----
        With the covariance ``V diag(w) V^T``, over n rather than n - 1, the matrix is
        ``V diag(1 / sqrt(w + epsilon * mean(w)))``, for ZCA times ``V^T``. What is whitened has the
        covariance ``w / (w + epsilon * mean(w))`` along each component.

        Whitening raises what hardly varies, noise included, and so does not help every network: one
        of 784 -> 50 -> 100 -> 10 units, trained on 10,000 digits of MNIST for 5 epochs, was right
        on 95% of 10,000 others as they are; whitened with an epsilon of 0.01 on 89%, of 0.1 on
        90.5%, of 1 on 93%.

        The sign of a component is free. It is such that the first of its numbers that are at least
        0.9 times as large as its largest is positive, so that all libraries agree. Components of
        equal variance are free to turn among themselves; ZCA does not depend on that.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.asarray([[3.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-3.0, -1.0]])
        >>> white = Whiten.fit(x, epsilon=0.0)(x)
        >>> bool(np.allclose(white.T @ white / 4, np.eye(2)))
        True
        """
        if method not in {"zca", "pca"}:
            msg = f"`method` must be zca or pca; got {method!r}"
            raise ValueError(msg)
        epsilon = _finite(float(epsilon), "epsilon")
        if epsilon < 0.0:
            msg = f"`epsilon` must not be negative; got {epsilon}"
            raise ValueError(msg)
        mean, unit, covariance = covariances(x)
        with current_device(mean):
            xp = array_namespace(mean)
            variances, components = eigh(covariance)
            variances = xp.maximum(variances, 0.0)
            raised = variances + epsilon * xp.mean(variances)
            least = raised.shape[0] * float(xp.finfo(raised.dtype).eps) * float(xp.max(variances))
            if not float(xp.min(raised)) > least:
                msg = f"`epsilon` must be larger where not all components vary; got {epsilon}"
                raise ValueError(msg)
            matrix = components / (unit * xp.sqrt(raised))
            if method == "zca":
                return cls(mean, matrix @ components.T)
            return cls(mean, xp.flip(matrix * _signs(components, xp), axis=1))

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return (x - mean) @ matrix."""
        return apply(self.compute, x)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return (x - mean) @ matrix for a floating `x`: the mathematics."""
        y = x - self.mean
        return y @ cast(self.matrix, y.dtype, xp)

    def __repr__(self) -> str:
        return f"Whiten({self.mean.shape[0]} means, {' x '.join(map(str, self.matrix.shape))})"


Step: TypeAlias = Scale | Standardize | Whiten

# A file can name these steps, and no other code.
STEPS: Mapping[str, type[Step]] = MappingProxyType(
    {"scale": Scale, "standardize": Standardize, "whiten": Whiten}
)


def arrays_of(step: Step, /) -> dict[str, Any]:
    """Return what a step has of arrays, by name."""
    parameters = {field.name: getattr(step, field.name) for field in fields(step)}
    return {name: value for name, value in parameters.items() if not isinstance(value, float)}


def map_arrays(step: Step, convert: Callable[[Any], Any], /) -> Step:
    """Return the step with each of its arrays converted."""
    return replace(step, **{name: convert(x) for name, x in arrays_of(step).items()})


def _signs(components: Any, xp: Any) -> Any:
    """Return 1 or -1 for each column, so that the first of its large numbers becomes positive."""
    sizes = xp.abs(components)
    # Of two that are equal but for rounding, the first counts in every library.
    is_large = sizes >= _LARGE * xp.max(sizes, axis=0)
    n_before = xp.cumulative_sum(xp.astype(is_large, components.dtype), axis=0)
    first = xp.where(is_large & (n_before == 1.0), components, 0.0)
    return xp.sign(xp.sum(first, axis=0))


def _divisor(value: float, name: str) -> float:
    if not math.isfinite(value) or value == 0.0:
        msg = f"`{name}` must be finite and not zero; got {value}"
        raise ValueError(msg)
    return value


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        msg = f"`{name}` must be finite; got {value}"
        raise ValueError(msg)
    return value
