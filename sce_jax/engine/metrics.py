"""Sums and counts over examples, and the figures they give.

Batches, devices and whole splits are added up as sums; the division comes
once, at the end, so no figure depends on how the examples were batched.
"""

import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Confidence:
  """Sums of probabilities over the examples of each class, by clean label.

  Attributes:
    wrong_count: examples whose given label is not the clean one.
    right: over the others, of their label.
    wrong_clean: over the wrongly labelled, of their clean label.
    wrong_given: over the wrongly labelled, of their given label.
  """

  wrong_count: Int[Array, ' K']
  right: Float[Array, ' K']
  wrong_clean: Float[Array, ' K']
  wrong_given: Float[Array, ' K']


@struct.dataclass
@typing.no_type_check
class Sums:
  """Sums over examples; add them with `+`.

  Attributes:
    loss: sum of the losses against the given labels.
    class_count: examples of each class, by clean label.
    class_correct: of these, those predicted as their clean label.
    noisy_correct: examples predicted as their given label.
    wrong: examples whose given label is not the clean one.
    memorised: of these, those predicted as their (wrong) given label.
    confidence: what evaluations count besides; None in training.
  """

  loss: Float[Array, '']
  class_count: Int[Array, ' K']
  class_correct: Int[Array, ' K']
  noisy_correct: Int[Array, '']
  wrong: Int[Array, '']
  memorised: Int[Array, '']
  confidence: Confidence | None = None

  def __add__(self, other: 'Sums') -> 'Sums':
    return jax.tree.map(jnp.add, self, other)


def zeros(num_classes: int, *, confidence: bool = False) -> Sums:
  """The sums over no example.

  Args:
    num_classes: K.
    confidence: whether probabilities are summed too.
  """
  none = jnp.zeros((), jnp.int32)
  per_class = jnp.zeros((num_classes,), jnp.int32)
  share = jnp.zeros((num_classes,))
  return Sums(
    jnp.zeros(()),
    per_class,
    per_class,
    none,
    none,
    none,
    Confidence(per_class, share, share, share) if confidence else None,
  )


def sums(
  logits: Float[Array, 'N K'],
  losses: Float[Array, ' N'],
  label: Int[Array, ' N'],
  clean_label: Int[Array, ' N'],
  mask: Bool[Array, ' N'],
  *,
  confidence: bool = False,
) -> Sums:
  """Sums over the unmasked examples of a batch.

  Args:
    logits: the network's outputs.
    losses: the loss of each example.
    label: the given label, which the network is trained on.
    clean_label: the true label.
    mask: False for what only fills up the batch.
    confidence: whether to sum probabilities too, which training need not.
  """
  predicted = jnp.argmax(logits, axis=-1).astype(label.dtype)
  right = mask & (predicted == clean_label)
  given = mask & (predicted == label)
  wrong = mask & (label != clean_label)
  is_class = clean_label[:, None] == jnp.arange(
    logits.shape[-1], dtype=clean_label.dtype
  )

  def count(which, axis=None):
    return which.sum(axis, dtype=jnp.int32)

  return Sums(
    loss=jnp.where(mask, losses, 0.0).sum(),
    class_count=count(is_class & mask[:, None], 0),
    class_correct=count(is_class & right[:, None], 0),
    noisy_correct=count(given),
    wrong=count(wrong),
    memorised=count(wrong & given),
    confidence=_confidence(
      jax.nn.softmax(logits), label, clean_label, wrong, mask, is_class
    )
    if confidence
    else None,
  )


def _confidence(p, label, clean_label, wrong, mask, is_class) -> Confidence:
  def of(label):
    return jnp.take_along_axis(p, label[:, None], axis=-1)

  def total(which, values):
    return jnp.where(is_class & which[:, None], values, 0.0).sum(0)

  return Confidence(
    wrong_count=(is_class & wrong[:, None]).sum(0, dtype=jnp.int32),
    right=total(mask & ~wrong, of(clean_label)),
    wrong_clean=total(wrong, of(clean_label)),
    wrong_given=total(wrong, of(label)),
  )


def summarise(sums: Sums) -> dict[str, Any]:
  """The figures of a split.

  Returns:
    A dict that JSON can hold; None where there was nothing to divide by:
      loss: mean loss against the given labels.
      accuracy: share predicted as their clean label.
      accuracy_noisy: share predicted as their given label.
      memorised: share of the wrongly labelled predicted as their wrong label.
      class_accuracy: accuracy of each class, by clean label.
      examples: number of examples.
      class_confidence: where probabilities were summed, their means over the
        examples of each class: 'right', of the label of rightly labelled ones;
        'wrong_clean' and 'wrong_given', of the clean and of the given label of
        wrongly labelled ones.
  """
  counts = np.asarray(sums.class_count)
  correct = np.asarray(sums.class_correct)
  total = int(counts.sum())
  figures: dict[str, Any] = {
    'loss': _ratio(float(sums.loss), total),
    'accuracy': _ratio(int(correct.sum()), total),
    'accuracy_noisy': _ratio(int(sums.noisy_correct), total),
    'memorised': _ratio(int(sums.memorised), int(sums.wrong)),
    'class_accuracy': [
      _ratio(int(c), int(n)) for c, n in zip(correct, counts, strict=True)
    ],
    'examples': total,
  }
  if sums.confidence is not None:
    wrong = np.asarray(sums.confidence.wrong_count)
    figures['class_confidence'] = {
      name: [
        _ratio(float(p), int(n))
        for p, n in zip(getattr(sums.confidence, name), count, strict=True)
      ]
      for name, count in (
        ('right', counts - wrong),
        ('wrong_clean', wrong),
        ('wrong_given', wrong),
      )
    }
  return figures


def _ratio(numerator: float | int, denominator: int) -> float | None:
  return numerator / denominator if denominator else None
