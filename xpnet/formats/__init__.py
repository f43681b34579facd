"""Weights on disk: a file for each format, and `load` and `save`, which choose among them."""
