"""All that is known of each method, a row each.

Config checks, tables of results and the table in README.md beside this file
follow it. Losses of one example have their rows in loss_rows.py, methods that
are made of others in presets.py.
"""

from collections.abc import Mapping
import itertools
from typing import Any

from sce_jax import losses
from sce_jax.errors import UserError, meant
from sce_jax.methods import hparams as hp
from sce_jax.methods import loss_rows, presets
from sce_jax.methods.base import Method
from sce_jax.methods.co_teaching import co_teaching
from sce_jax.methods.cores2 import cores2
from sce_jax.methods.d2l import d2l
from sce_jax.methods.dal import dal
from sce_jax.methods.elr import elr
from sce_jax.methods.forward import TRANSITIONS, corrected
from sce_jax.methods.gmm_selection import gmm_selection
from sce_jax.methods.hparams import (
  BELOW_ONE,
  NOT_NEGATIVE,
  SHARE,
  UP_TO_ONE,
  WEIGHT,
  Hparam,
  Rule,
  is_int,
  is_whole,
  number,
  one_of,
  whole,
)
from sce_jax.methods.jocor import jocor
from sce_jax.methods.loss_wrappers import Loss
from sce_jax.methods.peer import SCHEDULES, peer
from sce_jax.methods.sat import sat
from sce_jax.methods.sop import sop
from sce_jax.methods.spec import Spec
from sce_jax.methods.t_revision import t_revision
from sce_jax.methods.vol_min_net import OPTIMIZERS, vol_min_net
from sce_jax.noise import estimation


def _estimated(
  rule: hp.Rule, transition: str = 'true', fit_share: float = 1.0
) -> dict[str, Hparam]:
  return {
    'transition': Hparam(transition, one_of(*TRANSITIONS), 'host'),
    'percentile': Hparam(
      estimation.PERCENTILE,
      number(lambda x: 0 <= x <= 100, 'from 0 to 100'),
      'host',
    ),
    'fit_share': Hparam(fit_share, UP_TO_ONE, 'host'),
    'transition_matrix': Hparam(None, rule, 'computed'),
  }


def _corrected(
  loss: Loss, title: str, short: str, rule: hp.Rule, **facts: Any
) -> Spec:
  return Spec(
    lambda: corrected(loss),
    title,
    short,
    _estimated(rule),
    tolerant='under class-conditional noise with that matrix',
    paper='1609.03683',
    loss=loss,
    tuned_per_rate=False,
    **facts,
  )


# Beyond, T is singular in float32, or no wrong label can be learned.
_START = number(lambda x: -10 <= x <= 30, 'from -10 to 30')

SPECS: dict[str, Spec] = {
  **loss_rows.ROWS,
  'd2l': Spec(
    d2l,
    'dimensionality-driven learning',
    'D2L',
    {
      'weight': Hparam(1.0, WEIGHT),
      'neighbours': Hparam(20, whole(1), 'static'),
      'window': Hparam(5, whole(1), 'static'),
      'warm_up': Hparam(5, whole(0)),
    },
    paper='1806.02612',
    whole_after=lambda h: h['window'] + h['warm_up'] + 2,
  ),
  'forward': _corrected(
    losses.forward_correction,
    'forward correction',
    'Forward',
    hp.transition_matrix(reachable=True),
    formula='-log(sum(p * transition_matrix[:, y]))',
    bound=(
      '-log(max(transition_matrix))',
      '-log(1 - max(1 - transition_matrix))'
      ' if max(1 - transition_matrix) < 1 else inf',
    ),
  ),
  'backward': _corrected(
    losses.backward_correction,
    'backward correction',
    'Backward',
    hp.transition_matrix(invertible=True),
    formula='-(inv(transition_matrix) @ log(p))[y]',
    bound=('-inf', 'inf'),
  ),
  'dal': Spec(
    dal,
    'dynamics-aware loss',
    'DAL',
    {
      'q_start': Hparam(0.6, UP_TO_ONE),
      'q_end': Hparam(1.5, number(lambda x: x > 1, 'above 1')),
    },
    paper='2303.11562',
    tuned_per_rate=False,
  ),
  'elr': Spec(
    elr,
    'early-learning regularization',
    'ELR',
    {
      'strength': Hparam(3.0, NOT_NEGATIVE),
      'decay': Hparam(0.7, BELOW_ONE),
    },
    paper='2007.00151',
    tuned_per_kind=True,
  ),
  'co_teaching': Spec(
    co_teaching,
    'co-teaching',
    'Co-teaching',
    {
      'forget_rate': Hparam(None, BELOW_ONE),
      'warm_up': Hparam(10, whole(1)),
    },
    paper='1804.06872',
    told_rate='forget_rate',
    whole_after=lambda h: h['warm_up'],
  ),
  'jocor': Spec(
    jocor,
    'joint training with co-regularization',
    'JoCoR',
    {
      'forget_rate': Hparam(None, BELOW_ONE),
      'warm_up': Hparam(10, whole(1)),
      'weight': Hparam(0.9, WEIGHT),
    },
    paper='2003.02752',
    told_rate='forget_rate',
    whole_after=lambda h: h['warm_up'],
    tuned_per_rate=True,
  ),
  'sat': Spec(
    sat,
    'self-adaptive training',
    'SAT',
    {
      'decay': Hparam(0.9, BELOW_ONE),
      'start': Hparam(0.3, WEIGHT),
    },
    paper='2002.10319',
    tuned_per_rate=False,
  ),
  'cores2': Spec(
    cores2,
    'confidence-regularized sample sieve',
    'CORES2',
    {
      'strength': Hparam(2.0, NOT_NEGATIVE),
      'start': Hparam(0.1, WEIGHT),
      'ramp': Hparam(0.3, WEIGHT),
      'sieve': Hparam(0.3, WEIGHT),
    },
    paper='2010.02347',
    tuned_per_rate=False,
  ),
  'peer': Spec(
    peer,
    'peer loss',
    'Peer loss',
    {
      'schedule': Hparam('cifar10_uniform', one_of(*SCHEDULES), 'static'),
    },
    tolerant='class-conditional noise, with a weight that depends on it',
    paper='1910.03231',
    tuned_per_kind=True,
    tuned_per_rate=False,
  ),
  'gmm_selection': Spec(
    gmm_selection,
    'selection by a mixture of losses',
    'GMM selection',
    {
      'warm_up': Hparam(10, whole(1)),
      'threshold': Hparam(0.5, SHARE),
    },
    paper='2002.07394',
    starts_after='warm_up',
  ),
  'sop': Spec(
    sop,
    'sparse over-parameterization',
    'SOP',
    {
      'rate_u': Hparam(10.0, NOT_NEGATIVE),
      'rate_v': Hparam(10.0, NOT_NEGATIVE),
    },
    paper='2202.14026',
    tuned_per_kind=True,
  ),
  'vol_min_net': Spec(
    vol_min_net,
    'volume minimization network',
    'VolMinNet',
    {
      'init': Hparam(2.0, _START, 'static'),
      'optimizer': Hparam('sgd', one_of(*OPTIMIZERS), 'static'),
      'volume_weight': Hparam(1e-4, NOT_NEGATIVE),
      'rate': Hparam(0.01, NOT_NEGATIVE),
      'factor': Hparam(0.1, WEIGHT),
    },
    tolerant='class-conditional noise, where T can be identified',
    paper='2102.02400',
    tuned_per_rate=False,
  ),
  't_revision': Spec(
    t_revision,
    'T-Revision',
    'T-Revision',
    {
      **_estimated(hp.transition_matrix(reachable=True), 'anchors', 0.1),
      'start': Hparam(20 / 420, WEIGHT),
      'revision': Hparam(220 / 420, WEIGHT),
      'rate': Hparam(5e-7, NOT_NEGATIVE),
    },
    tolerant='class-conditional noise, where its T is right',
    paper='1906.00189',
    ordered=('start', 'revision'),
    tuned_per_rate=False,
  ),
}
SPECS |= presets.rows(SPECS)


def find(name: Any) -> Spec:
  """The row of a method.

  Raises:
    UserError: there is no such method.
  """
  if not isinstance(name, str) or name not in SPECS:
    hint = meant(name, SPECS) if isinstance(name, str) else ''
    raise UserError(
      f'config.loss.name is {name!r}{hint}: it must be one'
      f' of {", ".join(SPECS)}'
    )
  return SPECS[name]


def complete(name: Any, values: Mapping[str, Any]) -> dict[str, Any]:
  """Checks the hyper-parameters that a config gives, and adds the defaults.

  Args:
    name: a key of SPECS.
    values: concrete values by hyper-parameter; None counts as left out.

  Returns:
    All hyper-parameters but those that the method computes.

  Raises:
    UserError: one line that names what is wrong and what to do about it.

  Examples:
    >>> complete('gce', {})
    {'q': 0.7}
  """
  spec = find(name)
  known = {k: h for k, h in spec.hparams.items() if h.kind != 'computed'}
  have = ', '.join(known) or 'none'
  given = {key: value for key, value in values.items() if value is not None}
  for key in given:
    if key not in known:
      raise UserError(
        f'loss {name!r} has no hyper-parameter {key!r}; remove it (it has:'
        f' {have})'
      )
  for key, hparam in known.items():
    if hparam.default is None and key not in given:
      what = ', the share of wrong labels' if spec.told_rate else ''
      raise UserError(
        f'loss {name!r} needs {key!r}{what}; give it (it has: {have})'
      )
  filled = {key: given.get(key, h.default) for key, h in known.items()}
  check(name, filled)
  return {key: _plain(x, known[key].rule) for key, x in filled.items()}


def _plain(value: Any, rule: Rule) -> Any:
  """A value as configs keep it, which are JSON: a Python number, say."""
  value = getattr(value, 'item', lambda: value)()
  # A 1 that was typed for a 1.0 is one.
  is_float = is_int(value) and not is_whole(value, rule)
  return float(value) if is_float else value


def check(name: str, values: Mapping[str, Any]) -> None:
  """Checks the values of hyper-parameters, also of computed ones.

  Raises:
    UserError: one line that names what is wrong and what to do about it.
  """
  spec = find(name)
  for key, value in values.items():
    complaint = spec.hparams[key].rule(value)
    if complaint:
      raise UserError(f'loss {name!r}: {key} {complaint}')
  positive = [hp.as_float32(values.get(key, 1)) for key in spec.positive]
  if positive and not any(positive):
    raise UserError(
      f'loss {name!r}: {" and ".join(spec.positive)} are 0 and leave no loss;'
      ' give one of them a number above 0'
    )
  ordered = [(key, float(values[key])) for key in spec.ordered if key in values]
  for (first, a), (second, b) in itertools.pairwise(ordered):
    if a > b:
      raise UserError(
        f'loss {name!r}: {second} is {b:g} and {first} {a:g}; give a {second}'
        ' of at least that'
      )


def of_kind(
  name: str, values: Mapping[str, Any], *kinds: str
) -> dict[str, Any]:
  """Those of the hyper-parameters that are of some kinds, see Hparam."""
  hparams = find(name).hparams
  return {k: v for k, v in values.items() if hparams[k].kind in kinds}


def build(name: str, values: Mapping[str, Any]) -> Method:
  """The method of a name.

  Args:
    name: a key of SPECS.
    values: its hyper-parameters, as `complete` returns them; those that are
      static are compiled in.
  """
  return find(name).make(**of_kind(name, values, 'static'))
