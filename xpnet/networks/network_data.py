"""A network as data: layers, preprocessing, kind of output, names of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from xpnet.arrays.namespace import device_of, dtype_name, library_of
from xpnet.arrays.transfer import is_usual
from xpnet.networks.column_names import input_names
from xpnet.networks.dense import Dense
from xpnet.networks.network_arguments import check_layers, checked_classes, checked_metadata
from xpnet.networks.operands import Operands
from xpnet.networks.preprocessing import Step, Whiten, checked_steps

__all__ = ["OUTPUTS", "NetworkData", "Output"]

Output = Literal["logits", "probabilities", "values"]
OUTPUTS: tuple[Output, ...] = get_args(Output)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class NetworkData:
    """The checked arguments of a `Network`, and its sizes."""

    layers: tuple[Dense, ...]
    preprocessing: tuple[Step, ...] = ()
    output: Output = "logits"
    classes: tuple[str | int, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    _kept: Operands | None = field(init=False)

    def __init__(
        self,
        layers: Sequence[Dense],
        preprocessing: "Step | Sequence[Step] | None" = None,
        output: Output = "logits",
        classes: Sequence[str | int] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(preprocessing, Step):
            preprocessing = (preprocessing,)
        layers = tuple(layers)
        check_layers(layers)
        steps = () if preprocessing is None else checked_steps(preprocessing, layers[0].weight)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "preprocessing", steps)
        object.__setattr__(self, "output", output)
        object.__setattr__(self, "metadata", checked_metadata(metadata))
        if output not in OUTPUTS:
            msg = f"`output` must be one of {', '.join(OUTPUTS)}; got {output!r}"
            raise ValueError(msg)
        names = None if classes is None else checked_classes(classes, self.n_classes)
        object.__setattr__(self, "classes", names)
        input_names(self)  # raises ValueError
        is_kept = all(is_usual(x) for layer in layers for x in (layer.weight, layer.bias))
        object.__setattr__(self, "_kept", Operands(layers, steps) if is_kept else None)

    @cached_property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.layers[0].n_in

    @cached_property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.layers[-1].n_out

    @cached_property
    def n_classes(self) -> int:
        """Number of classes: 2 for a single unit, 0 for a regression."""
        return 0 if self.output == "values" else max(self.n_out, 2)

    @cached_property
    def dtype(self) -> Any:
        """The dtype of the parameters and of the results."""
        return self.layers[0].weight.dtype

    @cached_property
    def library(self) -> str:
        """The library of the parameters: 'numpy', 'cupy', 'torch' ..."""
        return library_of(self.layers[0].weight)

    @property
    def device(self) -> Any:
        """The device of the parameters, an object of their library."""
        return device_of(self.layers[0].weight)

    @cached_property
    def widest(self) -> int:
        """Number of inputs, or of units of the widest layer if it has more."""
        return max(self.n_in, *(layer.n_out for layer in self.layers))

    @cached_property
    def multiplications(self) -> int:
        """Number of multiplications for one row: the number of weights."""
        n_whiten = sum(isinstance(step, Whiten) for step in self.preprocessing)
        return n_whiten * self.n_in**2 + sum(layer.n_in * layer.n_out for layer in self.layers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the arguments, without cached properties."""
        return type(self), self.fields

    @property
    def fields(self) -> tuple[Any, ...]:
        """The arguments that make an equal network."""
        metadata = dict(self.metadata)  # a read-only mapping cannot be pickled
        return self.layers, self.preprocessing, self.output, self.classes, metadata

    def __repr__(self) -> str:
        widths = " -> ".join(f"{layer.n_out} {layer.activation_text}" for layer in self.layers)
        parts = [f"{self.n_in} -> {widths}", *map(repr, self.preprocessing), self.output]
        return f"Network({'; '.join(parts)}; {dtype_name(self.dtype)}, {self.library})"
