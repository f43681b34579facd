"""What `benchmarks/gpu.py` measures on a card: limits, checks, speed, and the tables of it."""
