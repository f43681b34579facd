"""Pure mathematics: array in, array out, in the library, device and dtype of the argument.

A public function finds the namespace and checks its argument; the function of the same name
with an underscore is its mathematics, and takes the namespace as `xp`. Adding an activation
that layers can name is adding one row to `xpnet.functions.activations.ACTIVATIONS`.
"""
