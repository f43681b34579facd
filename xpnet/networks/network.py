"""A network as data, and its forward pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

from xpnet._typing import Array
from xpnet.arrays.cpu.blocked_matmul import affine, may_be_shared_out, times_once
from xpnet.arrays.device import Device
from xpnet.arrays.gpu.fusion import with_bias
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    cast,
    current_device,
    device_of,
    floating_dtype,
    is_real,
    library_of,
    widest_floating,
)
from xpnet.arrays.ranges import dtype_before_cast, finite_cast, is_far_below, without_overflow
from xpnet.functions.activations import ACTIVATIONS
from xpnet.networks.dense import Dense
from xpnet.networks.preprocessing import Step, Whiten, arrays_of, map_arrays

__all__ = [
    "OUTPUTS",
    "Network",
    "Output",
    "forward",
    "layer_results",
    "output_of",
    "outputs",
    "preprocessed",
]

Output = Literal["logits", "probabilities", "values"]
OUTPUTS: tuple[Output, ...] = ("logits", "probabilities", "values")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Network:
    """Layers, what is done to the inputs before them, and what the outputs mean.

    Parameters
    ----------
    layers : sequence of Dense
        At least one; all of one library, device and dtype; each as wide as the next one takes.
    preprocessing : step or sequence of steps, optional
        Applied to the inputs in this order, such as ``Scale(1 / 255)``. Kept as a tuple; what
        they have of arrays, in the dtype of the layers.
    output : {"logits", "probabilities", "values"}, default "logits"
        What the last layer gives: logits of classes (one unit: the logit of class 1 against
        class 0), probabilities already, or the values of a regression.
    classes : sequence of str or int, optional
        What the class ids 0, 1, 2 ... stand for; by default themselves.

    Raises
    ------
    TypeError
        If a layer is no `Dense`, two layers differ in library or dtype, the preprocessing is of
        another library, or a class is neither a text nor a whole number.
    ValueError
        If there is no layer, two widths do not fit, the devices differ, the preprocessing is for
        another number of inputs, `output` is unknown, or `classes` does not have one entry for
        each class.

    Examples
    --------
    The two layers that exclusive or needs.

    >>> import numpy as np
    >>> hidden = Dense([[0.5, -0.5], [0.5, -0.5]], [-0.2, 0.7], "step")  # OR and NAND
    >>> xor = Network([hidden, Dense([[0.5], [0.5]], [-0.7], "step")])  # AND
    >>> xor(np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0]
    array([0., 1., 1., 0.])
    """

    layers: tuple[Dense, ...]
    preprocessing: tuple[Step, ...] = ()
    output: Output = "logits"
    classes: tuple[str | int, ...] | None = None

    def __init__(
        self,
        layers: Sequence[Dense],
        preprocessing: Step | Sequence[Step] | None = None,
        output: Output = "logits",
        classes: Sequence[str | int] | None = None,
    ) -> None:
        if preprocessing is None:
            preprocessing = ()
        elif isinstance(preprocessing, Step):
            preprocessing = (preprocessing,)
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "preprocessing", tuple(preprocessing))
        object.__setattr__(self, "output", output)
        if classes is not None:
            # NumPy's numbers and texts, as numpy.unique gives them, become Python's.
            classes = tuple(name.item() if hasattr(name, "item") else name for name in classes)
        object.__setattr__(self, "classes", classes)
        self._check_layers()
        self._check_preprocessing()
        self._check_meaning()

    def _check_layers(self) -> None:
        if not self.layers:
            msg = "`layers` must hold at least one layer; got none"
            raise ValueError(msg)
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Dense):
                msg = f"`layers` must be Dense layers; got {type(layer).__name__} in place {i}"
                raise TypeError(msg)
        array_namespace(*(layer.weight for layer in self.layers))
        for i, (layer, following) in enumerate(pairwise(self.layers)):
            if layer.n_out != following.n_in:
                msg = (
                    f"`layers` must fit: layer {i} gives {layer.n_out} values, but layer {i + 1}"
                    f" takes {following.n_in} (weights {tuple(layer.weight.shape)} and"
                    f" {tuple(following.weight.shape)})"
                )
                raise ValueError(msg)
            if layer.weight.dtype != following.weight.dtype:
                msg = (
                    f"`layers` must have one dtype; got {layer.weight.dtype} in layer {i} and"
                    f" {following.weight.dtype} in layer {i + 1}"
                )
                raise TypeError(msg)

    def _check_preprocessing(self) -> None:
        for step in self.preprocessing:
            if not isinstance(step, Step):
                msg = f"`preprocessing` must be steps such as Scale; got {type(step).__name__}"
                raise TypeError(msg)
            for name, x in arrays_of(step).items():
                array_namespace(self.layers[0].weight, x)
                if tuple(x.shape) != (self.n_in,) * x.ndim:
                    msg = (
                        f"`preprocessing` must have one {name} for each of {self.n_in} inputs; got"
                        f" the shape {tuple(x.shape)}"
                    )
                    raise ValueError(msg)
        steps = tuple(map_arrays(step, self._in_own_dtype) for step in self.preprocessing)
        object.__setattr__(self, "preprocessing", steps)

    def _in_own_dtype(self, x: Any) -> Any:
        with current_device(x):
            return finite_cast(x, self.dtype, array_namespace(x), "preprocessing")

    def _check_meaning(self) -> None:
        if self.output not in OUTPUTS:
            msg = f"`output` must be one of {', '.join(OUTPUTS)}; got {self.output!r}"
            raise ValueError(msg)
        if self.classes is None:
            return
        if any(type(name) not in {str, int} for name in self.classes):
            msg = f"`classes` must be texts or whole numbers; got {list(self.classes)}"
            raise TypeError(msg)
        if self.output == "values":
            msg = "`classes` must be None for output='values'; a regression has no classes"
            raise ValueError(msg)
        if len(set(self.classes)) != self.n_classes or len(self.classes) != self.n_classes:
            msg = (
                f"`classes` must be {self.n_classes} different names, one for each class;"
                f" got {len(self.classes)}, {len(set(self.classes))} of them different"
            )
            raise ValueError(msg)

    @cached_property
    def n_in(self) -> int:
        """How many inputs the network takes."""
        return self.layers[0].n_in

    @cached_property
    def n_out(self) -> int:
        """How many outputs the network gives."""
        return self.layers[-1].n_out

    @cached_property
    def n_classes(self) -> int:
        """How many classes the outputs tell apart: one unit tells two, a regression none."""
        if self.output == "values":
            return 0
        return max(self.n_out, 2)

    @cached_property
    def dtype(self) -> Any:
        """The dtype of the parameters, in which the network computes."""
        return self.layers[0].weight.dtype

    @cached_property
    def library(self) -> str:
        """The library of the parameters: 'numpy', 'cupy', 'torch' ..."""
        return library_of(self.layers[0].weight)

    @property
    def device(self) -> Any:
        """The device of the parameters, in their library's own terms."""
        return device_of(self.layers[0].weight)

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Array | Sequence[Any]],
        /,
        *,
        activation: str | Sequence[str] = "sigmoid",
        preprocessing: Step | Sequence[Step] | None = None,
        output: Output = "logits",
        classes: Sequence[str | int] | None = None,
    ) -> Self:
        """Make a network of the book's dictionary: W1, b1, W2, b2 ...

        Parameters
        ----------
        arrays : mapping of str to array
            ``W1`` of shape (n_in, n_1), ``b1`` of shape (n_1,), ``W2`` ... without a gap.
        activation : str or sequence of str, default "sigmoid"
            The activation of the hidden layers (the last one is the identity), or one for each
            layer.
        preprocessing, output, classes
            As for `Network`.

        Raises
        ------
        ValueError
            If a name is missing or is none of these, or there are not as many activations as
            layers; and as `Dense` and `Network` raise.
        TypeError
            As `Dense` and `Network` raise.

        Examples
        --------
        >>> Network.from_arrays({"W1": [[0.1, 0.2]], "b1": [0.0, 0.0]})
        Network(1 -> 2 identity; logits; float64, numpy)
        """
        n_layers = max(len(arrays) // 2, 1)
        names = [f"{kind}{i}" for i in range(1, n_layers + 1) for kind in "Wb"]
        if set(names) != set(arrays):
            msg = (
                f"`arrays` must be named {', '.join(names)} (a weight and a bias for each layer);"
                f" got {', '.join(sorted(map(str, arrays))) or 'nothing'}"
            )
            raise ValueError(msg)
        if isinstance(activation, str):
            activation = [activation] * (n_layers - 1) + ["identity"]
        if len(activation) != n_layers:
            msg = f"`activation` must name one for each of {n_layers} layers; got {len(activation)}"
            raise ValueError(msg)
        layers = [
            Dense(arrays[f"W{i}"], arrays[f"b{i}"], name)
            for i, name in enumerate(activation, start=1)
        ]
        return cls(layers, preprocessing=preprocessing, output=output, classes=classes)

    def to(self, device: str | Device, /) -> Self:
        """Return the network with its parameters on a device: "cpu", "gpu", "gpu:N" or "auto".

        Raises
        ------
        DeviceError
            If there is no such device; it never falls back.
        """
        return self.map_arrays(Device(device).to_device)

    def astype(self, dtype: Any, /) -> Self:
        """Return the network with its parameters in another floating-point dtype.

        Parameters
        ----------
        dtype : str or dtype
            "float16", "bfloat16", "float32" or "float64".

        Returns
        -------
        Network

        Raises
        ------
        TypeError
            If it is none of these, or the library or device has it not: NumPy has no "bfloat16",
            and CuPy has it with the package ml_dtypes.
        ValueError
            If a finite parameter of a NumPy network is infinite in that dtype. Parameters of other
            libraries are not looked at.

        Examples
        --------
        >>> Network([Dense([[1.0]], [0.0])]).astype("float32")
        Network(1 -> 1 identity; logits; float32, numpy)
        """
        weight = self.layers[0].weight
        xp = array_namespace(weight)
        target = floating_dtype(dtype, xp)
        if target == xp.float64 and widest_floating(weight, xp) != target:
            msg = f"{self.library} has no float64 here"  # on this device, or by its settings
            raise TypeError(msg)

        def convert(x: Any) -> Any:
            with current_device(x):
                return finite_cast(x, target, xp, "parameters")

        return self.map_arrays(convert)

    def map_arrays(self, convert: Callable[[Any], Any], /) -> Self:
        """Return the network with each of its arrays converted, those of preprocessing, too."""
        layers = tuple(
            replace(layer, weight=convert(layer.weight), bias=convert(layer.bias))
            for layer in self.layers
        )
        steps = tuple(map_arrays(step, convert) for step in self.preprocessing)
        return replace(self, layers=layers, preprocessing=steps)

    def __call__(self, x: Any, /) -> Any:
        """Return ``forward(self, x)``."""
        return forward(self, x)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by the arguments, without what is worked out from them."""
        return type(self), (self.layers, self.preprocessing, self.output, self.classes)

    @cached_property
    def multiplications(self) -> int:
        """How many multiplications one row takes: as many as there are weights."""
        n_white = sum(isinstance(step, Whiten) for step in self.preprocessing)
        return n_white * self.n_in**2 + sum(layer.n_in * layer.n_out for layer in self.layers)

    @cached_property
    def may_be_shared_out(self) -> bool:
        """Whether NumPy's BLAS may share out a matrix product of the network among threads."""
        return self._whitens or any(may_be_shared_out(layer.weight) for layer in self.layers)

    @cached_property
    def _whitens(self) -> bool:
        """Whether an input changes others in the preprocessing."""
        return any(isinstance(step, Whiten) for step in self.preprocessing)

    @cached_property
    def _stages(self) -> tuple["_Stage", ...]:
        """The layers, ready to compute."""
        return tuple(map(_stage_of, self.layers, self._activations))

    @cached_property
    def _activations(self) -> tuple[Callable[[Any, Any], Any], ...]:
        xp = array_namespace(self.layers[0].weight)
        return tuple(
            ACTIVATIONS[layer.activation].prepared(xp, self.dtype, **layer.options)
            for layer in self.layers
        )

    def __repr__(self) -> str:
        widths = " -> ".join(f"{layer.n_out} {layer.activation_text}" for layer in self.layers)
        parts = [f"{self.n_in} -> {widths}", *map(repr, self.preprocessing), self.output]
        return f"Network({'; '.join(parts)}; {self.dtype}, {self.library})"


class _Stage(NamedTuple):
    """A layer with all looked up that its computation needs.

    Attributes
    ----------
    weigh : callable
        From x to x @ weight + bias.
    activate : callable
        From that to the layer's results.
    late_bias : array or None
        What `activate` adds, and not `weigh`: so both are one pass through a GPU's memory.
    """

    weigh: Callable[[Any], Any]
    activate: Callable[[Any, Any], Any]
    late_bias: Any = None


def _stage_of(layer: Dense, activate: Callable[[Any, Any], Any]) -> _Stage:
    weight, bias = layer.weight, layer.bias
    if ACTIVATIONS[layer.activation].is_elementwise:
        fused = with_bias(activate, bias, array_namespace(weight))
        if fused is not None:
            return _Stage(lambda x: x @ weight, fused, bias)
    return _Stage(affine(weight, bias), activate)


def output_of(layers: Sequence[Dense], /) -> Output:
    """Return what the outputs of layers are, where nobody says it: probabilities, or logits.

    Probabilities come of a softmax, or of the sigmoid of a single unit.
    """
    last = layers[-1]
    is_share = last.activation == "softmax" or (last.activation == "sigmoid" and last.n_out == 1)
    return "probabilities" if is_share else "logits"


def forward(network: Network, x: Any, /) -> Any:
    """Return the outputs of a network: preprocessing, then activation(x @ weight + bias) by layer.

    Parameters
    ----------
    network : Network
    x : array of shape (..., n_in)
        Real numbers, of the network's library and device; cast to the dtype of its parameters,
        so raw ``uint8`` pixels go in as they are. Where the range of their dtype is wider, they
        are preprocessed in that dtype, and cast afterwards.

    Returns
    -------
    array of shape (..., n_out)
        What ``network.output`` says, in the library, device and dtype of the parameters.

    Raises
    ------
    TypeError
        If `x` belongs to another library, is complex, or is no array of numbers.
    ValueError
        If `x` has another number of inputs, or is on another device. Of NumPy arrays, if a finite
        number is infinite in the dtype of the parameters, also after the preprocessing. The values
        of other arrays are not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> forward(Network([Dense([[1.0], [2.0]], [0.5])]), np.asarray([1, 1]))
    array([3.5])
    """
    x = as_array(x)
    xp = array_namespace(x, network.layers[0].weight)
    if not is_real(x, xp):
        msg = f"`x` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    if x.ndim == 0 or x.shape[-1] != network.n_in:
        msg = f"`x` must have the shape (..., {network.n_in}); got {tuple(x.shape)}"
        raise ValueError(msg)
    with current_device(x):
        if x.ndim <= 2:
            return outputs(network, x, xp)
        # Matrices only: for more dimensions NumPy multiplies one matrix at a time, and CuPy
        # computes float16 in float32.
        y = outputs(network, xp.reshape(x, (-1, network.n_in)), xp)
        return xp.reshape(y, (*x.shape[:-1], network.n_out))


def outputs(network: Network, x: Any, xp: Any) -> Any:
    """Return the outputs for rows that are known to suit the network: what `forward` computes."""
    y = preprocessed(network, x, xp)
    for weigh, activate, _ in network._stages:  # noqa: SLF001 (of this module)
        y = activate(weigh(y), xp)
    return y


def layer_results(
    network: Network, x: Any, xp: Any, parameters: Sequence[tuple[Any, Any]] | None = None
) -> Iterator[tuple[Any, Any]]:
    """Compute the forward pass, and yield what each stage was given and what it made of it.

    The first pair is the preprocessing: x, and x in the network's dtype, preprocessed. Then come
    the layers: x @ weight + bias, and its activation. Pairs of weight and bias can be given that
    take the place of the network's own for this one time.
    """
    stages: Iterable[_Stage]
    if parameters is None:
        stages = network._stages  # noqa: SLF001 (of this module)
    else:
        weighings = (partial(times_once, weight, bias) for weight, bias in parameters)
        stages = map(_Stage, weighings, network._activations)  # noqa: SLF001 (of this module)
    y = preprocessed(network, x, xp)
    yield x, y
    for weigh, activate, late_bias in stages:
        weighted = weigh(y)
        y = activate(weighted, xp)
        yield weighted if late_bias is None else weighted + late_bias, y


def preprocessed(network: Network, x: Any, xp: Any) -> Any:
    """Return rows that are known to suit the network as its first layer takes them."""
    steps, dtype = network.preprocessing, network.dtype
    before = dtype_before_cast(x.dtype, dtype, xp)

    def compute() -> Any:
        y = cast(x, before, xp)
        for step in steps:
            y = step.compute(y, xp)
        return cast(y, dtype, xp)

    # To watch a row takes a tenth of its time.
    if before == dtype and (not steps or is_far_below(x.dtype, dtype, xp)):
        return compute()
    return without_overflow(compute, x, xp, dtype, is_mixed=network._whitens)  # noqa: SLF001 (of this module)
