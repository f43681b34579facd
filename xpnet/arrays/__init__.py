"""Array libraries and devices: namespaces, dtypes, transfers, precision.

The only room that imports array-api-compat and CuPy.
"""
