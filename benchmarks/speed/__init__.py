"""The parts of activations.py: how fast each function is against plain NumPy, SciPy and torch."""
