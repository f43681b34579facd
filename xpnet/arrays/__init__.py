"""Array libraries and devices: namespaces, dtypes, transfers, precision.

The only subpackage that imports array-api-compat and CuPy.
"""
