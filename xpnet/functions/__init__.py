"""Functions of arrays: activations, softmax and losses.

Rules of the activations and of softmax and its relatives, which their docstrings do not repeat:

- `x` is an array of real numbers of any shape and any array-API library, or a number or nested
  lists, which become NumPy arrays. Functions along an axis need at least one axis.
- The result has the shape of `x`, its library and device, and its dtype if that is floating-point;
  booleans and integers are converted to the library's default floating dtype.
- NaN gives NaN. An infinity gives the limit of the function, up to rounding. No input gives a
  floating-point warning. Empty arrays give empty arrays.
- Errors are in ULP (units in the last place), for float32 and float64 on NumPy, torch and JAX.
  `xpnet.functions.activation.UlpBounds` states CuPy's, what they include and how all were measured.
- TypeError is raised if `x` is complex, wider than 64 bits or not numeric, if a numeric option is
  not a number, or if `axis` is not an integer.
- ValueError is raised if an option is not among the values that its description lists, or if `x`
  lacks the axis `axis` or a required length.

A public function converts its argument, validates its options and calls its mathematics: the
function of the same name with an underscore, which takes the namespace as `xp`. The mathematics
is written for float32 and float64; `xpnet.arrays.namespace.compute` computes smaller dtypes in
float32. Formulas never overflow, and use `bounded` rather than a selection by a mask.

Each activation is one block: the public function, its mathematics, and an `Activation` with the
derivative, the options, the error bounds, and its names in ONNX, torch and Keras. The `__all__` of
a module lists its public functions, which `xpnet` exports.
`xpnet.functions.activations.ACTIVATIONS` finds the blocks.
"""
