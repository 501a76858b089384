"""Methods that are made of others, as published: a row each.

What they are made of stands in loss_wrappers.py, regularizers.py, mixup.py and
gjs.py; which values their papers use on which data in config/published.py.
alpha and beta are the weights of the two losses in their order, so beta weighs
our MAE, 2 (1 - p_y), where some of the papers' codes have 1 - p_y. Configs hold
the focal losses' factor (1 - p)^gamma constant in the gradient (`detach`), as
all those codes do.

Sources:
  APL (NCE+RCE, NCE+MAE, NFL+RCE, NFL+MAE): Ma et al., "Normalized Loss
    Functions for Deep Learning with Noisy Labels", ICML 2020 (2006.13554).
  NCE+AGCE, NCE+AUL, NCE+AEL: Zhou et al., "Asymmetric Loss Functions for
    Learning with Noisy Labels", ICML 2021 (2106.03110).
  ANL: Ye et al., NeurIPS 2023; with the entropy term 2412.02373. Both losses
    of ANL-FL have the one gamma.
  JAL: Wang et al., "Joint Asymmetric Loss for Learning with Noisy Labels",
    ICCV 2025 (2507.17692).
  epsilon-softmax: Wang et al., NeurIPS 2024 (2508.02387).
  LogitClip: Wei et al., ICML 2023 (2212.04055).
  SR: Zhou et al., ICCV 2021 (2108.00192).
  Mixup: Zhang et al., ICLR 2018 (1710.09412).
  GJS: Englesson and Azizpour, NeurIPS 2021 (2105.04522).
  NLS: Wei et al., ICML 2022 (2106.04149); LSR with a smoothing below 0, after
    `warm_up` epochs of cross entropy.
  SL+LC, SL annealed: nobody's; variants of SL (1908.06112) that are tried in
    experiments/results.
"""

from collections.abc import Mapping
from typing import Any

from sce_jax.methods.base import from_loss
from sce_jax.methods.gjs import gjs
from sce_jax.methods.hparams import (
  BELOW_ONE,
  NOT_NEGATIVE,
  POSITIVE,
  Hparam,
  flag,
  number,
  whole,
)
from sce_jax.methods.loss_wrappers import (
  Loss,
  epsilon_softmax,
  logit_clip,
  weighted_sum,
)
from sce_jax.methods.mixup import mixup
from sce_jax.methods.regularizers import (
  annealed,
  delayed,
  entropy_of_mean,
  l1_penalty,
  sparse_regularization,
)
from sce_jax.methods.spec import SYMMETRIC_NOISE, Spec, combined

# Of what the wrappers add to the losses.
_RULES = {
  'alpha': NOT_NEGATIVE,
  'beta': NOT_NEGATIVE,
  'max_norm': POSITIVE,
  'm': NOT_NEGATIVE,
  'floor': BELOW_ONE,
}
# Of variants of SL that nobody has published: the paper's for CIFAR-10.
_SL = {'alpha': Hparam(0.1, NOT_NEGATIVE), 'beta': Hparam(1.0, NOT_NEGATIVE)}
_L1 = {'l1': Hparam(None, NOT_NEGATIVE)}
_SR = {
  'temperature': Hparam(None, POSITIVE),
  'power': Hparam(None, POSITIVE),
  'strength': Hparam(None, NOT_NEGATIVE),
  'growth': Hparam(None, POSITIVE),
  'growth_epochs': Hparam(1, whole(1)),
  'normalize': Hparam(True, flag(), 'static'),
}
_ASYMMETRIC = 'where its asymmetric part is'


def rows(single: Mapping[str, Spec]) -> dict[str, Spec]:
  """The rows by name.

  Args:
    single: the rows of what they are made of.
  """

  def of(name: str) -> Loss:
    loss = single[name].loss
    assert loss is not None
    return loss

  def pair(first: str, second: str, **facts: Any) -> Spec:
    return combined(
      weighted_sum(of(first), of(second)),
      (single[first], single[second]),
      rules=_RULES,
      positive=('alpha', 'beta'),
      tuned_per_rate=False,
      **facts,
    )

  def epsilon(first: str, **facts: Any) -> Spec:
    return combined(
      weighted_sum(epsilon_softmax(of(first)), of('mae')),
      (single[first], single['mae']),
      rules=_RULES,
      positive=('alpha', 'beta'),
      tolerant=f'nearly, {SYMMETRIC_NOISE}, as m grows',
      paper='2508.02387',
      tuned_per_rate=True,
      **facts,
    )

  def sr(base: str, **facts: Any) -> Spec:
    return Spec(
      lambda normalize: sparse_regularization(of(base), normalize=normalize),
      hparams={**single[base].hparams, **_SR},
      paper='2108.00192',
      tuned_per_rate=False,
      tuned_per_kind=True,  # On CIFAR-100.
      **facts,
    )

  return {
    'nce_rce': pair(
      'nce',
      'rce',
      title='normalized plus reverse cross entropy',
      short='NCE+RCE',
      tolerant=SYMMETRIC_NOISE,
      paper='2006.13554',
    ),
    'nce_mae': pair(
      'nce',
      'mae',
      title='normalized cross entropy plus MAE',
      short='NCE+MAE',
      tolerant=SYMMETRIC_NOISE,
      paper='2006.13554',
    ),
    'nfl_rce': pair(
      'nfl',
      'rce',
      title='normalized focal plus reverse cross entropy',
      short='NFL+RCE',
      tolerant=SYMMETRIC_NOISE,
      paper='2006.13554',
    ),
    'nfl_mae': pair(
      'nfl',
      'mae',
      title='normalized focal loss plus MAE',
      short='NFL+MAE',
      tolerant=SYMMETRIC_NOISE,
      paper='2006.13554',
    ),
    'nce_agce': pair(
      'nce',
      'agce',
      title='normalized cross entropy plus AGCE',
      short='NCE+AGCE',
      tolerant=_ASYMMETRIC,
      paper='2106.03110',
    ),
    'nce_aul': pair(
      'nce',
      'aul',
      title='normalized cross entropy plus AUL',
      short='NCE+AUL',
      tolerant=_ASYMMETRIC,
      paper='2106.03110',
    ),
    'nce_ael': pair(
      'nce',
      'ael',
      title='normalized cross entropy plus AEL',
      short='NCE+AEL',
      tolerant=_ASYMMETRIC,
      paper='2106.03110',
    ),
    'anl_ce': pair(
      'nce',
      'nnce',
      title='active negative loss of cross entropy',
      short='ANL-CE',
      around=l1_penalty,
      hparams=_L1,
      tolerant=f'{SYMMETRIC_NOISE}, but for its L1 term',
      paper='2412.02373',
    ),
    'anl_fl': pair(
      'nfl',
      'nnfl',
      title='active negative loss of the focal loss',
      short='ANL-FL',
      around=l1_penalty,
      hparams=_L1,
      tolerant=f'{SYMMETRIC_NOISE}, but for its L1 term',
      paper='2412.02373',
    ),
    'anl_ce_er': pair(
      'nce',
      'nnce',
      title='active negative loss with entropy regularization',
      short='ANL-CE-ER',
      around=lambda base: entropy_of_mean(l1_penalty(base)),
      hparams={**_L1, 'entropy': Hparam(None, NOT_NEGATIVE)},
      paper='2412.02373',
    ),
    'jal_ce': pair(
      'nce',
      'amse',
      title='joint asymmetric loss of cross entropy',
      short='JAL-CE',
      around=l1_penalty,
      hparams=_L1,
      tolerant=f'{_ASYMMETRIC}, but for its L1 term',
      paper='2507.17692',
    ),
    'jal_fl': pair(
      'nfl',
      'amse',
      title='joint asymmetric loss of the focal loss',
      short='JAL-FL',
      around=l1_penalty,
      hparams=_L1,
      tolerant=f'{_ASYMMETRIC}, but for its L1 term',
      paper='2507.17692',
    ),
    'eps_ce_mae': epsilon(
      'ce',
      title='epsilon-softmax cross entropy plus MAE',
      short='CE_eps+MAE',
    ),
    'eps_fl_mae': epsilon(
      'focal',
      title='epsilon-softmax focal loss plus MAE',
      short='FL_eps+MAE',
    ),
    'ce_lc': combined(
      logit_clip(of('ce')),
      (single['ce'],),
      'cross entropy of clipped logits',
      'CE+LC',
      rules=_RULES,
      paper='2212.04055',
      tuned_per_rate=True,
    ),
    'sl_lc': combined(
      logit_clip(of('sl')),
      (single['sl'],),
      'symmetric learning of clipped logits (ours)',
      'SL+LC',
      rules=_RULES,
      hparams={**_SL, 'max_norm': Hparam(10.0, POSITIVE)},
      positive=('alpha', 'beta'),
      paper='1908.06112',
      tuned_per_rate=False,
    ),
    'sl_annealed': combined(
      of('sl'),
      (single['sl'],),
      'symmetric learning with an alpha that moves (ours)',
      'SL annealed',
      rules=_RULES,
      around=lambda base: annealed(base, 'alpha'),
      hparams={**_SL, 'alpha_end': Hparam(0.0, NOT_NEGATIVE)},
      positive=('alpha', 'beta', 'alpha_end'),
      paper='1908.06112',
      tuned_per_rate=False,
    ),
    'ce_sr': sr(
      'ce', title='cross entropy with sparse regularization', short='CE+SR'
    ),
    'gce_sr': sr('gce', title='GCE with sparse regularization', short='GCE+SR'),
    'mixup': Spec(
      lambda: mixup(from_loss(of('ce'))),
      'mixup',
      'Mixup',
      {'concentration': Hparam(1.0, POSITIVE)},
      paper='1710.09412',
      tuned_per_rate=False,
    ),
    'gjs': Spec(
      gjs,
      'generalized Jensen-Shannon divergence',
      'GJS',
      {'weight': Hparam(None, number(lambda x: 0 < x < 1, 'in (0, 1)'))},
      tolerant='nearly, symmetric noise, as weight goes to 1',
      paper='2105.04522',
      tuned_per_rate=True,
    ),
    'nls': Spec(
      lambda: delayed(from_loss(of('lsr')), 'smoothing'),
      'negative label smoothing',
      'NLS',
      {
        'smoothing': Hparam(None, number(lambda x: x < 0, 'below 0')),
        'warm_up': Hparam(0, whole(0)),
      },
      starts_after='warm_up',
      paper='2106.04149',
      tuned_per_rate=True,
    ),
  }
