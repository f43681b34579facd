"""Libraries that benchmarks compare with xpnet, one per file."""
