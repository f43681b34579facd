"""Derived bounds of the distance between correct results and the true values."""
