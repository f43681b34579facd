"""Shared parts of the benchmarks: options, workloads, rivals, measuring, processes, reports."""
