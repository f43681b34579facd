"""Which array library is this, which device, and how do bytes get there.

The only room that imports array-api-compat and CuPy.
"""
