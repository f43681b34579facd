"""Functions of arrays: activations, softmax and losses.

Rules of the activations and of softmax and its relatives, which their docstrings do not repeat:

- `x` is an array of real numbers of any shape and any array-API library, or a number or nested
  lists, which become NumPy arrays. Functions along an axis need at least one axis.
- The result has the shape of `x`, its library and device, and its dtype if that is floating-point;
  booleans and integers are converted to the library's default floating dtype.
- NaN gives NaN. An infinity gives the limit of the function, up to rounding. No input gives a
  floating-point warning, except when Dask computes. Empty arrays give empty arrays.
- The error, in ULP (units in the last place), is at most that of `Activation.ulp_bound` in
  `xpnet.functions.activation`, for float32 and float64 in every library.
- TypeError is raised if `x` is complex, wider than 64 bits or not numeric, if a numeric option is
  not a number, or if `axis` is not an integer.
- ValueError is raised if an option is not among the values that its description lists, or if `x`
  lacks the axis `axis`.

Each activation is one block: a formula, with a docstring and a decorator that has its derivative,
options, error bounds, and names in ONNX, torch and Keras. The decorator makes the public function
of it, and enters it in the table `xpnet.functions.activations.ACTIVATIONS`. The `__all__` of a
module lists its public functions, which `xpnet` exports. Formulas are written for float32 and
float64; smaller dtypes are computed in float32 (`xpnet.arrays.namespace.compute`).
"""
