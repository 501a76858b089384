"""The noise tolerance theorem, checked in numbers on random classifiers.

Under symmetric noise of rate eta a loss whose sum over all K labels is a
constant C has the noisy risk (1 - eta K / (K - 1)) R + eta C / (K - 1), where R
is the clean risk: the same minimiser as long as eta < 1 - 1 / K.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np
from scipy import stats

from experiments.analysis import pictures, style
from experiments.report.page import Block, Figure, Heading, Table, Text, number
from sce_jax import noise

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

  from experiments.paper.registry import Context, RunSpec

K = 10
_LOG_ZERO = -4.0
_SL = {'beta': 1.0, 'log_zero': _LOG_ZERO}
# By what the page calls it: the loss's key in SPECS, its hyper-parameters.
LOSSES: Mapping[str, tuple[str, Mapping[str, float]]] = {
  'CE': ('ce', {}),
  'MAE': ('mae', {}),
  'RCE': ('rce', {'log_zero': _LOG_ZERO}),
  'SL .01, 1': ('sl', {'alpha': 0.01, **_SL}),
  'SL .1, 1': ('sl', {'alpha': 0.1, **_SL}),
  'SL 1, 1': ('sl', {'alpha': 1.0, **_SL}),
}
RATES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
PAIR_RATES = (0.2, 0.4, 0.45, 0.55, 0.6)
_DRAWN = ('CE', 'MAE', 'RCE', 'SL .1, 1')
_TEMPERATURES = (0.5, 2.0, 8.0)
# Of each temperature.
_COUNT, _FEW = 100, 20
_PERFECT = 50.0  # A logit that leaves exp(-50) to the other classes.
# Relative differences below this are float32's rounding.
_ROUNDING = 1e-5


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """No runs: random classifiers."""
  del dataset, scale
  return []


def report(context: Context, runs: pd.DataFrame) -> list[Block]:
  """The theorem against numbers."""
  del runs
  return blocks(context.scale)


def blocks(scale: str) -> list[Block]:
  """Risks of random classifiers under noise, against their clean risks."""
  logits, clean, temperature = classifiers(scale)
  losses = {name: loss_table(name, logits) for name in LOSSES}
  return [
    Heading('Risks of random classifiers'),
    Text(
      f'{len(logits)} random classifiers of {K} classes on {clean.size}'
      ' inputs, their logits scaled by'
      f' {", ".join(f"{x:g}" for x in _TEMPERATURES)}; every other one leans'
      ' to the true class, the others to the class after it. The noisy risk is'
      ' the exact mean over the noise, by the transition matrix: no label is'
      f' drawn. SL is named by alpha and beta; A = {_LOG_ZERO:g}.'
    ),
    Figure(
      'noisy-risk',
      'Risk under symmetric noise against clean risk, a point a classifier, by'
      " the scale of its logits. The line is the theorem's, with C the mean"
      ' sum of the loss over all labels: every point lies on it where that sum'
      ' is a constant.',
      _draw(losses, clean, temperature),
    ),
    _symmetric_table(losses, clean),
    Heading('Pair flips'),
    Text(
      'Pair flips are not symmetric noise: there is no line. The theorem'
      ' promises less: a classifier without clean risk stays the minimiser as'
      ' long as no wrong label is as likely as the right one, here below a'
      ' rate of 0.5. Of classifiers with a clean risk nothing is promised: the'
      ' rank correlation says what becomes of them.'
    ),
    _pair_table(losses, clean),
  ]


def classifiers(scale: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Random classifiers on a finite set of inputs, from poor to good.

  Each leans by a random amount towards the true class or, every other one,
  towards the class after it, which pair flips make of it.

  Args:
    scale: one of scales.SCALES.

  Returns:
    Logits `[C, N, K]`, clean labels `[N]` and temperatures `[C]`.
  """
  rng = np.random.default_rng(0)
  clean = np.arange(5 * K) % K
  count = _FEW if scale == 'tiny' else _COUNT
  temperature = np.repeat(_TEMPERATURES, count)
  lean = rng.uniform(0, 4, temperature.size)
  towards = (clean + np.arange(temperature.size)[:, None] % 2) % K
  logits = rng.normal(size=(temperature.size, clean.size, K))
  logits += lean[:, None, None] * np.eye(K)[towards]
  logits *= temperature[:, None, None]
  return logits.astype(np.float32), clean, temperature


def loss_table(name: str, logits: np.ndarray) -> np.ndarray:
  """The loss of every label: [..., K] logits to [..., K] losses, float64."""
  # Sweeps are planned without jax, by importing this module.
  import jax  # noqa: PLC0415
  import jax.numpy as jnp  # noqa: PLC0415

  from sce_jax import methods  # noqa: PLC0415

  key, hparams = LOSSES[name]
  loss: Any = methods.SPECS[key].loss

  @jax.jit
  def table(z):
    labels = jnp.arange(K, dtype=jnp.int32)
    one = jax.vmap(lambda x, y: loss(x, y, **hparams), (None, 0))
    return jax.vmap(one, (0, None))(z, labels)

  flat = table(jnp.asarray(logits.reshape(-1, K)))
  return np.asarray(flat, np.float64).reshape(logits.shape)


def risks(
  losses: np.ndarray, clean: np.ndarray, transition: np.ndarray
) -> np.ndarray:
  """Exact risks under label noise, from the losses of all labels, `[C]`."""
  return (losses * transition[clean]).sum(-1).mean(-1)


def theorem(clean_risk: np.ndarray, rate: float, total: float) -> np.ndarray:
  """The noisy risk of a loss whose sum over all labels is always `total`."""
  return (1 - rate * K / (K - 1)) * clean_risk + rate * total / (K - 1)


def compare(
  clean_risk: np.ndarray, noisy_risk: np.ndarray, rate: float, total: float
) -> tuple[float, float, float]:
  """Compares noisy risks `[C]` under symmetric noise with the theorem's.

  Returns:
    The largest relative deviation from the theorem's line; the fitted slope;
    Spearman's correlation of noisy and clean risks, nan where the noisy risks
    are all equal but for rounding.
  """
  expected = theorem(clean_risk, rate, total)
  return (
    float(np.abs(noisy_risk / expected - 1).max()),
    float(np.polyfit(clean_risk, noisy_risk, 1)[0]),
    _rank(clean_risk, noisy_risk),
  )


def _rank(clean_risk: np.ndarray, noisy_risk: np.ndarray) -> float:
  if np.ptp(noisy_risk) < _ROUNDING * np.abs(noisy_risk).max():
    return np.nan
  return float(stats.spearmanr(clean_risk, noisy_risk).statistic)


def _symmetric_table(
  losses: Mapping[str, np.ndarray], clean: np.ndarray
) -> Table:
  rows: list[list[Any]] = []
  for name, table in losses.items():
    totals = table.sum(-1)
    clean_risk = risks(table, clean, noise.clean(K))
    for rate in RATES:
      noisy_risk = risks(table, clean, noise.symmetric(K, rate))
      off, slope, rank = compare(clean_risk, noisy_risk, rate, totals.mean())
      rows.append(
        [
          name,
          number(rate, 'g'),
          number(100 * off, '.1f' if off >= 1e-3 else '.1e'),
          number(slope, '.4f'),
          number(1 - rate * K / (K - 1), '.4f'),
          number(rank, '.3f'),
          number(totals.min(), '.2f'),
          number(totals.max(), '.2f'),
        ]
      )
  return Table(
    'noisy-risk-law',
    'The noisy risk of random classifiers against the theorem, symmetric noise',
    [
      'loss',
      'noise rate',
      'largest deviation from the line (% of risk)',
      'fitted slope',
      '1 - eta K / (K - 1)',
      'rank correlation of noisy and clean risk',
      'sum over all labels, lowest',
      'highest',
    ],
    rows,
    'The theorem is about losses whose sum over all labels is a constant, here'
    ' MAE and RCE: their classifiers keep their order below a rate of'
    f' 1 - 1 / K = {1 - 1 / K:g} and reverse it past that. -: the noisy risks'
    ' are all equal, to float32.',
  )


def _pair_table(losses: Mapping[str, np.ndarray], clean: np.ndarray) -> Table:
  perfect = (_PERFECT * np.eye(K)[clean]).astype(np.float32)
  rows: list[list[Any]] = []
  for name, table in losses.items():
    best = loss_table(name, perfect)
    clean_risk = risks(table, clean, noise.clean(K))
    for rate in PAIR_RATES:
      transition = noise.pair_flip(K, rate)
      noisy_risk = risks(table, clean, transition)
      lower = (noisy_risk < risks(best, clean, transition)).mean()
      rows.append(
        [
          name,
          number(rate, 'g'),
          number(100 * lower),
          number(_rank(clean_risk, noisy_risk), '.3f'),
        ]
      )
  return Table(
    'noisy-risk-pair',
    'Random classifiers under pair flips',
    [
      'loss',
      'noise rate',
      'lower noisy risk than the perfect one (% of classifiers)',
      'rank correlation of noisy and clean risk',
    ],
    rows,
    f'The perfect one has a logit of {_PERFECT:g} at the true class, and 0'
    ' elsewhere.',
  )


def _draw(
  losses: Mapping[str, np.ndarray], clean: np.ndarray, temperature: np.ndarray
) -> Drawing:
  figure, axes = plt.subplots(
    len(_DRAWN), len(RATES), figsize=(12, 9.5), layout='constrained'
  )
  for row, name in zip(axes, _DRAWN, strict=True):
    x = risks(losses[name], clean, noise.clean(K))
    ends = np.array([x.min(), x.max()])
    for ax, rate in zip(row, RATES, strict=True):
      y = risks(losses[name], clean, noise.symmetric(K, rate))
      for place, value in enumerate(_TEMPERATURES):
        look = style.of_class(place) | {'linestyle': 'none', 'markersize': 4}
        some = temperature == value
        ax.plot(x[some], y[some], alpha=0.6, label=f'scale {value:g}', **look)
      line = theorem(ends, rate, losses[name].sum(-1).mean())
      ax.plot(ends, line, color='black', linewidth=1, label='theorem')
      low, high = min(y.min(), line.min()), max(y.max(), line.max())
      # Differences that are rounding alone must not fill the height.
      margin = 0.06 * max(high - low, 0.1 * high)
      ax.set(ylim=(low - margin, high + margin))
      ax.tick_params(labelsize=8)
      ax.grid(alpha=0.3)
    row[0].set_ylabel(f'{name}\nnoisy risk')
  for ax, rate in zip(axes[0], RATES, strict=True):
    ax.set_title(f'noise rate {rate:g}')
  for ax in axes[-1]:
    ax.set_xlabel('clean risk')
  pictures.add_legend(figure)
  pictures.add_title(
    figure,
    f'{K} classes, random classifiers on synthetic inputs, symmetric noise in'
    ' expectation; no band',
  )
  return figure
