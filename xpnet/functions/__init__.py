"""Functions of arrays: activations, softmax and losses.

Rules of the activations and of softmax and its relatives:

- `x` is an array of real numbers of any shape and any array-API library, or a number or nested
  lists, which become NumPy arrays. Functions along an axis need at least one axis.
- The result has the shape of `x`, its library and device, and its dtype if that is floating-point;
  booleans and integers are converted to the library's default floating dtype.
- NaN gives NaN. An infinity gives the limit of the function, up to rounding, or NaN along an axis.
  No input gives a floating-point warning, except when Dask computes. Empty arrays give empty ones.
- The error of an elementwise function, in ULP (units in the last place), is at most that of
  `Activation.ulp_bound` in `xpnet.functions.activation`, for float32 and float64 in every library.
- TypeError is raised if `x` is complex, wider than 64 bits or not numeric, if a numeric option is
  not a number, or if `axis` is not an integer.
- ValueError is raised if an option is not among the values that its description lists, or if `x`
  lacks the axis `axis`.

Each activation is one block: a formula under the decorator of `xpnet.functions.activation`, which
explains how to write one. `xpnet.functions.activations.ACTIVATIONS` finds the blocks in the modules
that it lists. The `__all__` of a module has its public functions, which `xpnet` exports.
"""
