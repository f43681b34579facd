"""Model files: one module per format, and `load` and `save`, which choose among them."""
