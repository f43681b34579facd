"""The parts of training.py: other ways to do what `xpnet.train` does, timed."""
