"""Whole processes, from start to exit: who they are, how they are timed and drawn."""
