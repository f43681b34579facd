"""The parts of inference.py and scaling.py: other ways to do what `xpnet.predict` does, timed."""
