"""What is built on runs: comparisons, pictures, benchmarks."""
