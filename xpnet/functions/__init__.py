"""Pure mathematics: array in, array out, in the library, device and dtype of the argument.

A public function finds the namespace and checks its options; the function of the same name with
an underscore is its mathematics, and takes the namespace as `xp`. It knows float32 and float64
only: `xpnet.arrays.namespace.compute` computes smaller dtypes in float32. Formulas neither select
by a mask where `bounded` will do nor ever overflow.

An activation that layers can name is one row in `xpnet.functions.activations.ACTIVATIONS`, its
derivative one function in `derivatives`, and how far it may be from its true value one line in
`bounds`.
"""
