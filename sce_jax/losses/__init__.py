"""Losses for learning with noisy labels: one example in, one number out.

Every loss is a pure function `(logits[K], label, *, hyper-parameters) -> []`,
where the label is an integer class or a target distribution over the K
classes. Batches are made with `jax.vmap`. A hyper-parameter may be a Python
number or a traced scalar array, so runs which differ only in it can share one
program.

Two rules hold for all of them:

* Everything is computed from the logits in log space. Nothing is clipped, but
  for a floor that is part of a formula, so values and gradients stay right
  however confident the network is.
* Logits narrower than float32 (bfloat16, float16) are computed in float32 and
  give a float32 loss; the gradient comes back in the logits' own dtype.

All losses raise TypeError if the logits are not floating, and ValueError if the
shapes are not those of one example. They are listed, with the ranges of their
hyper-parameters, in sce_jax/methods/loss_rows.py; `forward_correction` and
`backward_correction`, whose matrix is computed before training, in table.py
beside it.
"""

from sce_jax.losses.asymmetric import (
  asymmetric_exponential,
  asymmetric_generalized_cross_entropy,
  asymmetric_mean_square,
  asymmetric_unhinged,
)
from sce_jax.losses.basic import cross_entropy, mean_absolute_error
from sce_jax.losses.bounded import (
  partially_huberised_cross_entropy,
  taylor_cross_entropy,
  truncated_generalized_cross_entropy,
)
from sce_jax.losses.corrections import backward_correction, forward_correction
from sce_jax.losses.divergences import (
  jensen_shannon,
  label_distributionally_robust_kl,
)
from sce_jax.losses.inputs import Label, Scalar
from sce_jax.losses.normalized import (
  normalized_cross_entropy,
  normalized_focal,
  normalized_generalized_cross_entropy,
  normalized_negative_cross_entropy,
  normalized_negative_focal,
)
from sce_jax.losses.powers import focal, generalized_cross_entropy
from sce_jax.losses.symmetric import (
  LOG_ZERO_PUBLIC_CODES,
  reverse_cross_entropy,
  symmetric_cross_entropy,
)
from sce_jax.losses.symmetrized import (
  symmetrized_generalized_cross_entropy,
  unhinged,
)
from sce_jax.losses.targets import (
  bootstrap_hard,
  bootstrap_soft,
  label_smoothing,
)
from sce_jax.losses.tempered import bi_tempered

__all__ = [
  'LOG_ZERO_PUBLIC_CODES',
  'Label',
  'Scalar',
  'asymmetric_exponential',
  'asymmetric_generalized_cross_entropy',
  'asymmetric_mean_square',
  'asymmetric_unhinged',
  'backward_correction',
  'bi_tempered',
  'bootstrap_hard',
  'bootstrap_soft',
  'cross_entropy',
  'focal',
  'forward_correction',
  'generalized_cross_entropy',
  'jensen_shannon',
  'label_distributionally_robust_kl',
  'label_smoothing',
  'mean_absolute_error',
  'normalized_cross_entropy',
  'normalized_focal',
  'normalized_generalized_cross_entropy',
  'normalized_negative_cross_entropy',
  'normalized_negative_focal',
  'partially_huberised_cross_entropy',
  'reverse_cross_entropy',
  'symmetric_cross_entropy',
  'symmetrized_generalized_cross_entropy',
  'taylor_cross_entropy',
  'truncated_generalized_cross_entropy',
  'unhinged',
]
