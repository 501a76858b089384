"""What predictions are worth: confusions, precision, recall, calibration."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int
import numpy as np
from sklearn import metrics

BINS = 15
# Of fewer classes the five most probable ones say little.
_MANY_CLASSES = 10


def figures(
  labels: Int[np.ndarray, ' N'],
  probability: Float[np.ndarray, 'N K'],
  names: Sequence[str],
) -> dict[str, Any]:
  """The figures of predictions against one set of labels.

  Args:
    labels: from 0 to K - 1; -1 where one is not known, which does not count.
    probability: of each class.
    names: of the K classes.

  Returns:
    A dict that JSON can hold, shares between 0 and 1: `examples`; `accuracy`;
    `balanced_accuracy`, the mean recall of the classes that there are;
    `top5_accuracy`, None of 10 classes or fewer; `ece`, the expected
    calibration error in 15 bins of equal width (Guo et al., ICML 2017);
    `reliability`, its bins; `classes`, of each its name, examples, precision
    and recall, None where there is nothing to divide by; and `confusion`,
    counts by label and prediction.

  Raises:
    ValueError: no label is known.
  """
  known = labels >= 0
  if not known.any():
    raise ValueError('no label is known')
  labels, probability = labels[known], probability[known]
  size = len(names)
  predicted = probability.argmax(1)
  right = predicted == labels
  confusion = metrics.confusion_matrix(labels, predicted, labels=range(size))
  hits = np.diag(confusion)
  recalls = _ratios(hits, confusion.sum(1))
  bins = reliability(probability.max(1), right)
  top5 = None
  if size > _MANY_CLASSES:
    best = np.argpartition(-probability, 5, axis=1)[:, :5]
    top5 = float((best == labels[:, None]).any(1).mean())
  return {
    'examples': len(labels),
    'accuracy': float(right.mean()),
    'balanced_accuracy': float(
      np.mean([recall for recall in recalls if recall is not None])
    ),
    'top5_accuracy': top5,
    'ece': sum(b['share'] * abs(b['accuracy'] - b['confidence']) for b in bins),
    'reliability': bins,
    'classes': [
      {'name': name, 'examples': int(n), 'precision': p, 'recall': r}
      for name, n, p, r in zip(
        names,
        confusion.sum(1),
        _ratios(hits, confusion.sum(0)),
        recalls,
        strict=True,
      )
    ],
    'confusion': confusion.tolist(),
  }


def reliability(
  confidence: Float[np.ndarray, ' N'], right: np.ndarray
) -> list[dict[str, float]]:
  """How often predictions are right, by how sure they are.

  Args:
    confidence: the probability of what is predicted.
    right: whether it is right.

  Returns:
    Of each of 15 bins of equal width that is not empty: `from` and `to`, its
    ends; `share`, of the examples; `confidence` and `accuracy`, their means.
  """
  # The upper end belongs to a bin, as in the paper.
  place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
  return [
    {
      'from': k / BINS,
      'to': (k + 1) / BINS,
      'share': float(some.mean()),
      'confidence': float(confidence[some].mean(dtype=np.float64)),
      'accuracy': float(right[some].mean()),
    }
    for k in range(BINS)
    if (some := place == k).any()
  ]


def _ratios(counts: np.ndarray, totals: np.ndarray) -> list[float | None]:
  return [
    int(n) / int(total) if total else None
    for n, total in zip(counts, totals, strict=True)
  ]
