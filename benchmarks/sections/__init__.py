"""Sections of benchmarks/gpu.py: one question each."""
