"""Classifiers trained to the minimum of the noisy risk."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np

from experiments.analysis import plots
from experiments.paper.theory import setting
from experiments.paper.theory.setting import K
from experiments.paper.theory.training import DIMENSIONS, Job, blobs, minimise
from experiments.report import page
from sce_jax import noise

_SAMPLED_RATES = (0.2, 0.4, 0.6)


def blocks(size) -> list[page.Block]:
  points, labels, fresh, fresh_labels, means = blobs(size)
  jobs = _jobs(labels, size)
  minima = dict(
    zip(
      [(j.loss, j.noise, j.rate, j.sample) for j in jobs],
      minimise(jobs, points, fresh, size),
      strict=True,
    )
  )
  exact = {k[:3]: m for k, m in minima.items() if k[1] != 'sampled'}
  for name in setting.TRAINED:
    exact[name, 'pair flip', 0.0] = exact[name, 'symmetric', 0.0]
  figures = {
    (*key, what): value
    for key, m in exact.items()
    for what, value in (
      ('accuracy', (m.probabilities.argmax(-1) == labels).mean()),
      ('moved', _moved(m, exact[key[0], 'symmetric', 0.0])),
    )
  }
  for name in setting.TRAINED:
    for rate in _SAMPLED_RATES:
      memorised, accuracy = [], []
      for job in jobs:
        if (job.loss, job.noise, job.rate) == (name, 'sampled', rate):
          m = minima[name, 'sampled', rate, job.sample]
          noisy = job.weights.argmax(-1)
          predicted = m.probabilities.argmax(-1)
          memorised.append((predicted == noisy)[noisy != labels].mean())
          accuracy.append((m.fresh == fresh_labels).mean())
      figures[name, 'sampled', rate, 'memorised'] = np.mean(memorised)
      figures[name, 'sampled', rate, 'fresh'] = np.mean(accuracy)
  distances = ((fresh[:, None] - means) ** 2).sum(-1)
  bayes = (distances.argmin(-1) == fresh_labels).mean()
  return [
    page.Heading('Classifiers trained to the minimum'),
    page.Text(
      f'A network of one hidden layer ({size.hidden} units) on {size.points} '
      f'points of {K} Gaussian blobs in {DIMENSIONS} dimensions, '
      f'{size.steps} steps of Adam on all points at once. Exact: it minimises '
      'the mean risk over all noise, by the transition matrix, and these '
      'points are all there is. Sampled: every point has one label, drawn '
      f'once. Of {size.restarts} random starts the one of the lowest noisy '
      'risk is kept: RCE is not convex in the logits and may stop short of '
      'its minimum. That is the optimiser, not the theorem. What RCE shows '
      'holds for MAE, which is half of it.'
    ),
    page.Figure(
      'minimisers',
      'Left and middle: minimisers of the exact noisy risk, their accuracy '
      'on the clean labels, and how far their probabilities have moved from '
      'those without noise (mean total variation distance, 0 to 1); dotted: '
      'the noise the theorem goes to. Right: networks trained on sampled '
      'labels, their accuracy on fresh points and the share of wrong labels '
      'that they memorise.',
      _draw_minima(figures),
    ),
    page.Text(_exact_findings(figures)),
    page.Text(_sampled_findings(figures, jobs, minima, bayes)),
    *_minimum_tables(figures),
    _risk_table(jobs, minima, size),
  ]


def _jobs(labels, size) -> list[Job]:
  jobs = []
  for name in setting.TRAINED:
    jobs.append(Job(name, 'symmetric', 0.0, noise.clean(K)[labels]))
    for kind, rates in (
      ('symmetric', setting.RATES),
      ('pair flip', setting.PAIR_RATES),
    ):
      for rate in rates:
        matrix = noise.transition_matrix(kind.replace(' ', '_'), K, rate)
        jobs.append(Job(name, kind, rate, matrix[labels]))
    for rate in _SAMPLED_RATES:
      for sample in range(size.samples):
        noisy = noise.corrupt(
          labels,
          noise.symmetric(K, rate),
          seed=setting.SEED + sample,
          mode='exact',
        )
        jobs.append(Job(name, 'sampled', rate, np.eye(K)[noisy], sample))
  return jobs


def _moved(minimum, clean):
  """Mean total variation distance of two classifiers' predictions."""
  difference = np.abs(minimum.probabilities - clean.probabilities)
  return difference.sum(-1).mean() / 2


def _series(figures, name, kind, what):
  found = [
    (k[2], v)
    for k, v in figures.items()
    if k[:2] == (name, kind) and k[3] == what
  ]
  return zip(*sorted(found), strict=True)


_PANELS = (
  ('symmetric', 'accuracy', 'Exact, symmetric noise', 'accuracy (%)'),
  ('symmetric', 'moved', 'Exact, symmetric noise', 'total variation moved'),
  ('pair flip', 'accuracy', 'Exact, pair flips', 'accuracy (%)'),
  ('pair flip', 'moved', 'Exact, pair flips', 'total variation moved'),
  ('sampled', 'fresh', 'Sampled, symmetric noise', 'accuracy, fresh (%)'),
  ('sampled', 'memorised', 'Sampled, symmetric noise', 'memorised (%)'),
)


def _draw_minima(figures) -> Drawing:
  figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout='constrained')
  for ax, (kind, what, title, label) in zip(axes.T.flat, _PANELS, strict=True):
    factor = 1 if what == 'moved' else 100
    for number, name in enumerate(setting.TRAINED):
      x, y = _series(figures, name, kind, what)
      # Where lines lie on each other, the ones below show through as rings.
      look = plots.style(number) | {
        'label': name,
        'markersize': 12 - 2 * number,
        'markerfacecolor': 'none',
        'markeredgewidth': 1.5,
      }
      ax.plot(x, factor * np.array(y), **look)
    limit = {'symmetric': setting.LIMIT, 'pair flip': 0.5}.get(kind)
    if limit:
      ax.axvline(limit, color='black', linewidth=0.8, linestyle=(0, (2, 3)))
    ax.set(title=title, xlabel='noise rate', ylabel=label)
    ax.set_ylim(-0.04 * factor, 1.04 * factor)
    ax.grid(alpha=0.3)
  figure.legend(
    *axes[0, 0].get_legend_handles_labels(),
    loc='outside lower center',
    ncols=len(setting.TRAINED),
  )
  return figure


def _percent(value):
  return f'{100 * value:.0f} %'


def _exact_findings(figures):
  def listed(kind, rate):
    return '; '.join(
      f'{name} {_percent(figures[name, kind, rate, "accuracy"])}, '
      f'{figures[name, kind, rate, "moved"]:.2f}'
      for name in setting.TRAINED
    )

  return (
    'Exact noise, accuracy on the clean labels and mean total variation '
    'distance between predictions with and without noise. Symmetric, rate '
    f'0.8: {listed("symmetric", 0.8)}. Rate 0.95: '
    f'{listed("symmetric", 0.95)}. Pair flips, rate 0.45: '
    f'{listed("pair flip", 0.45)}. Rate 0.55: {listed("pair flip", 0.55)}. '
    "With all noise averaged out CE's minimiser is the noisy posterior: its "
    'largest class need not change below the limit, its probabilities do, '
    'at symmetric noise by as much as the rate. That limit is what a finite '
    'sample lacks.'
  )


def _sampled_findings(figures, jobs, minima, bayes):
  parts = []
  for name in setting.TRAINED:
    above = [
      minima[name, 'sampled', 0.4, j.sample].risk - _bound(name, j.weights)
      for j in jobs
      if (j.loss, j.noise, j.rate) == (name, 'sampled', 0.4)
    ]
    fresh, memorised = (
      _percent(figures[name, 'sampled', 0.4, what])
      for what in ('fresh', 'memorised')
    )
    parts.append(
      f'{name} has {fresh} of fresh points right and {memorised} of wrong '
      f'labels memorised, its risk is {np.mean(above):.3f}'
    )
  return (
    'One sampled label a point, rate 0.4, after all steps: '
    f'{"; ".join(parts)}. The best possible on the fresh points is about '
    f'{_percent(bayes)} (nearest mean). The theorem speaks of risks over all '
    'noise. On one label a point the risk of every loss here is lowest, 0, '
    'where a network has memorised all labels, the wrong ones too: a loss '
    'whose risk is well above 0 is one whose training did not get there.'
  )


def _minimum_tables(figures):
  for kind, rates, whats in (
    ('symmetric', (0.0, *setting.RATES), ('accuracy', 'moved')),
    ('pair flip', (0.0, *setting.PAIR_RATES), ('accuracy', 'moved')),
    ('sampled', _SAMPLED_RATES, ('fresh', 'memorised')),
  ):
    rows = []
    for name in setting.TRAINED:
      for what in whats:
        values = [100 * float(figures[name, kind, r, what]) for r in rates]
        cells = [page.Cell(f'{value:.1f}', value) for value in values]
        rows.append([name, _MEANING[what], *cells])
    yield page.Table(
      f'minimiser-{kind.replace(" ", "-")}',
      _CAPTIONS[kind],
      ['loss', '%', *(f'rate {rate:g}' for rate in rates)],
      rows,
      _NOTES.get(kind, ''),
    )


_MEANING = {
  'accuracy': 'accuracy on the clean labels',
  'moved': 'probability moved (mean total variation)',
  'fresh': 'accuracy on fresh points',
  'memorised': 'wrong labels memorised',
}
_CAPTIONS = {
  'symmetric': 'Minimisers of the exact risk under symmetric noise, in %',
  'pair flip': 'Minimisers of the exact risk under pair flips, in %',
  'sampled': 'Trained on one sampled label a point, symmetric noise, in %',
}
_NOTES = {
  'symmetric': f'At a rate of {setting.LIMIT:g} all labels are equally likely: '
  'the labels say nothing, and what is left is the random start or rounding.',
  'sampled': 'Wrong labels memorised: predicted as given.',
}


def _bound(name, weights):
  """A lower bound of the noisy risk; it is attained but for mixtures."""
  alpha, beta, gamma = setting.LOSSES[name]
  entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
  off = 1 - weights.max(-1)
  return (alpha * entropy + (2 * gamma - beta * setting.LOG_ZERO) * off).mean()


def _risk_table(jobs, minima, size) -> page.Table:
  rows = []
  for name in setting.TRAINED:
    for kind in ('symmetric', 'pair flip', 'sampled'):
      own = [j for j in jobs if (j.loss, j.noise) == (name, kind)]
      found = [minima[j.loss, j.noise, j.rate, j.sample] for j in own]
      above = max(
        m.risk - _bound(name, j.weights)
        for j, m in zip(own, found, strict=True)
      )
      spread = max(m.spread for m in found)
      rows.append(
        [
          name,
          kind,
          page.Cell(f'{above:.3f}', float(above)),
          page.Cell(f'{spread:.3f}', spread),
        ]
      )
  return page.Table(
    'minimiser-risk',
    'How near the training came to the minimum of the noisy risk, largest '
    'over all rates',
    ['loss', 'noise', 'risk above its lower bound', 'between random starts'],
    rows,
    'The bound lets each point have its own best prediction. CE and RCE can '
    'reach it; of SL, whose two terms want different predictions, it is '
    f'below the minimum where there is noise. {size.restarts} starts each.',
  )
