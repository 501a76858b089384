"""Benchmarks: `python -m experiments.benchmarks`, see README.md."""
