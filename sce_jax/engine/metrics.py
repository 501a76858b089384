"""Sums and counts over examples, and the figures they give.

Batches, devices and whole splits are added up as sums; the division comes
once, at the end, so no figure depends on how the examples were batched.
"""

from collections.abc import Mapping, Sequence
import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from sce_jax.data.batches import Batch


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Confidence:
  """Sums of probabilities over the examples of each class, by clean label.

  Attributes:
    wrong_count: examples whose noisy label is not the clean one.
    right: over the others, of their label.
    wrong_clean: over the wrongly labelled, of their clean label.
    wrong_given: over the wrongly labelled, of their noisy label.
  """

  wrong_count: Int[Array, ' K']
  right: Float[Array, ' K']
  wrong_clean: Float[Array, ' K']
  wrong_given: Float[Array, ' K']


@struct.dataclass
@typing.no_type_check
class CleanSums:
  """Sums over the examples whose clean label is known and one of the classes.

  Attributes:
    class_count: examples of each class.
    class_correct: of these, those predicted as their clean label.
    wrong: examples whose noisy label is not the clean one.
    memorised: of these, those predicted as their (wrong) noisy label.
    confidence: only in evaluations.
  """

  class_count: Int[Array, ' K']
  class_correct: Int[Array, ' K']
  wrong: Int[Array, '']
  memorised: Int[Array, '']
  confidence: Confidence | None = None


@struct.dataclass
@typing.no_type_check
class Sums:
  """Sums over examples; add them with `+`.

  Attributes:
    loss: sum of the losses against the noisy labels.
    count: number of examples.
    noisy_correct: examples predicted as their noisy label.
    clean: what is counted against clean labels; None where none is known.
    figures: sums of the method's own figures, by name.
  """

  loss: Float[Array, '']
  count: Int[Array, '']
  noisy_correct: Int[Array, '']
  clean: CleanSums | None
  figures: Mapping[str, Float[Array, '']] = struct.field(default_factory=dict)

  def __add__(self, other: 'Sums') -> 'Sums':
    return jax.tree.map(jnp.add, self, other)


def zeros(
  num_classes: int,
  *,
  clean: bool = True,
  confidence: bool = False,
  figures: Sequence[str] = (),
) -> Sums:
  """The sums over no example.

  Args:
    num_classes: K.
    clean: whether clean labels are known.
    confidence: whether probabilities are summed too.
    figures: names of the method's own figures.
  """
  none = jnp.zeros((), jnp.int32)
  per_class = jnp.zeros((num_classes,), jnp.int32)
  share = jnp.zeros((num_classes,))
  return Sums(
    loss=jnp.zeros(()),
    count=none,
    noisy_correct=none,
    clean=CleanSums(
      per_class,
      per_class,
      none,
      none,
      Confidence(per_class, share, share, share) if confidence else None,
    )
    if clean
    else None,
    figures={name: jnp.zeros(()) for name in figures},
  )


def sums(
  logits: Float[Array, 'N K'],
  losses: Float[Array, ' N'],
  batch: Batch,
  *,
  confidence: bool = False,
  figures: Mapping[str, Float[Array, ' N']] | None = None,
) -> Sums:
  """Sums over the unmasked examples of a batch.

  Args:
    logits: the network's outputs.
    losses: the loss of each example.
    batch: its labels and mask.
    confidence: whether to sum probabilities too; training does not need them.
    figures: the method's own figures of each example.
  """
  mask = batch.counted
  predicted = jnp.argmax(logits, axis=-1).astype(batch.label.dtype)

  def total(values):
    return jnp.where(mask, values, 0.0).sum()

  return Sums(
    loss=total(losses),
    count=_count(mask),
    noisy_correct=_count(mask & (predicted == batch.label)),
    clean=None
    if batch.clean_label is None
    else _clean_sums(
      logits, predicted, batch.label, batch.clean_label, mask, confidence
    ),
    figures={name: total(values) for name, values in (figures or {}).items()},
  )


def _count(which, axis=None):
  return which.sum(axis, dtype=jnp.int32)


def _clean_sums(
  logits: Float[Array, 'N K'],
  predicted: Int[Array, ' N'],
  label: Int[Array, ' N'],
  clean_label: Int[Array, ' N'],
  mask: Bool[Array, ' N'],
  confidence: bool,
) -> CleanSums:
  num_classes = logits.shape[-1]
  # A label that is none of the classes is of no class: not known, or open-set.
  mask = mask & (clean_label >= 0) & (clean_label < num_classes)
  right = mask & (predicted == clean_label)
  wrong = mask & (label != clean_label)
  is_class = clean_label[:, None] == jnp.arange(
    num_classes, dtype=clean_label.dtype
  )
  return CleanSums(
    class_count=_count(is_class & mask[:, None], 0),
    class_correct=_count(is_class & right[:, None], 0),
    wrong=_count(wrong),
    memorised=_count(wrong & (predicted == label)),
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
      loss: mean loss against the noisy labels.
      accuracy_noisy: share predicted as their noisy label.
      examples: number of examples.
      and only where clean labels are known, over the examples for which they
      are:
      accuracy: share predicted as their clean label.
      memorised: share of the wrongly labelled predicted as their wrong label.
      class_accuracy: accuracy of each class, by clean label.
      class_confidence: where probabilities were summed, their means over the
        examples of each class: 'right', of the label of rightly labelled ones;
        'wrong_clean' and 'wrong_given', of the clean and of the noisy label of
        wrongly labelled ones.
  """
  total = int(sums.count)
  figures: dict[str, Any] = {'loss': _ratio(float(sums.loss), total)}
  if sums.clean is not None:
    figures |= _clean_figures(sums.clean)
  return figures | {
    'accuracy_noisy': _ratio(int(sums.noisy_correct), total),
    'examples': total,
  }


def noisy_only(figures: Mapping[str, Any]) -> dict[str, Any]:
  """Of what `summarise` returns that for which no true label is needed."""
  return {key: figures[key] for key in ('loss', 'accuracy_noisy', 'examples')}


def method_figures(sums: Sums) -> dict[str, float | None]:
  """The method's own figures: means over examples, by name."""
  return {
    name: _ratio(float(value), int(sums.count))
    for name, value in sums.figures.items()
  }


def _clean_figures(clean: CleanSums) -> dict[str, Any]:
  counts = np.asarray(clean.class_count)
  correct = np.asarray(clean.class_correct)
  figures: dict[str, Any] = {
    'accuracy': _ratio(int(correct.sum()), int(counts.sum())),
    'memorised': _ratio(int(clean.memorised), int(clean.wrong)),
    'class_accuracy': _ratios(correct, counts),
  }
  if clean.confidence is not None:
    wrong = np.asarray(clean.confidence.wrong_count)
    figures['class_confidence'] = {
      name: _ratios(getattr(clean.confidence, name), count)
      for name, count in (
        ('right', counts - wrong),
        ('wrong_clean', wrong),
        ('wrong_given', wrong),
      )
    }
  return figures


def _ratio(numerator: float | int, denominator: int) -> float | None:
  return numerator / denominator if denominator else None


def _ratios(numerators, denominators) -> list[float | None]:
  return [
    _ratio(n.item(), int(d))
    for n, d in zip(np.asarray(numerators), denominators, strict=True)
  ]
