"""Risks of random classifiers under noise, against their clean risks."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np
from scipy import stats

from experiments.analysis import plots
from experiments.paper.theory import setting
from experiments.paper.theory.setting import K
from experiments.report import page
from sce_jax import losses as losses_lib
from sce_jax import noise

_PERFECT = 50.0  # A logit that leaves exp(-50) to the other classes.
_DRAWN = ('CE', 'MAE', 'RCE', 'SL .1, 1')
_TEMPERATURES = (0.5, 2.0, 8.0)


def loss_table(name: str, logits: jax.Array) -> np.ndarray:
  """The loss of every label: [.., K] logits to [.., K] losses, float64."""
  flat = jnp.reshape(logits, (-1, K))
  table = jax.jit(_table)(flat, jnp.asarray(setting.LOSSES[name], jnp.float32))
  return np.asarray(table, np.float64).reshape(logits.shape)


def _table(logits, weights):
  alpha, beta, gamma = weights

  def one(z, label):
    sl = losses_lib.symmetric_cross_entropy(
      z, label, alpha=alpha, beta=beta, log_zero=setting.LOG_ZERO
    )
    return sl + gamma * losses_lib.mean_absolute_error(z, label)

  labels = jnp.arange(K, dtype=jnp.int32)
  return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(logits, labels)


def classifiers(count: int) -> tuple[jax.Array, np.ndarray, np.ndarray]:
  """Random classifiers on a finite set of inputs, from poor to good.

  Each leans by a random amount towards the true class or, every other one,
  towards the class after it, which pair flips make of it.

  Args:
    count: how many of each temperature.

  Returns:
    Logits `[C, N, K]`, clean labels `[N]` and temperatures `[C]`.
  """
  rng = np.random.default_rng(setting.SEED)
  clean = np.arange(5 * K) % K
  scale = np.repeat(_TEMPERATURES, count)
  lean = rng.uniform(0, 4, scale.size)
  towards = (clean + np.arange(scale.size)[:, None] % 2) % K
  logits = rng.normal(size=(scale.size, clean.size, K))
  logits += lean[:, None, None] * np.eye(K)[towards]
  logits *= scale[:, None, None]
  return jnp.asarray(logits, jnp.float32), clean, scale


def risks(
  table: np.ndarray, clean: np.ndarray, transition: np.ndarray
) -> np.ndarray:
  """Exact risks under label noise, from the losses of all labels, `[C]`."""
  return (table * transition[clean]).sum(-1).mean(-1)


@dataclasses.dataclass(frozen=True)
class Law:
  """How the noisy risks of some classifiers follow from their clean ones.

  Attributes:
    deviation: largest, from the theorem's line, of the noisy risk itself.
    slope: fitted.
    rank: Spearman's correlation of noisy and clean; None where the noisy risks
      are all equal but for rounding.
  """

  deviation: float
  slope: float
  rank: float | None


def law(clean: np.ndarray, noisy: np.ndarray, rate: float, total: float) -> Law:
  """Compares noisy risks with the theorem's.

  Args:
    clean: clean risks `[C]`.
    noisy: risks under symmetric noise `[C]`.
    rate: of the noise.
    total: C, the loss's sum over all labels.

  Returns:
    What is found.
  """
  expected = (1 - rate * K / (K - 1)) * clean + rate * total / (K - 1)
  constant = np.ptp(noisy) < 1e-5 * np.abs(noisy).max()
  return Law(
    float(np.abs(noisy / expected - 1).max()),
    float(np.polyfit(clean, noisy, 1)[0]),
    None if constant else float(stats.spearmanr(clean, noisy).statistic),
  )


def blocks(size) -> list[page.Block]:
  logits, labels, scale = classifiers(size.classifiers)
  tables = {name: loss_table(name, logits) for name in setting.LOSSES}
  clean = {n: risks(t, labels, noise.clean(K)) for n, t in tables.items()}
  noisy = {
    (name, rate): risks(table, labels, noise.symmetric(K, rate))
    for name, table in tables.items()
    for rate in setting.RATES
  }
  totals = {name: table.sum(-1) for name, table in tables.items()}
  laws = {
    (name, rate): law(clean[name], values, rate, totals[name].mean())
    for (name, rate), values in noisy.items()
  }
  return [
    page.Heading('Risks of random classifiers'),
    page.Text(
      f'{len(scale)} random classifiers of {K} classes on {labels.size} '
      'inputs, their logits scaled by '
      f'{", ".join(f"{x:g}" for x in _TEMPERATURES)}; every other one leans '
      'to the true class, the others to the class after it. The noisy risk '
      'is the exact mean over the noise, by the transition matrix: no label '
      f'is drawn. SL is named by alpha and beta; A = {setting.LOG_ZERO:g}.'
    ),
    page.Figure(
      'noisy-risk',
      'Risk under symmetric noise against clean risk, a point a classifier, '
      "by the scale of its logits. The line is the theorem's, with C the mean "
      'sum of the loss over all labels: every point lies on it where that '
      'sum is a constant.',
      _draw_risks(clean, noisy, totals, scale),
    ),
    page.Text(_random_findings(totals, laws)),
    _law_table(laws, totals),
    *_pair_part(tables, clean, labels),
  ]


def _is_constant(total):
  return np.ptp(total) < 1e-5 * np.abs(total).max()


def _random_findings(totals, laws):
  limit = setting.LIMIT
  constant = [name for name in setting.LOSSES if _is_constant(totals[name])]
  others = [name for name in setting.LOSSES if name not in constant]

  def worst(names):
    return max(laws[n, r].deviation for n in names for r in setting.RATES)

  def ranks(names, keep):
    found = [laws[n, r].rank for n in names for r in setting.RATES if keep(r)]
    found = [x for x in found if x is not None]
    if not found:
      return 'undefined'
    ends = dict.fromkeys(f'{x:.3f}' for x in (min(found), max(found)))
    return ' to '.join(ends)

  def ranked(names):
    return (
      f'the rank correlation of noisy and clean risk is '
      f'{ranks(names, lambda r: r < limit - 1e-9)} below 1 - 1/K = {limit:g}'
      f' and {ranks(names, lambda r: r > limit + 1e-9)} past it'
    )

  text = []
  if constant:
    text.append(
      f'The sum over all labels is a constant, to float32, for '
      f'{", ".join(constant)}. Their noisy risks differ from the '
      f"theorem's line by {_few_digits(100 * worst(constant))} % at most; "
      f'{ranked(constant)}.'
    )
  for name in others:
    text.append(
      f'{name}: the sum runs from {totals[name].min():.1f} to '
      f'{totals[name].max():.1f}, the noisy risk is off the line by up to '
      f'{100 * worst([name]):.0f} %; {ranked([name])}.'
    )
  return ' '.join(text)


def _few_digits(value):
  return f'{value:.1f}' if value >= 0.1 else f'{value:.1e}'


def _law_table(laws, totals) -> page.Table:
  rows = []
  for (name, rate), it in laws.items():
    rank = 'undefined' if it.rank is None else f'{it.rank:.3f}'
    slope = 1 - rate * K / (K - 1)
    rows.append(
      [
        name,
        page.Cell(f'{rate:g}', rate),
        page.Cell(_few_digits(100 * it.deviation), it.deviation),
        page.Cell(f'{it.slope:.4f}', it.slope),
        page.Cell(f'{slope:.4f}', slope),
        page.Cell(rank, it.rank),
        f'{totals[name].min():.2f} to {totals[name].max():.2f}',
      ]
    )
  return page.Table(
    'noisy-risk-law',
    'The noisy risk of random classifiers against the theorem, symmetric noise',
    [
      'loss',
      'noise rate',
      'largest deviation from the line (% of risk)',
      'fitted slope',
      '1 - eta K / (K - 1)',
      'rank correlation',
      'sum over all labels',
    ],
    rows,
    'Undefined: the noisy risks are all equal, to float32.',
  )


def _pair_part(tables, clean, labels):
  rows, counts = [], {}
  perfect = jnp.asarray(_PERFECT * np.eye(K)[labels], jnp.float32)
  for name, table in tables.items():
    best = loss_table(name, perfect)
    for rate in setting.PAIR_RATES:
      transition = noise.pair_flip(K, rate)
      noisy = risks(table, labels, transition)
      lower = float((noisy < risks(best, labels, transition)).mean())
      rank = float(stats.spearmanr(clean[name], noisy).statistic)
      counts[name, rate] = lower
      rows.append(
        [
          name,
          page.Cell(f'{rate:g}', rate),
          page.Cell(f'{100 * lower:.1f}', lower),
          page.Cell(f'{rank:.3f}', rank),
        ]
      )

  def safe(keep):
    return ', '.join(
      name
      for name in setting.LOSSES
      if not any(counts[name, r] for r in setting.PAIR_RATES if keep(r))
    )

  yield page.Text(
    'Pair flips are no symmetric noise: there is no line. The theorem '
    'promises less: a classifier without clean risk stays the minimiser as '
    'long as no wrong label is as likely as the right one, here below a rate '
    f'of 0.5. Its logits are {_PERFECT:g} at the true class here, and no '
    'random classifier has a lower noisy risk at any rate below 0.5 with: '
    f'{safe(lambda r: r < 0.5) or "none"}; at any past it with: '
    f'{safe(lambda r: r > 0.5) or "none"}. Of classifiers with a clean risk '
    'nothing is promised: the rank correlation says what becomes of them.'
  )
  yield page.Table(
    'noisy-risk-pair',
    'Random classifiers under pair flips',
    [
      'loss',
      'noise rate',
      'lower noisy risk than the perfect one (% of classifiers)',
      'rank correlation of noisy and clean risk',
    ],
    rows,
  )


def _draw_risks(clean, noisy, totals, scale) -> Drawing:
  figure, axes = plt.subplots(
    len(_DRAWN), len(setting.RATES), figsize=(14, 9), layout='constrained'
  )
  for row, name in zip(axes, _DRAWN, strict=True):
    for ax, rate in zip(row, setting.RATES, strict=True):
      x, y = clean[name], noisy[name, rate]
      for number, value in enumerate(_TEMPERATURES):
        look = plots.style(number) | {'linestyle': 'none', 'markersize': 4}
        some = scale == value
        ax.plot(x[some], y[some], alpha=0.6, label=f'scale {value:g}', **look)
      ends = np.array([x.min(), x.max()])
      line = (1 - rate * K / (K - 1)) * ends
      line += rate * totals[name].mean() / (K - 1)
      ax.plot(ends, line, color='black', linewidth=1, label='theorem')
      low, high = min(y.min(), line.min()), max(y.max(), line.max())
      # Rounding alone is not to be blown up to a cloud.
      margin = 0.06 * max(high - low, 0.1 * high)
      ax.set(ylim=(low - margin, high + margin))
      ax.tick_params(labelsize=8)
      ax.grid(alpha=0.3)
    row[0].set_ylabel(f'{name}\nnoisy risk')
  for ax, rate in zip(axes[0], setting.RATES, strict=True):
    ax.set_title(f'noise rate {rate:g}')
  for ax in axes[-1]:
    ax.set_xlabel('clean risk')
  figure.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=len(_TEMPERATURES) + 1,
  )
  return figure
