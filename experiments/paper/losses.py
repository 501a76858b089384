"""Every loss: formula, range, when it is noise-tolerant, how hard it pulls.

Then what is made of them, as published: sums, wrappers, losses that change in
training. All of it is read from the table of methods and from the losses
themselves. The cost is that of experiments/results/loss_cost.json, if there is
one; this makes it:

python -m experiments.benchmarks loss --classes=10 --losses=ce,nce,...
  --json=experiments/results/loss_cost.json
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import importlib
import json
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.report import page

if TYPE_CHECKING:
  from experiments.paper import registry

COST = pathlib.Path(__file__).parents[1] / 'results' / 'loss_cost.json'
# Settings of what is made of losses are shown for these data sets.
_DATASETS = {'mnist': 'MNIST', 'cifar10': 'CIFAR-10', 'cifar100': 'CIFAR-100'}
_NOISE = ('symmetric', 0.4)
_CURVES = (
  'Left: the loss against the probability p_y of its label, less its value'
  ' near p_y = 1 and over what is left at 1 / K, where an untrained network is.'
  ' Right: its weight beside that of cross entropy, which is 1. By jax.grad.'
)


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
  from experiments.paper import loss_curves  # noqa: PLC0415
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
      f' other {loss_curves.K - 1} classes share what the label leaves equally,'
      ' their logits are 0, and hyper-parameters have their defaults (SL: those'
      ' for CIFAR-10). "Tuned per rate": whether the published settings differ'
      ' from noise rate to noise rate, which a user of real data does not know;'
      ' ?: not known. "Noise-tolerant": noise of that kind does not change'
      ' which classifier minimises the expected loss.' + _measured(COST)
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
      drawn = {
        curves[name].short: curve
        for name, curve in loss_curves.measure(curves, context.scale).items()
      }
      blocks.append(
        page.Figure(f'curves-{group}', _CURVES, loss_curves.draw(drawn))
      )
  return blocks + _made(context.scale)


def _made(scale: str) -> list[page.Block]:
  """What is made of the losses and needs nothing but an example's logits."""
  from experiments.paper import loss_curves  # noqa: PLC0415
  from sce_jax import methods  # noqa: PLC0415
  from sce_jax.config import published  # noqa: PLC0415

  settings = {x: published.presets(x, *_NOISE) for x in _DATASETS}
  own = settings['cifar10']
  specs = {
    name: spec
    for name, spec in methods.SPECS.items()
    if spec.loss is None and loss_curves.is_stateless(name, own)
  }
  late = loss_curves.EPOCHS - 1
  first = loss_curves.measure(specs, scale, own)
  last = loss_curves.measure(specs, scale, own, epoch=late)
  whole = loss_curves.measure(specs, scale, own, epoch=late, together=True)

  def same(one, other):
    return np.allclose(one[1], other[1], rtol=1e-4, atol=1e-5)

  figures: dict[str, dict[str, Sequence[np.ndarray]]] = {}
  for name, spec in specs.items():
    # A partner in the batch, or the mean of its predictions, has no curve; of
    # logits that are normalised only their direction is left.
    if not same(last[name], whole[name]) or 'normalize' in spec.hparams:
      continue
    kind = 'sums' if spec.positive else 'others'
    figure = figures.setdefault('l1' if 'l1' in spec.hparams else kind, {})
    figure[spec.short] = first[name]
    if not same(first[name], last[name]):
      figure[f'{spec.short}{loss_curves.LAST}'] = last[name]
  return [
    page.Heading('Made of these, as published'),
    page.Text(
      'Sums, wrappers, and losses that change in training, but for methods with'
      ' a state, several networks or two views. Without a curve: what depends'
      ' on others of the batch, and what normalises the logits. Where they are'
      ' clipped, p_y is that before.'
    ),
    page.Table(
      'made',
      'Sums, wrappers, and losses that change',
      ['config', 'name', 'method', 'noise-tolerant', 'tuned per rate', 'paper'],
      [
        [
          name,
          spec.short,
          spec.title,
          spec.tolerant or '-',
          _tuned(spec),
          _paper(spec.paper),
        ]
        for name, spec in specs.items()
      ],
    ),
    *(
      page.Figure(
        f'curves-{key}',
        f'{_CURVES} Settings for CIFAR-10 (NLS: smoothing -1), in the first'
        f' epoch, and in the last of {loss_curves.EPOCHS} where the loss has'
        ' changed; penalties on parameters are left out.',
        loss_curves.draw(curves),
      )
      for key, curves in figures.items()
    ),
    page.Heading('Settings by data set'),
    page.Text(
      'The values of sce_jax/config/published.py, which names the source of'
      f' each; under {_NOISE[0]} {_NOISE[1]} where they differ by noise. Where'
      ' a paper says nothing of a data set they are those for CIFAR-10. What is'
      ' not here has its defaults.'
    ),
    page.Table(
      'settings',
      'Settings by data set',
      ['config', *_DATASETS.values()],
      [
        [name, *(_settings(x.get(name, {})) for x in settings.values())]
        for name in methods.SPECS
        if any(name in x for x in settings.values())
      ],
    ),
  ]


def _settings(values: Mapping[str, Any]) -> str:
  return (
    ', '.join(
      f'{k} {v:.6g}' if isinstance(v, float) else f'{k} {v}'
      for k, v in values.items()
    )
    or '-'
  )


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
      _tuned(spec),
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


def _tuned(spec: Any) -> str:
  if spec.tuned_per_kind:
    return 'per kind of noise'
  return {True: 'yes', False: 'no', None: '?'}[spec.tuned_per_rate]


def _paper(paper: str) -> page.Cell:
  is_arxiv = paper[:1].isdigit()
  return page.Cell(
    paper, link=f'https://arxiv.org/abs/{paper}' if is_arxiv else ''
  )
