"""Check of a matrix product on a GPU against the host."""

from xpnet.arrays.gpu.gpu_info import FIRST_WITH_TF32, compute_capability

__all__ = ["product_error"]


def product_error(index: int, *, tf32: bool) -> float:
    """Return the largest error of the GPU's x @ weight + bias, in units of its rounding bound."""
    import cupy
    import numpy as np

    n_in = 64
    draw = np.random.default_rng(0).standard_normal
    x, weight, bias = (draw(shape, dtype=np.float32) for shape in ((32, n_in), (n_in, 16), 16))
    with cupy.cuda.Device(index):
        on_device = cupy.asarray(x) @ cupy.asarray(weight) + cupy.asarray(bias)
        computed = cupy.asnumpy(on_device).astype(np.float64)
    # The float32 values are exact in float64, in which the host computes the reference.
    exact = x.astype(np.float64) @ weight.astype(np.float64) + bias
    rounding = (n_in + 1) * 2.0**-24
    gamma = rounding / (1 - rounding)
    if tf32 and compute_capability(index) >= FIRST_WITH_TF32:
        gamma += 2.0**-9 + 2.0**-20
    bound = gamma * (abs(x) @ abs(weight) + abs(bias))
    return float(np.max(abs(computed - exact) / bound))
