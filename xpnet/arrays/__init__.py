"""Array libraries and devices; the only room that imports array-api-compat and CuPy."""
