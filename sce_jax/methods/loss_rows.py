"""What is known of each loss of one example, a row each.

Methods that are more than that have their rows in table.py, those made of
others in presets.py.
"""

from sce_jax import losses
from sce_jax.methods.hparams import (
  NOT_NEGATIVE,
  POSITIVE,
  SHARE,
  UP_TO_ONE,
  WEIGHT,
  flag,
  number,
  whole,
)
from sce_jax.methods.spec import SYMMETRIC_NOISE, Spec, loss_spec

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


_LOG_ZERO = number(lambda x: x < 0, 'below 0 (it stands for log 0)')
# It must lie below 1 / K for any K that is trained on.
_FLOOR = number(lambda x: 0 < x <= 1e-4, 'above 0 and at most 1e-4')
_FOCAL = {'gamma': NOT_NEGATIVE, 'detach': flag()}
_AT_LEAST_1 = number(lambda x: x >= 1, 'of at least 1')
# The entropy of the smoothed label; of negative smoothing there is no end.
_SMOOTHED_LOWEST = (
  '-inf if smoothing < 0 else 0 if smoothing == 0 else'
  ' -(1 - smoothing + smoothing / K) * log(1 - smoothing + smoothing / K)'
  ' - (K - 1) * smoothing / K * log(smoothing / K)'
)

ROWS: dict[str, Spec] = {
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
    tolerant=f'{SYMMETRIC_NOISE}: it is MAE times a constant',
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
      'alpha': NOT_NEGATIVE,
      'beta': NOT_NEGATIVE,
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
    tolerant=SYMMETRIC_NOISE,
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
    bound=(_SMOOTHED_LOWEST, 'inf'),
    tuned_per_rate=False,  # Below 0 it is nls, which was.
  ),
  'gce': loss_spec(
    losses.generalized_cross_entropy,
    'generalized cross entropy',
    'GCE',
    rules={'q': UP_TO_ONE},
    tolerant='at q = 1, where it is half of MAE',
    paper='1805.07836',
    formula='(1 - p_y**q) / q',
    bound=('0', '1 / q'),
    tuned_per_rate=False,
  ),
  'bootstrap_soft': loss_spec(
    losses.bootstrap_soft,
    'soft bootstrapping',
    'Bootstrap soft',
    rules={'weight': WEIGHT},
    paper='1412.6596',
    formula='-weight * log(p_y) - (1 - weight) * sum(p * log(p))',
    bound=('0', 'inf if weight else log(K)'),
  ),
  'bootstrap_hard': loss_spec(
    losses.bootstrap_hard,
    'hard bootstrapping',
    'Bootstrap hard',
    rules={'weight': WEIGHT},
    paper='1412.6596',
    formula='-weight * log(p_y) - (1 - weight) * log(max(p))',
    bound=('0', 'inf if weight else log(K)'),
  ),
  'focal': loss_spec(
    losses.focal,
    'focal loss',
    'Focal',
    rules=_FOCAL,
    static=('detach',),
    paper='1708.02002',
    formula='FL(p_y)',
    bound=('0', 'inf'),
    tuned_per_rate=False,
  ),
  'nce': loss_spec(
    losses.normalized_cross_entropy,
    'normalized cross entropy',
    'NCE',
    tolerant=SYMMETRIC_NOISE,
    paper='2006.13554',
    formula='log(p_y) / sum(log(p))',
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'nfl': loss_spec(
    losses.normalized_focal,
    'normalized focal loss',
    'NFL',
    rules=_FOCAL,
    static=('detach',),
    tolerant=SYMMETRIC_NOISE,
    paper='2006.13554',
    formula='FL(p_y) / sum(FL(p))',
    bound=('0', '1'),
    tuned_per_rate=False,
  ),
  'ngce': loss_spec(
    losses.normalized_generalized_cross_entropy,
    'normalized generalized cross entropy',
    'NGCE',
    rules={'q': UP_TO_ONE},
    tolerant=SYMMETRIC_NOISE,
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
    tolerant=SYMMETRIC_NOISE,
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
    rules={**_FOCAL, 'p_min': _FLOOR},
    static=('detach',),
    tolerant=SYMMETRIC_NOISE,
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
    rules={'a': POSITIVE, 'q': POSITIVE},
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
    rules={'a': number(lambda x: x > 1, 'above 1'), 'q': POSITIVE},
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
    rules={'a': POSITIVE},
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
    tolerant=f'{SYMMETRIC_NOISE}, but it has no minimum',
    paper='1505.07634',
    formula='mean(z) - z[y]',
    bound=('-inf', 'inf'),
    tuned_per_rate=False,
  ),
  'sgce': loss_spec(
    losses.symmetrized_generalized_cross_entropy,
    'symmetrized generalized cross entropy',
    'SGCE',
    rules={'q': UP_TO_ONE},
    tolerant=SYMMETRIC_NOISE,
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
    rules={'q': UP_TO_ONE, 'threshold': SHARE},
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
      't1': WEIGHT,
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
    rules={'weight': SHARE},
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
    rules={'temperature': POSITIVE, 'margin': NOT_NEGATIVE},
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
}
