"""Losses for learning with noisy labels: one example in, one number out.

Every loss is a pure function `(logits[K], label, *, hyper-parameters) -> []`,
where the label is an integer class or a target distribution over the K
classes. Batches are made with `jax.vmap`. A hyper-parameter may be a Python
number or a traced scalar array, so runs which differ only in it can share one
program.

Two rules hold for all of them:

* Everything is computed from the logits in log space. Nothing is clipped, so
  values and gradients stay right however confident the network is.
* Logits narrower than float32 (bfloat16, float16) are computed in float32 and
  give a float32 loss; the gradient comes back in the logits' own dtype.

All losses raise TypeError if the logits are not floating, and ValueError if the
shapes are not those of one example. They are listed, with the ranges of their
hyper-parameters, in sce_jax/methods/table.py.
"""

from sce_jax.losses.basic import cross_entropy, mean_absolute_error
from sce_jax.losses.corrections import backward_correction, forward_correction
from sce_jax.losses.inputs import Label, Scalar
from sce_jax.losses.powers import focal, generalized_cross_entropy
from sce_jax.losses.symmetric import (
  LOG_ZERO_PUBLIC_CODES,
  reverse_cross_entropy,
  symmetric_cross_entropy,
)
from sce_jax.losses.targets import (
  bootstrap_hard,
  bootstrap_soft,
  label_smoothing,
)

__all__ = [
  'LOG_ZERO_PUBLIC_CODES',
  'Label',
  'Scalar',
  'backward_correction',
  'bootstrap_hard',
  'bootstrap_soft',
  'cross_entropy',
  'focal',
  'forward_correction',
  'generalized_cross_entropy',
  'label_smoothing',
  'mean_absolute_error',
  'reverse_cross_entropy',
  'symmetric_cross_entropy',
]
