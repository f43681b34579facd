"""Command line of xpnet: a file for each command; no names are public, so `__all__` is absent."""
