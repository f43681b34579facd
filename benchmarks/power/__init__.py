"""The parts of detection.py: what the derived bounds let pass, and what they catch."""
