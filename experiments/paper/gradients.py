"""How hard each loss pulls, by how far the network believes the label.

For a class label y every loss here has the gradient w(p_y) (p - onehot(y)) in
the logits: that of cross entropy times a weight w. The weight is all that they
differ by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np

from experiments.analysis import pictures, style
from experiments.report import page
from sce_jax.config import published

if TYPE_CHECKING:
  from experiments.paper import registry

_PUBLIC = published.PUBLIC_CODES_LOG_ZERO
_CLASSES = 10
# Probabilities of the label: 1 / n, 2 / n, .. (n - 1) / n. Each n is a multiple
# of 100, so that the table's probabilities are among them.
_POINTS, _FEW_POINTS = 1000, 100
_SHOWN = (0.01, 0.1, 0.5, 0.9)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
  """A loss and the weight it is known to have.

  Attributes:
    name: what the page calls it.
    loss: its key in LOSSES.
    hyper: its hyper-parameters.
    weight: w(p_y) as worked out by hand.
    among: where it is drawn: 'losses', 'settings' (of SL) or 'both'.
  """

  name: str
  loss: str
  hyper: Mapping[str, float]
  weight: Callable[[np.ndarray], np.ndarray]
  among: str = 'losses'


def _sl(alpha, beta, log_zero, among='settings'):
  return Curve(
    f'SL {_weights(alpha, beta)}, A={log_zero:.2g}',
    'sl',
    {'alpha': alpha, 'beta': beta, 'log_zero': log_zero},
    lambda p: alpha - beta * log_zero * p,
    among,
  )


def _weights(alpha: float, beta: float) -> str:
  """SL's two weights as names have them, such as '.1, 1'."""
  return ', '.join(f'{x:g}'.removeprefix('0') for x in (alpha, beta))


# SL's alpha and beta in its public code, by data set.
_PUBLISHED = {
  dataset: (values['alpha'], values['beta'])
  for dataset in ('mnist', 'cifar10', 'cifar100')
  for values in [published.presets(dataset, 'clean', 0.0)['sl']]
}
_PLAIN = _sl(*_PUBLISHED['cifar10'], -4.0, 'both')
_CIFAR100 = _sl(*_PUBLISHED['cifar100'], _PUBLIC)

CURVES = (
  Curve('CE', 'ce', {}, np.ones_like),
  Curve('RCE, A=-4', 'rce', {'log_zero': -4.0}, lambda p: 4 * p),
  Curve('MAE', 'mae', {}, lambda p: 2 * p),
  Curve('GCE, q=.7', 'gce', {'q': 0.7}, lambda p: p**0.7),
  _PLAIN,
  _sl(*_PUBLISHED['cifar10'], -6.0),
  _sl(*_PUBLISHED['mnist'], _PUBLIC),
  _sl(*_PUBLISHED['cifar10'], _PUBLIC),
  _CIFAR100,
)

# The same as SL at beta = 1, A = -4, and the same as MAE.
_TWINS = (
  _sl(_PLAIN.hyper['alpha'], 4.0, -1.0),
  Curve('RCE, A=-2', 'rce', {'log_zero': -2.0}, lambda p: 2 * p),
)


@dataclasses.dataclass(frozen=True)
class Measured:
  """What jax.grad gives for a loss, at each probability of the label.

  Attributes:
    weight: w.
    pull: w (1 - p_y), the gradient's size in the label's own logit.
    error: largest difference from the closed form, over all logits.
  """

  weight: np.ndarray
  pull: np.ndarray
  error: float


def sweep(dataset: str, scale: str) -> list:
  """No runs: gradients of single examples."""
  del dataset, scale
  return []


def report(context: registry.Context, runs: Any) -> list[page.Block]:
  """Weights and pulls of the losses, measured and checked.

  Args:
    context: its scale says at how many probabilities.
    runs: none.

  Returns:
    The page's blocks.
  """
  del runs
  return blocks(context.scale)


def blocks(scale: str) -> list[page.Block]:
  """Weights and pulls, and what they say, at as many p_y as a scale has."""
  p = probabilities(scale)
  every = CURVES + _TWINS
  measured = dict(zip(every, measure(every, p), strict=True))
  return [
    page.Heading('What a loss makes of an example'),
    page.Text(
      'p_y is the probability that the network gives the label y. The pull '
      "on the label's own logit is w(p_y) (1 - p_y), which is the gradient's "
      'size there. SL is named by alpha, beta and A. With '
      f'A={_PUBLIC:.1f}, the log(1e-4) of public codes, it is shown at their '
      f'settings for MNIST ({_weights(*_PUBLISHED["mnist"])}), CIFAR-10'
      f' ({_weights(*_PUBLISHED["cifar10"])}) and CIFAR-100'
      f' ({_weights(*_PUBLISHED["cifar100"])}).'
    ),
    page.Figure(
      'gradients',
      'Above: the weight w of the gradient against the probability p_y of '
      "the label. Below: the pull w (1 - p_y) on the label's logit, with the "
      'two regimes of the reverse term. Left: losses. Right: settings of SL. '
      'By jax.grad.',
      _draw(p, measured),
    ),
    *(page.Text(text) for text in _findings(p, measured)),
    _table(p, measured),
  ]


def probabilities(scale: str) -> np.ndarray:
  """The probabilities of the label that a scale looks at, `[P]`."""
  count = _FEW_POINTS if scale == 'tiny' else _POINTS
  return np.arange(1, count) / count


def measure(curves: Sequence[Curve], p: np.ndarray) -> list[Measured]:
  """Differentiates losses in the logits, in float32.

  The other classes share what the label leaves unevenly, so that a weight that
  depended on more than p_y would not pass the check.

  Args:
    curves: the losses.
    p: probabilities of the label `[P]`, above 0 and below 1.

  Returns:
    What each gives, in their order.
  """
  # Sweeps are planned without jax, by importing this module.
  import jax  # noqa: PLC0415
  import jax.numpy as jnp  # noqa: PLC0415

  from sce_jax import methods  # noqa: PLC0415

  others = np.arange(1, _CLASSES) / np.arange(1, _CLASSES).sum()
  full = np.column_stack([p, np.outer(1 - p, others)])
  label = jnp.asarray(0, jnp.int32)

  @jax.jit
  def gradients(logits):
    return [
      jax.vmap(
        jax.grad(lambda z, c=c: methods.SPECS[c.loss].loss(z, label, **c.hyper))
      )(logits)
      for c in curves
    ]

  results = []
  values = gradients(jnp.asarray(np.log(full), jnp.float32))
  for curve, value in zip(curves, values, strict=True):
    gradient = np.asarray(value, np.float64)
    away = full - np.eye(_CLASSES)[0]
    error = np.abs(gradient - curve.weight(p)[:, None] * away).max()
    pull = -gradient[:, 0]
    results.append(Measured(pull / (1 - p), pull, float(error)))
  return results


def _draw(p, measured) -> Drawing:
  from sce_jax import methods  # noqa: PLC0415  Sweeps are planned without jax.

  figure, axes = plt.subplots(
    2, 2, figsize=(11, 8), layout='constrained', sharex=True
  )
  # SL is drawn as everywhere; further settings of it keep its colour.
  names = [methods.SPECS[c.loss].short for c in CURVES]
  look_of = dict(zip(CURVES, style.looks(names), strict=True))
  for column, among in enumerate(('losses', 'settings')):
    shown = [c for c in CURVES if c.among in (among, 'both')]
    looks = [look_of[c] for c in shown]
    for number, curve in enumerate(shown):
      look = looks[number] | {
        'label': curve.name,
        'markersize': 5,
        'markevery': (0.03 * (number + 1), 0.21),
      }
      axes[0, column].plot(p, measured[curve].weight, **look)
      axes[1, column].plot(p, measured[curve].pull, **look)
    title = 'Losses' if among == 'losses' else 'Settings of SL'
    axes[0, column].set(title=title, ylabel='weight w(p_y)')
    axes[1, column].set(
      xlabel='probability of the label, p_y',
      ylabel="pull on the label's logit, w(p_y) (1 - p_y)",
    )
    _mark_regimes(axes[1, column])
  for ax in axes.flat:
    ax.set(xlim=(0, 1), ylim=(0, ax.get_ylim()[1]))
    ax.grid(alpha=0.3)
  pictures.add_legend(figure)
  pictures.add_title(
    figure,
    f'{_CLASSES} classes, gradients in the logits of single examples; no data,'
    ' no noise, no seed',
  )
  return figure


def _mark_regimes(ax):
  ax.axvline(0.5, color='black', linewidth=0.8, linestyle=(0, (2, 3)))
  ax.axvspan(0.5, 1, color='black', alpha=0.05, linewidth=0)
  ax.set_ylim(0, 1.2 * ax.get_ylim()[1])
  for x, text in ((0.25, 'grows with p_y'), (0.75, 'shrinks with p_y')):
    ax.text(
      x,
      0.96,
      f'reverse term\n{text}',
      transform=ax.get_xaxis_transform(),
      ha='center',
      va='top',
      fontsize=9,
    )


def _findings(p, measured):
  ce, rce, mae, gce, sl = (measured[curve] for curve in CURVES[:5])
  extra = sl.pull - _PLAIN.hyper['alpha'] * ce.pull
  low, high = _at(p, 0.01), _at(p, 0.99)
  big = measured[_CIFAR100].weight
  same, half = (measured[curve] for curve in _TWINS)
  yield (
    f'CE weighs all examples alike: w is {ce.weight.min():.3f} to '
    f'{ce.weight.max():.3f}. An example that the network disagrees with, hard '
    f'or wrongly labelled, pulls hardest. At p_y = 0.01 the weight of RCE is '
    f'{rce.weight[low]:.3f}, of MAE {mae.weight[low]:.3f}, of GCE '
    f'{gce.weight[low]:.3f}: what the network does not believe hardly moves '
    'it. A wrong label moves them little then, and so does a right one that '
    'is merely hard: they learn slowly, as at the start of training p_y is '
    'about 1 / K for every example.'
  )
  yield (
    f'SL keeps a floor: its weight is alpha as p_y goes to 0 '
    f'({_PLAIN.name}: {sl.weight[low]:.3f} at p_y = 0.01, '
    f'{sl.weight[high]:.3f} at 0.99). The term that it adds to '
    f"alpha times CE's pull is -A beta (p_y - p_y^2), largest "
    f'({extra.max():.3f}) at p_y = {p[extra.argmax()]:.2f}: below, the '
    'acceleration grows with p_y, above, it shrinks again.'
  )
  yield (
    'Beta and A are one parameter, only their product enters: beta = 1, '
    'A = -4 and beta = 4, A = -1 differ by '
    f'{np.abs(same.pull - sl.pull).max():.1e} at most, and RCE at A = -2 '
    f'differs from MAE by {np.abs(half.pull - mae.pull).max():.1e}. '
    f'How far a setting is from CE is -A beta / alpha. At {_CIFAR100.name} '
    f'the weight goes from {big[low]:.2f} to {big[high]:.2f}, a factor of '
    f'{big[high] / big[low]:.2f} between p_y = 0.01 and 0.99; at '
    f'{_PLAIN.name} a factor of {sl.weight[high] / sl.weight[low]:.0f}. The '
    'nearer that is to 1, the more a setting is CE at another learning rate.'
  )


def _at(p, value):
  return int(np.argmin(np.abs(p - value)))


def _table(p, measured) -> page.Table:
  rows = []
  for curve in CURVES:
    it = measured[curve]
    best = int(it.pull.argmax())
    ratio = it.weight[_at(p, 0.99)] / it.weight[_at(p, 0.01)]
    end = ' (the lowest looked at)' if best == 0 else ''
    rows.append(
      [
        curve.name,
        page.Cell(f'{p[best]:.3f}{end}', float(p[best])),
        page.number(it.pull[best], '.3f'),
        *(
          page.number(100 * it.pull[_at(p, x)] / it.pull[best]) for x in _SHOWN
        ),
        page.number(ratio, '.2f'),
        page.number(it.error, '.1e'),
      ]
    )
  return page.Table(
    'gradient-pull',
    "Where each loss pulls hardest on the label's logit",
    [
      'loss',
      'p_y of the largest pull',
      'largest pull',
      *(f'pull at p_y = {x}, % of largest' for x in _SHOWN),
      'w(0.99) / w(0.01)',
      'largest difference from the closed form',
    ],
    rows,
    f'Over p_y from {p[0]:g} to {p[-1]:g} in steps of {p[0]:g}. A largest '
    'pull at the lowest p_y looked at means that it grows all the way to 0. '
    f'The last column compares jax.grad (float32) in all {_CLASSES} logits '
    'with the weight worked out by hand.',
  )
