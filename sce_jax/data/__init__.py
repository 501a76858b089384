"""Data sets: tfds builders in, batches with noisy labels out."""
