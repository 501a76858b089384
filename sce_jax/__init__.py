"""Robust losses for learning with noisy labels, in JAX."""
