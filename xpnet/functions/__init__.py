"""Functions of arrays: activations, softmax and losses.

Rules of the activations and of softmax and its relatives, for arrays of every library:

- The result is an array of the same library, on the same device. Floating-point dtypes are kept;
  booleans and integers are converted to the library's default floating dtype.
- TypeError is raised if `x` is complex, wider than 64 bits or not numeric, if a numeric option is
  not a number, or if `axis` is not an integer.
- ValueError is raised if an option is not among the values that its description lists, or if `x`
  lacks the axis `axis` or a required length.

A public function converts its argument, validates its options and calls its mathematics: the
function of the same name with an underscore, which takes the namespace as `xp`. The mathematics
is written for float32 and float64; `xpnet.arrays.namespace.compute` computes smaller dtypes in
float32. Formulas never overflow, and use `bounded` rather than a selection by a mask.

Each activation is one block: the public function, its mathematics, and an `Activation` with the
derivative, the options and the error bounds. `xpnet.functions.activations.ACTIVATIONS` lists them.
"""
