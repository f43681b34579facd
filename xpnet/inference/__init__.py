"""Inference on many rows in bounded memory."""
