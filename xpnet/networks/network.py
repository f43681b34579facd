"""A network: its conversions and its forward pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from xpnet._typing import Array
from xpnet.arrays.dask_blocks import is_dask, map_blocks
from xpnet.arrays.device import Device
from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    dtype_name,
    floating_dtype,
    widest_floating,
    without_warnings,
)
from xpnet.arrays.transfer import is_numpy
from xpnet.networks.column_names import in_order
from xpnet.networks.dense import over_rows
from xpnet.networks.network_arguments import layers_from_arrays
from xpnet.networks.network_data import NetworkData, Output
from xpnet.networks.operands import Triple
from xpnet.networks.preprocessing import Step, map_arrays, preprocessed

__all__ = ["Network", "Output", "check_network", "forward"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Network(NetworkData):
    """Layers with their preprocessing, and the meaning of their outputs.

    Parameters
    ----------
    layers : sequence of Dense
        At least one, all of the same library, device and dtype. The width of each layer is the
        number of inputs of the next.
    preprocessing : step or sequence of steps, optional
        Steps such as ``Scale(1 / 255)``, applied to the inputs in this order. They are kept as a
        tuple, with their arrays in the library, device and dtype of the layers; NumPy arrays are
        copied, like those of the layers.
    output : {"logits", "probabilities", "values"}, default "logits"
        The outputs of the last layer: logits of classes (a single unit: the logit of class 1
        against class 0), probabilities, or the values of a regression.
    classes : sequence of str or int, optional
        Names of the classes 0, 1, 2 ...; by default their ids.
    metadata : mapping of str to str, optional
        Facts that files of the network keep: ``input_range``, the range of the inputs;
        ``trained_on``, a hash of the training data; ``inputs``, a JSON list of the names of the
        inputs. Results for arrays do not depend on them.

    Raises
    ------
    TypeError
        If libraries or dtypes differ, or an argument is of another type.
    ValueError
        If `layers` is empty, widths or numbers of inputs do not fit, devices differ, `output` is
        unknown, `classes` does not name each class once, ``inputs`` does not name each input once,
        or the dtype of the layers is too narrow for the numbers of a step.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> hidden = xpnet.Dense([[0.5, -0.5], [0.5, -0.5]], [-0.2, 0.7], "step")  # OR and NAND
    >>> xor = xpnet.Network([hidden, xpnet.Dense([[0.5], [0.5]], [-0.7], "step")])  # AND
    >>> xor(np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0]
    array([0., 1., 1., 0.])
    """

    is_reproducible: ClassVar[bool] = False

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Array | Sequence[Any]],
        /,
        *,
        activation: str | Sequence[str] | None = None,
        preprocessing: "Step | Sequence[Step] | None" = None,
        output: Output = "logits",
        classes: Sequence[str | int] | None = None,
    ) -> Self:
        """Return a network made from a dictionary of arrays: W1, b1, W2, b2 ...

        Parameters
        ----------
        arrays : mapping of str to array
            ``W1`` of shape (n_in, n_1), ``b1`` of shape (n_1,), ``W2`` ... without a gap.
        activation : str or sequence of str, optional
            One name per layer; or the name for the hidden layers, by default "sigmoid", while the
            last layer is the identity, as in the book. If there is one layer, a single name is its
            own, such as "step" for a perceptron; the default is the identity.
        preprocessing, output, classes
            As for `Network`.

        Raises
        ------
        TypeError, ValueError
            As raised by `Dense` and `Network`; also ValueError if a name is missing or unknown, or
            the number of activations is not the number of layers.

        Examples
        --------
        >>> Network.from_arrays({"W1": [[0.1, 0.2]], "b1": [0.0, 0.0]})
        Network(1 -> 2 identity; logits; float64, numpy)
        >>> Network.from_arrays({"W1": [[0.5], [0.5]], "b1": [-0.7]}, activation="step")
        Network(2 -> 1 step; logits; float64, numpy)
        """
        return cls(layers_from_arrays(arrays, activation), preprocessing, output, classes)

    def to(self, device: str | Device, /) -> Self:
        """Return the network with its parameters on a device, by a word of `xpnet.Device`.

        Raises
        ------
        DeviceError
            If the device does not exist or cannot be used.
        TypeError
            If the network is of float64, which the device lacks.
        """
        place = Device(device)
        dtype = "float64" if dtype_name(self.dtype) == "float64" else None  # others may change
        return self._mapped(lambda x: place.asarray(x, dtype=dtype))

    def astype(self, dtype: Any, /) -> Self:
        """Return the network with its parameters in another floating-point dtype.

        Parameters
        ----------
        dtype : str or dtype
            "float16", "bfloat16", "float32" or "float64".

        Raises
        ------
        TypeError
            If `dtype` is another one, or the library or device does not support it: NumPy and
            CuPy have no "bfloat16".
        ValueError
            If a parameter of a NumPy network overflows; others are not checked.
        """
        weight = self.layers[0].weight
        xp = array_namespace(weight)
        target = floating_dtype(dtype, xp)
        if target == xp.float64 and widest_floating(weight, xp) != target:
            msg = f"{self.library} has no float64 on this device or with its present settings"
            raise TypeError(msg)

        def narrowed(x: Any) -> Any:
            with without_warnings():
                y = cast(x, target, xp)
            if is_numpy(x) and xp.any(xp.isinf(y) & xp.isfinite(x)):
                msg = f"parameters must be finite in {dtype_name(target)}; got larger numbers"
                raise ValueError(msg)
            return y

        return self._mapped(narrowed)

    def map_arrays(self, convert: Callable[[Any], Any], /) -> Self:
        """Return the network with all its arrays converted; `convert` may keep its argument."""
        return self._mapped(lambda x: convert(x.copy() if is_numpy(x) else x))

    def _mapped(self, convert: Callable[[Any], Any]) -> Self:
        layers = (replace(x, weight=convert(x.weight), bias=convert(x.bias)) for x in self.layers)
        steps = (map_arrays(step, convert) for step in self.preprocessing)
        return replace(self, layers=tuple(layers), preprocessing=tuple(steps))

    def __call__(self, x: Any, /) -> Any:
        """Return the outputs for `x`; see `xpnet.forward`."""
        x = in_order(self, x)
        if is_dask(x) and self.library != "dask":
            return map_blocks(type(self).__call__, self, x, max(x.ndim - 1, 0))
        return over_rows(self.compute, x, self.layers[0].weight)

    def compute(self, x: Any, xp: Any) -> Any:
        """Return the outputs for rows that need no check."""
        for _, y in self.layer_results(x, xp):
            outputs = y
        return self.rounded(outputs, xp)

    def layer_results(
        self,
        x: Any,
        xp: Any,
        parameters: Sequence[tuple[Any, Any]] | None = None,
        *,
        keeps_sums: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Compute the forward pass of rows; yield the sums and the activations of each layer.

        Pairs (weight, bias) in `parameters` are used instead of the network's own. Unless
        `keeps_sums`, NumPy may overwrite sums by activations whose derivative needs no sums.
        """
        steps, triples = self._operands(x, parameters, keeps_sums=keeps_sums)
        y = preprocessed(steps, x, self.dtype, xp)
        for weight, bias, activate in triples:
            z = y @ weight
            z += bias
            y = activate(z, xp)
            yield z, y

    def inputs(self, x: Any, xp: Any) -> Any:
        """Return rows after the preprocessing: the inputs of the first layer."""
        return preprocessed(self.preprocessing, x, self.dtype, xp)

    def _operands(
        self, x: Any, parameters: Sequence[tuple[Any, Any]] | None, *, keeps_sums: bool
    ) -> tuple[Sequence[Step], Sequence[Triple]]:
        """Return the steps for rows, and the triples that follow, which a NumPy network keeps."""
        if self._kept is not None and parameters is None and not keeps_sums:
            return self._kept.for_rows(x)
        pairs = parameters or [(layer.weight, layer.bias) for layer in self.layers]
        functions = [layer.activate if keeps_sums else layer.overwrite for layer in self.layers]
        triples = [(*pair, function) for pair, function in zip(pairs, functions, strict=True)]
        return self.preprocessing, triples

    @property
    def ordinary(self) -> "Network":
        """The network itself, or for a reproducible one that of the usual computation."""
        return self

    def functions(self, x: Any) -> Any:
        """Return the namespace in which the network computes functions of an array."""
        return array_namespace(x)

    def widened(self, y: Any, xp: Any) -> Any:
        """Return numbers in the dtype of the computation, before results are rounded."""
        del xp
        return y

    def rounded(self, y: Any, xp: Any) -> Any:
        """Return numbers in the dtype of the network."""
        return cast(y, self.dtype, xp)


def forward(network: Network, x: Any, /) -> Any:
    """Return the outputs of a network: preprocessing, then activation(x @ weight + bias) by layer.

    Parameters
    ----------
    network : Network
    x : array of shape (..., n_in)
        Real numbers, of the network's library and device. They are preprocessed in the wider of
        their dtype and the network's, integers of 32 and 64 bits in float64 if the device supports
        it, and then cast to the network's; so raw ``uint8`` pixels need no conversion. A Dask
        array, of blocks of the network's library, gives a Dask array with the same chunks along the
        leading axes. Columns of a data frame are put in order as by `predict`.

    Returns
    -------
    array of shape (..., n_out)
        Logits, probabilities or values (see ``network.output``), in the library, device and dtype
        of the parameters. NaN and overflow show in their rows. The last digits may depend on the
        number of rows, the threads and the processor, except for a `reproducible` network.

    Raises
    ------
    TypeError
        If `x` belongs to another library, is complex, or is not an array of numbers, or `network`
        is a dictionary of arrays: see `Network.from_arrays`.
    ValueError
        If the last axis of `x` is not `n_in` long, or `x` is on another device.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> network = xpnet.Network([xpnet.Dense([[1.0], [2.0]], [0.5])])
    >>> forward(network, np.asarray([1, 1]))
    array([3.5])
    """
    check_network(network)
    return network(x)


def check_network(network: object) -> None:
    """Raise TypeError for an object that is no network, such as the book's dictionary."""
    if not isinstance(network, Network):
        is_book = isinstance(network, Mapping)
        hint = "; use Network.from_arrays(network, activation=...)" if is_book else ""
        msg = f"`network` must be a Network; got {type(network).__name__}{hint}"
        raise TypeError(msg)
