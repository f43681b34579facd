"""Detection of computations that JAX or torch record for a compiler."""

from typing import Any

__all__ = ["is_traced"]


def is_traced(x: Any, /) -> bool:
    """Return whether `x` stands for the arrays of a computation that JAX or torch will compile."""
    library = type(x).__module__.partition(".")[0]
    if library == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    if library == "torch":
        import torch

        return torch.compiler.is_compiling() or torch.jit.is_tracing()
    return False
