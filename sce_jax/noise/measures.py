"""What noise the labels of a data set have, whatever made it."""

from jaxtyping import Float64, Integer
import numpy as np

from sce_jax.noise import checks


def empirical_transition_matrix(
  clean: Integer[np.ndarray, ' N'],
  noisy: Integer[np.ndarray, ' N'],
  num_classes: int,
) -> tuple[Float64[np.ndarray, 'K K'], float]:
  """Counts the noise there is.

  Args:
    clean: clean labels, integers in [0, K).
    noisy: noisy labels of the same examples.
    num_classes: K.

  Returns:
    The matrix, float64[K, K], of which row i holds the shares of class i's
    examples that carry each label (all 0 if the class is absent); and the
    overall share of wrong labels, in [0, 1].

  Raises:
    ValueError: there are no labels, or they are malformed.

  >>> clean, noisy = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
  >>> empirical_transition_matrix(clean, noisy, 2)
  (array([[0.5, 0.5],
         [0. , 1. ]]), 0.25)
  """
  checks.check_labels('clean labels', clean, num_classes)
  checks.check_labels('noisy labels', noisy, num_classes, size=len(clean))
  if not len(clean):
    raise ValueError('no labels to measure noise on: give at least one')
  # Widened first: as uint8 the product would wrap.
  pairs = clean.astype(np.int64) * num_classes + noisy.astype(np.int64)
  counts = np.bincount(pairs, minlength=num_classes**2).reshape(
    num_classes, num_classes
  )
  matrix = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  return matrix, float(np.mean(clean != noisy))
