"""What noise the labels of a data set have, whatever made it."""

import hashlib

from jaxtyping import Float64, Integer
import numpy as np

from sce_jax.noise import checks
from sce_jax.noise.open_set import Replaced


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


def fingerprint(
  ids: Integer[np.ndarray, ' N'],
  labels: Integer[np.ndarray, ' N'],
  replaced: Replaced | None = None,
) -> str:
  """A digest by which two programs show that they use the same labels.

  The SHA-256 of the ids, rising, as little-endian int64, followed by their
  labels as little-endian int32. Where images were replaced there follow the
  name of the data set that the others are of, in UTF-8, the ids of these
  examples, rising, and those of the images, both as little-endian int64. It
  does not depend on the order in which the examples are given, nor on the types
  of the arrays.

  Args:
    ids: unique integers naming the examples.
    labels: their labels.
    replaced: the images that were replaced; None, or none of them: none.

  Returns:
    64 hexadecimal digits.

  Raises:
    ValueError: the ids or labels are malformed.

  >>> fingerprint(np.array([7, 3]), np.array([0, 1]))[:16]
  '8056e5111cfffb98'
  """
  checks.check_ids(ids)
  checks.check_integers('labels', labels, size=len(ids))
  order = np.argsort(ids)
  content = ids[order].astype('<i8').tobytes()
  content += labels[order].astype('<i4').tobytes()
  if replaced is not None and len(replaced.ids):
    order = np.argsort(replaced.ids)
    content += replaced.source.encode()
    content += replaced.ids[order].astype('<i8').tobytes()
    content += replaced.images[order].astype('<i8').tobytes()
  return hashlib.sha256(content).hexdigest()
