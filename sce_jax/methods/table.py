"""All that is known of each method, a row each.

Config checks, tables of results and the table in README.md beside this file
follow it. To add a loss, write its function and one row.
"""

from collections.abc import Mapping
from typing import Any

from sce_jax import losses
from sce_jax.errors import UserError
from sce_jax.methods import hparams as hp
from sce_jax.methods import presets
from sce_jax.methods.base import Method
from sce_jax.methods.co_teaching import co_teaching
from sce_jax.methods.cores2 import cores2
from sce_jax.methods.d2l import d2l
from sce_jax.methods.dal import dal
from sce_jax.methods.elr import elr
from sce_jax.methods.forward import TRANSITIONS, corrected
from sce_jax.methods.gmm_selection import gmm_selection
from sce_jax.methods.hparams import Hparam, number, one_of, whole
from sce_jax.methods.jocor import jocor
from sce_jax.methods.loss_wrappers import Loss
from sce_jax.methods.peer import SCHEDULES, peer
from sce_jax.methods.sat import sat
from sce_jax.methods.sop import sop
from sce_jax.methods.spec import Spec, loss_spec

# What a `formula` of a Spec is made of.
FORMULA_NAMES = {
  'z': 'the logits, k-th entry z_k',
  'p': 'softmax(z); p_y: the probability of the label y',
  'K': 'the number of classes; k: the numbers 0 .. K - 1',
  'm': 'weight + (1 - weight) * p_y',
  'r': 'the tempered softmax of z at t2; r_y: that of the label',
  's': 'K * softplus(z) / sum(softplus(z)); s_y: that of the label',
  'FL(p)': '-(1 - p)**gamma * log(p)',
  'log_t(u)': '(u**(1 - t1) - 1) / (1 - t1)',
  'max(a, b)': 'the larger, entry by entry',
}


def _if_times_as_likely(factor: str) -> str:
  """When an asymmetric loss is tolerant; see losses/asymmetric.py."""
  return f'where the right label is {factor} times as likely as any other'


def _corrected(
  loss: Loss, title: str, short: str, rule: hp.Rule, **facts: Any
) -> Spec:
  return Spec(
    lambda: corrected(loss),
    title,
    short,
    {
      'transition': Hparam('true', one_of(*TRANSITIONS), 'host'),
      'percentile': Hparam(
        97.0, number(lambda x: 0 <= x <= 100, 'from 0 to 100'), 'host'
      ),
      'transition_matrix': Hparam(None, rule, 'computed'),
    },
    tolerant='under class-conditional noise with that matrix',
    paper='1609.03683',
    loss=loss,
    tuned_per_rate=False,
    **facts,
  )


_NOT_NEGATIVE = number(lambda x: x >= 0, 'of at least 0')
_LOG_ZERO = number(lambda x: x < 0, 'below 0 (it stands for log 0)')
_WEIGHT = number(lambda x: 0 <= x <= 1, 'from 0 to 1')
_SHARE = number(lambda x: 0 < x < 1, 'above 0 and below 1')
_POSITIVE = number(lambda x: x > 0, 'above 0')
_POWER = number(lambda x: 0 < x <= 1, 'above 0 and at most 1')
# It must lie below 1 / K for any K that is trained on.
_FLOOR = number(lambda x: 0 < x <= 1e-4, 'above 0 and at most 1e-4')
_AT_LEAST_1 = number(lambda x: x >= 1, 'of at least 1')
_SYMMETRIC = 'symmetric noise below 1 - 1/K'

SPECS: dict[str, Spec] = {
  'ce': loss_spec(
    losses.cross_entropy,
    'cross entropy',
    'CE',
    formula='-log(p_y)',
    bound=('0', 'inf'),
    tuned_per_rate=False,
  ),
  'rce': loss_spec(
    losses.reverse_cross_entropy,
    'reverse cross entropy',
    'RCE',
    rules={'log_zero': _LOG_ZERO},
    tolerant='symmetric noise below 1 - 1/K: it is MAE times a constant',
    paper='1908.06112',
    formula='-log_zero * (1 - p_y)',
    bound=('0', '-log_zero'),
    tuned_per_rate=False,
  ),
  'sl': loss_spec(
    losses.symmetric_cross_entropy,
    'symmetric learning',
    'SL',
    rules={
      'alpha': _NOT_NEGATIVE,
      'beta': _NOT_NEGATIVE,
      'log_zero': _LOG_ZERO,
    },
    tolerant='its RCE part is; the whole only as alpha goes to 0',
    paper='1908.06112',
    positive=('alpha', 'beta'),
    formula='-alpha * log(p_y) - beta * log_zero * (1 - p_y)',
    bound=('0', 'inf if alpha else -beta * log_zero'),
    tuned_per_rate=False,
  ),
  'mae': loss_spec(
    losses.mean_absolute_error,
    'mean absolute error',
    'MAE',
    tolerant='symmetric noise below 1 - 1/K',
    paper='1712.09482',
    formula='2 * (1 - p_y)',
    bound=('0', '2'),
    tuned_per_rate=False,
  ),
  'lsr': loss_spec(
    losses.label_smoothing,
    'label smoothing',
    'LSR',
    rules={'smoothing': number(lambda x: x < 1, 'below 1 (negative: NLS)')},
    paper='1512.00567',
    formula='-(1 - smoothing) * log(p_y) - smoothing * mean(log(p))',
    bound=('0 if smoothing >= 0 else -inf', 'inf'),
    tuned_per_rate=False,
  ),
  'gce': loss_spec(
    losses.generalized_cross_entropy,
    'generalized cross entropy',
    'GCE',
    rules={'q': _POWER},
    tolerant='at q = 1, where it is MAE',
    paper='1805.07836',
    formula='(1 - p_y**q) / q',
    bound=('0', '1 / q'),
    tuned_per_rate=False,
  ),
  'bootstrap_soft': loss_spec(
    losses.bootstrap_soft,
    'soft bootstrapping',
    'Bootstrap soft',
    rules={'weight': _WEIGHT},
    paper='1412.6596',
    formula='-weight * log(p_y) - (1 - weight) * sum(p * log(p))',
    bound=('0', 'inf if weight else log(K)'),
  ),
  'bootstrap_hard': loss_spec(
    losses.bootstrap_hard,
    'hard bootstrapping',
    'Bootstrap hard',
    rules={'weight': _WEIGHT},
    paper='1412.6596',
    formula='-weight * log(p_y) - (1 - weight) * log(max(p))',
    bound=('0', 'inf if weight else log(K)'),
  ),
  'd2l': Spec(
    d2l,
    'dimensionality-driven learning',
    'D2L',
    {
      'weight': Hparam(1.0, _WEIGHT),
      'neighbours': Hparam(20, whole(1), 'static'),
      'window': Hparam(5, whole(1), 'static'),
      'warm_up': Hparam(5, whole(0)),
    },
    paper='1806.02612',
  ),
  'forward': _corrected(
    losses.forward_correction,
    'forward correction',
    'Forward',
    hp.transition_matrix(reachable=True),
    formula='-log(sum(p * transition_matrix[:, y]))',
    bound=('0', 'inf'),
  ),
  'backward': _corrected(
    losses.backward_correction,
    'backward correction',
    'Backward',
    hp.transition_matrix(invertible=True),
    formula='-(inv(transition_matrix) @ log(p))[y]',
    bound=('-inf', 'inf'),
  ),
  'focal': loss_spec(
    losses.focal,
    'focal loss',
    'Focal',
    rules={'gamma': _NOT_NEGATIVE},
    paper='1708.02002',
    formula='FL(p_y)',
    bound=('0', 'inf'),
    tuned_per_rate=False,
  ),
  'nce': loss_spec(
    losses.normalized_cross_entropy,
    'normalized cross entropy',
    'NCE',
    tolerant=_SYMMETRIC,
    paper='2006.13554',
    formula='log(p_y) / sum(log(p))',
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'nfl': loss_spec(
    losses.normalized_focal,
    'normalized focal loss',
    'NFL',
    rules={'gamma': _NOT_NEGATIVE},
    tolerant=_SYMMETRIC,
    paper='2006.13554',
    formula='FL(p_y) / sum(FL(p))',
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'ngce': loss_spec(
    losses.normalized_generalized_cross_entropy,
    'normalized generalized cross entropy',
    'NGCE',
    rules={'q': _POWER},
    tolerant=_SYMMETRIC,
    paper='2006.13554',
    formula='(1 - p_y**q) / sum(1 - p**q)',
    bound=('0', '1 / (K - (K - 1)**(1 - q))'),
    tuned_per_rate=False,
  ),
  'nnce': loss_spec(
    losses.normalized_negative_cross_entropy,
    'normalized negative cross entropy',
    'NNCE',
    rules={'p_min': _FLOOR},
    tolerant=_SYMMETRIC,
    paper='2412.02373',
    formula=(
      '1 - log(max(p_y, p_min) / p_min) / sum(log(max(p, p_min) / p_min))'
    ),
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'nnfl': loss_spec(
    losses.normalized_negative_focal,
    'normalized negative focal loss',
    'NNFL',
    rules={'gamma': _NOT_NEGATIVE, 'p_min': _FLOOR},
    tolerant=_SYMMETRIC,
    paper='2412.02373',
    formula=(
      '1 - (FL(p_min) - FL(max(p_y, p_min)))'
      ' / sum(FL(p_min) - FL(max(p, p_min)))'
    ),
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'agce': loss_spec(
    losses.asymmetric_generalized_cross_entropy,
    'asymmetric generalized cross entropy',
    'AGCE',
    rules={'a': _POSITIVE, 'q': _POSITIVE},
    tolerant=_if_times_as_likely('(1 + 1/a)^(1 - q), if q < 1,'),
    paper='2106.03110',
    formula='((a + 1)**q - (a + p_y)**q) / q',
    bound=('0', '((a + 1)**q - a**q) / q'),
    tuned_per_rate=False,
  ),
  'aul': loss_spec(
    losses.asymmetric_unhinged,
    'asymmetric unhinged loss',
    'AUL',
    rules={'a': number(lambda x: x > 1, 'above 1'), 'q': _POSITIVE},
    tolerant=_if_times_as_likely('(a / (a - 1))^(q - 1), if q > 1,'),
    paper='2106.03110',
    formula='((a - p_y)**q - (a - 1)**q) / q',
    bound=('0', '(a**q - (a - 1)**q) / q'),
    tuned_per_rate=False,
  ),
  'ael': loss_spec(
    losses.asymmetric_exponential,
    'asymmetric exponential loss',
    'AEL',
    rules={'a': _POSITIVE},
    tolerant=_if_times_as_likely('exp(1 / a)'),
    paper='2106.03110',
    formula='exp(-p_y / a)',
    bound=('exp(-1 / a)', '1'),
    tuned_per_rate=False,
  ),
  'amse': loss_spec(
    losses.asymmetric_mean_square,
    'asymmetric mean square error',
    'AMSE',
    rules={'a': _AT_LEAST_1},
    tolerant='where the right label is more probable than any other by 1 / a',
    paper='2507.17692',
    formula='mean((p - a * (k == y))**2)',
    bound=('(a - 1)**2 / K', '(a**2 + 1) / K'),
    tuned_per_rate=False,
  ),
  'unhinged': loss_spec(
    losses.unhinged,
    'unhinged loss',
    'Unhinged',
    tolerant='symmetric noise below 1 - 1/K, but it has no minimum',
    paper='1505.07634',
    formula='mean(z) - z[y]',
    bound=('-inf', 'inf'),
    tuned_per_rate=False,
  ),
  'sgce': loss_spec(
    losses.symmetrized_generalized_cross_entropy,
    'symmetrized generalized cross entropy',
    'SGCE',
    rules={'q': _POWER},
    tolerant=_SYMMETRIC,
    paper='2605.20347',
    formula='(mean(p**q) - p_y**q) / q',
    bound=('(1 / K - 1) / q', '(K - 1)**(1 - q) / (q * K)'),
  ),
  'taylor': loss_spec(
    losses.taylor_cross_entropy,
    'Taylor cross entropy',
    'Taylor-CE',
    rules={'order': whole(1)},
    static=('order',),
    tolerant=_if_times_as_likely('order'),
    paper='Feng et al., IJCAI 2020',
    formula='sum((1 - p_y)**i / i for i in range(1, order + 1))',
    bound=('0', 'sum(1 / i for i in range(1, order + 1))'),
  ),
  'phuber': loss_spec(
    losses.partially_huberised_cross_entropy,
    'partially Huberised cross entropy',
    'PHuber-CE',
    rules={'tau': _AT_LEAST_1},
    tolerant=_if_times_as_likely('tau'),
    paper='Menon et al., ICLR 2020',
    formula='-log(p_y) if p_y > 1 / tau else 1 + log(tau) - tau * p_y',
    bound=('0', '1 + log(tau)'),
    tuned_per_rate=False,
  ),
  'truncated_gce': loss_spec(
    losses.truncated_generalized_cross_entropy,
    'truncated generalized cross entropy',
    'Truncated GCE',
    rules={'q': _POWER, 'threshold': _SHARE},
    paper='1805.07836',
    formula='(1 - max(p_y, threshold)**q) / q',
    bound=('0', '(1 - threshold**q) / q'),
    tuned_per_rate=False,
  ),
  'bi_tempered': loss_spec(
    losses.bi_tempered,
    'bi-tempered logistic loss',
    'Bi-tempered',
    rules={
      't1': _WEIGHT,
      't2': number(lambda x: 1 <= x <= 2, 'from 1 to 2'),
    },
    paper='1906.03361',
    formula='-log_t(r_y) - (1 - sum(r**(2 - t1))) / (2 - t1)',
    bound=('0', '1 / (1 - t1) if t1 < 1 else inf'),
  ),
  'js': loss_spec(
    losses.jensen_shannon,
    'Jensen-Shannon divergence',
    'JS',
    rules={'weight': _SHARE},
    tolerant='symmetric noise, as weight goes to 1, where it is half of MAE',
    paper='2105.04522',
    formula=(
      '(weight * log(m) - (1 - weight) * (p_y * log(p_y / m)'
      ' - (1 - p_y) * log(1 - weight))) / ((1 - weight) * log(1 - weight))'
    ),
    bound=('0', '1 + weight * log(weight) / ((1 - weight) * log(1 - weight))'),
    tuned_per_rate=True,
  ),
  'ldr_kl': loss_spec(
    losses.label_distributionally_robust_kl,
    'label-distributionally robust KL loss',
    'LDR-KL',
    rules={'temperature': _POSITIVE, 'margin': _NOT_NEGATIVE},
    tolerant='symmetric noise, as temperature goes to infinity',
    paper='2112.14869',
    formula=(
      'temperature'
      ' * log(mean(exp((s - s_y + margin * (k != y)) / temperature)))'
    ),
    bound=(
      'temperature * log((1 + (K - 1) * exp((margin - K) / temperature)) / K)',
      'temperature * log((1 + (K - 2) * exp(margin / temperature)'
      ' + exp((K + margin) / temperature)) / K)',
    ),
    tuned_per_rate=False,
  ),
  'dal': Spec(
    dal,
    'dynamics-aware loss',
    'DAL',
    {
      'q_start': Hparam(0.6, _POWER),
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
      'strength': Hparam(3.0, _NOT_NEGATIVE),
      'decay': Hparam(0.7, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
    },
    paper='2007.00151',
  ),
  'co_teaching': Spec(
    co_teaching,
    'co-teaching',
    'Co-teaching',
    {
      'forget_rate': Hparam(None, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
      'warm_up': Hparam(10, whole(1)),
    },
    paper='1804.06872',
    told_rate=True,
  ),
  'jocor': Spec(
    jocor,
    'joint training with co-regularization',
    'JoCoR',
    {
      'forget_rate': Hparam(None, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
      'warm_up': Hparam(10, whole(1)),
      'weight': Hparam(0.9, _WEIGHT),
    },
    paper='2003.02752',
    told_rate=True,
    tuned_per_rate=True,
  ),
  'sat': Spec(
    sat,
    'self-adaptive training',
    'SAT',
    {
      'decay': Hparam(0.9, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
      'start': Hparam(0.3, _WEIGHT),
    },
    paper='2002.10319',
    tuned_per_rate=False,
  ),
  'cores2': Spec(
    cores2,
    'confidence-regularized sample sieve',
    'CORES2',
    {
      'strength': Hparam(2.0, _NOT_NEGATIVE),
      'start': Hparam(0.1, _WEIGHT),
      'ramp': Hparam(0.3, _WEIGHT),
      'sieve': Hparam(0.3, _WEIGHT),
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
    tuned_per_rate=False,
  ),
  'gmm_selection': Spec(
    gmm_selection,
    'selection by a mixture of losses',
    'GMM selection',
    {
      'warm_up': Hparam(10, whole(1)),
      'threshold': Hparam(0.5, _SHARE),
    },
    paper='2002.07394',
  ),
  'sop': Spec(
    sop,
    'sparse over-parameterization',
    'SOP',
    {
      'rate_u': Hparam(10.0, _NOT_NEGATIVE),
      'rate_v': Hparam(10.0, _NOT_NEGATIVE),
    },
    paper='2202.14026',
  ),
}
SPECS |= presets.rows(SPECS)


def find(name: Any) -> Spec:
  """The row of a method.

  Raises:
    UserError: there is no such method.
  """
  if not isinstance(name, str) or name not in SPECS:
    raise UserError(
      f'config.loss.name is {name!r}: it must be one of {", ".join(SPECS)}'
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
      raise UserError(f'loss {name!r} needs {key!r}; give it (it has: {have})')
  filled = {key: given.get(key, h.default) for key, h in known.items()}
  check(name, filled)
  # NumPy's numbers become Python's: configs are kept as JSON.
  return {k: getattr(v, 'item', lambda v=v: v)() for k, v in filled.items()}


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
  positive = [float(values.get(key, 1)) for key in spec.positive]
  if positive and not any(positive):
    raise UserError(
      f'loss {name!r}: {" and ".join(spec.positive)} are both 0 and leave no'
      ' loss; give one of them a number above 0'
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
