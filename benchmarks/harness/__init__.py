"""Shared parts of the benchmarks: workloads, rivals, measuring, provenance, tables."""
