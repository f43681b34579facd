"""The parts of accuracy.py: the largest error of every function over all inputs of float32."""
