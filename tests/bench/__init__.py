"""Benchmarks: whole processes against the reference loop, on one machine in one run."""
