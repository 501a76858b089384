"""Every loss: formula, range, when it is noise-tolerant, how hard it pulls.

All of it is read from the table of methods and from the losses themselves. The
cost is that of experiments/results/loss_cost.json, if there is one; this makes
it:

python -m experiments.benchmarks loss --classes=10 --losses=ce,nce,...
  --json=experiments/results/loss_cost.json
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import importlib
import json
import pathlib
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np

from experiments.analysis import pictures, style
from experiments.report import page

if TYPE_CHECKING:
  from experiments.paper import registry

K = 10
COST = pathlib.Path(__file__).parents[1] / 'results' / 'loss_cost.json'
# Probabilities of the label: 1 / n, 2 / n, .. (n - 1) / n.
_POINTS, _FEW_POINTS = 500, 20
# What has no default, for the curves: the settings for CIFAR-10.
_NEEDED = {'sl': {'alpha': 0.1, 'beta': 1.0}}


def sweep(dataset: str, scale: str) -> list:
  """No runs: losses of single examples."""
  del dataset, scale
  return []


def report(context: registry.Context, runs: Any) -> list[page.Block]:
  """The losses by the module that they are in.

  Args:
    context: its scale says at how many probabilities they are drawn.
    runs: none.

  Returns:
    The page's blocks.
  """
  # Sweeps are planned without jax, by importing this module.
  from sce_jax import methods  # noqa: PLC0415

  del runs
  cost = costs()
  groups: dict[str, dict[str, Any]] = {}
  for name, spec in methods.SPECS.items():
    if spec.loss is not None:
      groups.setdefault(spec.loss.__module__, {})[name] = spec
  blocks: list[page.Block] = [
    page.Text(
      'The loss of an example of class y. The weight of a loss is its slope in'
      " the label's logit over that of cross entropy, p_y - 1: how hard it"
      ' pulls at an example, by how far the label is believed. In pictures the'
      f' other {K - 1} classes share what the label leaves equally, their'
      ' logits are 0, and hyper-parameters have their defaults (SL: those for'
      ' CIFAR-10). "Tuned per rate": whether the published settings differ from'
      ' noise rate to noise rate, which a user of real data does not know; ?:'
      ' not known. "Noise-tolerant": noise of that kind does not change which'
      ' classifier minimises the expected loss.' + _measured(COST)
    ),
    _names(methods.FORMULA_NAMES),
  ]
  for module, specs in groups.items():
    title = (importlib.import_module(module).__doc__ or '').partition('\n')[0]
    group = module.rpartition('.')[2]
    blocks += [page.Heading(title.rstrip('.')), _table(group, specs, cost)]
    curves = {
      name: spec
      for name, spec in specs.items()
      if 'transition_matrix' not in spec.hparams
    }
    if curves:
      values = measure(curves, context.scale)
      blocks.append(
        page.Figure(
          f'curves-{group}',
          'Left: the loss against the probability p_y of its label, less its'
          ' value near p_y = 1 and over what is left at 1 / K, where an'
          ' untrained network is. Right: its weight beside that of cross'
          ' entropy, which is 1. By jax.grad.',
          _draw(values, {name: spec.short for name, spec in curves.items()}),
        )
      )
  return blocks


def costs(file: pathlib.Path = COST) -> dict[str, float]:
  """The time of losses over that of optax's cross entropy, by name.

  Args:
    file: written by `python -m experiments.benchmarks loss --json=`; that of
      the fewest classes counts. If it is missing, nothing is known.
  """
  if not file.exists():
    return {}
  rows = json.loads(file.read_text())['rows']
  fewest = min(row['K'] for row in rows)
  return {
    row['loss']: value
    for row in rows
    for key, value in row.items()
    if row['K'] == fewest and key.startswith('over ')
  }


def _measured(file: pathlib.Path) -> str:
  """How the costs were measured, a sentence; '' if there are none."""
  if not file.exists():
    return ''
  record = json.loads(file.read_text())
  machine, fewest = record['machine'], min(r['K'] for r in record['rows'])
  return (
    f" Time over that of optax's cross entropy, with {fewest} classes: measured"
    f' on {machine["device"]}, {machine["date"]}, jax {machine["jax"]}; -: not'
    ' measured.'
  )


def measure(
  specs: Mapping[str, Any], scale: str
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Losses and weights against the probability of the label.

  Args:
    specs: of losses, by name.
    scale: one of scales.SCALES: at how many probabilities.

  Returns:
    Probabilities, losses and weights of each, `[P]`.
  """
  import jax  # noqa: PLC0415
  import jax.numpy as jnp  # noqa: PLC0415

  count = _FEW_POINTS if scale == 'tiny' else _POINTS
  p = np.arange(1, count) / count
  own = np.log(p * (K - 1) / (1 - p))
  logits = jnp.asarray(np.outer(own, np.eye(K)[0]), jnp.float32)
  label = jnp.asarray(0, jnp.int32)

  def loss(name):
    spec = specs[name]
    hyper = {k: h.default for k, h in spec.hparams.items()}
    hyper |= _NEEDED.get(name, {})
    one = jax.value_and_grad(lambda z: spec.loss(z, label, **hyper))
    return jax.vmap(one)

  @jax.jit
  def every(logits):
    return {name: loss(name)(logits) for name in specs}

  found = every(logits)
  return {
    name: (
      p,
      np.asarray(found[name][0], np.float64),
      np.asarray(found[name][1], np.float64)[:, 0] / (p - 1),
    )
    for name in specs
  }


def _names(names: Mapping[str, str]) -> page.Table:
  return page.Table(
    'names',
    'Names in the formulas',
    ['name', 'what it is'],
    [[name, text] for name, text in names.items()],
  )


def _table(
  group: str, specs: Mapping[str, Any], cost: Mapping[str, float]
) -> page.Table:
  columns = [
    'config',
    'loss',
    'formula',
    'lowest',
    'highest',
    'noise-tolerant',
    'hyper-parameters (defaults)',
    'tuned per rate',
    'paper',
  ]
  rows: list[list[page.Cell | str]] = [
    [
      name,
      spec.title,
      spec.formula,
      *spec.bound,
      spec.tolerant or '-',
      ', '.join(
        key if h.default is None else f'{key} ({h.default})'
        for key, h in spec.hparams.items()
        if h.kind != 'computed'
      ),
      {True: 'yes', False: 'no', None: '?'}[spec.tuned_per_rate],
      _paper(spec.paper),
    ]
    for name, spec in specs.items()
  ]
  if cost:
    columns.append('time over optax CE')
    for name, row in zip(specs, rows, strict=True):
      row.append(page.number(cost.get(name), '.2f'))
  return page.Table(
    f'losses-{group}', f'sce_jax/losses/{group}.py', columns, rows
  )


def _paper(paper: str) -> page.Cell:
  is_arxiv = paper[:1].isdigit()
  return page.Cell(
    paper, link=f'https://arxiv.org/abs/{paper}' if is_arxiv else ''
  )


def _draw(
  curves: Mapping[str, Sequence[np.ndarray]], shorts: Mapping[str, str]
) -> Drawing:
  figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout='constrained')
  for number, (name, (p, value, weight)) in enumerate(curves.items()):
    look = style.method(shorts[name]) | {
      'label': shorts[name],
      'markersize': 5,
      'markevery': (0.03 * (number + 1), 0.21),
    }
    drop = value - value[-1]
    axes[0].plot(p, drop / np.interp(1 / K, p, drop), **look)
    axes[1].plot(p, weight, **look)
  axes[0].set(ylabel='loss, 1 at p_y = 1 / K')
  # Weights differ by orders of magnitude; 0 has no place on the axis.
  axes[1].set(ylabel='weight beside cross entropy', yscale='log')
  low, high = axes[1].get_ylim()
  axes[1].set_ylim(max(low, 1e-4), min(high, 1e4))
  axes[1].axhline(1, color='black', linewidth=0.8, linestyle=(0, (2, 3)))
  for ax in axes:
    ax.set(xlabel='probability of the label, p_y', xlim=(0, 1))
    ax.grid(alpha=0.3)
  pictures.add_legend(figure)
  pictures.add_title(
    figure, f'losses of one example of {K} classes; no data, no noise, no seed'
  )
  return figure
