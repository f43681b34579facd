"""Functions of arrays: activations, softmax and losses.

A public function converts its argument, validates its options and calls its mathematics: the
function of the same name with an underscore, which takes the namespace as `xp`. The mathematics
is written for float32 and float64; `xpnet.arrays.namespace.compute` computes smaller dtypes in
float32. Formulas never overflow, and use `bounded` rather than a selection by a mask.

Each activation is one block: the public function, its mathematics, and an `Activation` with the
derivative, the options and the error bounds. `xpnet.functions.activations.ACTIVATIONS` lists them.
"""
