"""The paper's settings against later papers': which part makes the difference.

For SL under symmetric noise of 0.6 on CIFAR-10, 59.14 is published with the
settings that later papers follow (those of Active Passive Loss, ICML 2020, as
measured by Wang et al., NeurIPS 2024); the paper's own figure, recalled and not
verified, is about 80. Here each part of recipe=paper is replaced by that of
recipe=apl, alone, and at --scale=full the other way round as well.
"""

from collections.abc import Iterator, Mapping
import fnmatch
from typing import TYPE_CHECKING, Any

from experiments.analysis import frame, statistics
from experiments.paper import methods, published, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Cell, Heading, Table
from sce_jax.config import fields
from sce_jax.errors import UserError

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

NOISE = 'symmetric 0.6'
# At --scale=full both recipes stand side by side under all of these.
NOISES = (
  'symmetric 0.2',
  'symmetric 0.4',
  'symmetric 0.6',
  'symmetric 0.8',
  'asymmetric 0.4',
)
# By name: the fields that belong together.
PARTS = {
  'L2 of fc1': ('optim.l2*',),
  'weight decay': ('optim.weight_decay*',),
  'schedule': (
    'optim.schedule',
    'optim.learning_rate',
    'optim.final_learning_rate',
    'optim.boundaries',
  ),
  'time decay': ('optim.time_decay',),
  'Nesterov momentum': ('optim.nesterov',),
  'clipping': ('optim.clip_norm',),
  'augmentation': ('data.augment.*',),
  'normalization': ('data.normalization',),
  'batch-norm constants': ('model.batch_norm_*',),
  'initialisers': ('model.initializer',),
}


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """Both recipes, and each with one part of the other."""
  trials = [
    trial
    for method in ('CE', 'SL')
    for base, name, changes in _variants(dataset, scale)
    for trial in _trials(dataset, scale, method, NOISE, base, name, changes)
  ]
  if scale == 'full':
    trials += [
      trial
      for recipe in ('paper', 'apl')
      for method in ('CE', 'GCE', 'SL')
      for noise in NOISES
      if noise != NOISE or method == 'GCE'  # The others already exist.
      for trial in _trials(dataset, scale, method, noise, recipe, '', {})
    ]
  return trials


def parts(dataset: str, scale: str) -> dict[str, dict[str, dict[str, Any]]]:
  """What the recipes differ in: by part, the fields' values in each recipe."""
  values = {
    recipe: fields.flatten(scales.config(dataset, scale, recipe=recipe))
    for recipe in ('paper', 'apl')
  }
  differing = {
    path
    for path, value in values['paper'].items()
    if value != values['apl'][path]
  }
  found = {}
  for part, patterns in PARTS.items():
    paths = sorted(
      path
      for path in differing
      if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
    )
    differing -= set(paths)
    if paths:
      found[part] = {
        recipe: {path: values[recipe][path] for path in paths}
        for recipe in values
      }
  if differing:
    raise UserError(
      f'experiment recipe takes recipe=paper and recipe=apl apart, but on'
      f' {dataset} they differ in {", ".join(sorted(differing))} too: use'
      ' --dataset=mnist or cifar10'
    )
  return found


def _variants(
  dataset: str, scale: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
  directions = [('paper', 'apl')]
  if scale == 'full':
    directions.append(('apl', 'paper'))
  yield 'paper', '', {}
  yield 'apl', '', {}
  for base, other in directions:
    for part, values in parts(dataset, scale).items():
      yield base, part, values[other]


def _trials(dataset, scale, method, noise, base, part, changes):
  for seed in methods.seeds(dataset, scale):
    made = methods.trial(
      dataset, scale, method, noise, seed, recipe=base, changes=changes
    )
    yield RunSpec(
      {**made.labels, 'recipe': base, 'part': part or '-'}, made.config
    )


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """What each part changes, and what the recipes differ in."""
  blocks: list[Block] = [Heading('One part at a time')]
  for base in dict.fromkeys(runs.recipe[runs.part != '-']):
    blocks.append(_table(base, runs[runs.noise == NOISE]))
  blocks += [Heading('The recipes'), _parts(context)]
  if context.scale == 'full':
    blocks += [Heading('Both recipes'), _both(context, runs)]
  return blocks


def _table(base: str, runs: 'pd.DataFrame') -> Table:
  other = {'paper': 'apl', 'apl': 'paper'}[base]
  by = ['recipe', 'part', 'method']
  scores, diverged = frame.scores(runs, by), frame.diverged(runs, by)
  parts = dict.fromkeys(runs.part[(runs.recipe == base) & (runs.part != '-')])
  names = {
    (base, '-'): f'recipe={base}',
    **{(base, part): f'with {part} of {other}' for part in parts},
    (other, '-'): f'recipe={other}',
  }
  rows = []
  for key, name in names.items():
    row: list[Cell | str] = [name]
    for method in ('CE', 'SL'):
      ours, start = scores[*key, method], scores[base, '-', method]
      row.append(
        statistics.format_mean_std(ours, diverged=diverged[*key, method])
      )
      # Of the seeds that both have.
      change = statistics.format_mean_std(ours - start, sign=True)
      row.append(change if key != (base, '-') else Cell('-'))
    rows.append(row)
  return Table(
    f'parts-of-{base}',
    f'{NOISE}, last epoch, test accuracy in per cent: recipe={base} with one'
    f' part of recipe={other}, and what that changes',
    ['', 'CE', 'CE, change', 'SL', 'SL, change'],
    rows,
    'Change: of each seed, mean ± standard deviation over seeds, in points.',
  )


def _parts(context: Context) -> Table:
  rows = [
    [
      part,
      *(
        ', '.join(
          f'{path.rpartition(".")[2]} {value}'
          for path, value in values[recipe].items()
        )
        for recipe in ('paper', 'apl')
      ),
    ]
    for part, values in parts(context.dataset, context.scale).items()
  ]
  return Table(
    'recipes',
    f'What the two recipes for {context.dataset} differ in',
    ['part', 'recipe=paper', 'recipe=apl'],
    rows,
  )


def _both(context: Context, runs: 'pd.DataFrame') -> Table:
  runs = runs[runs.part == '-']
  by = ['recipe', 'method', 'noise']
  scores, diverged = frame.scores(runs, by), frame.diverged(runs, by)
  rows = []
  for recipe in ('paper', 'apl'):
    for method in ('CE', 'GCE', 'SL'):
      row: list[Cell | str] = [recipe, method]
      for noise in NOISES:
        key = recipe, method, noise
        row.append(
          statistics.format_mean_std(scores[key], diverged=diverged[key])
        )
        found = published.lookup(context.dataset, method, noise, recipe)
        row.append(
          Cell('-')
          if found is None
          else Cell(
            f'{found.accuracy:.2f} ({found.mark})',
            found.accuracy,
            note=found.source,
          )
        )
      rows.append(row)
  columns = [c for noise in NOISES for c in (noise, 'published')]
  return Table(
    'both',
    'Test accuracy of the last epoch, per cent, beside published figures',
    ['recipe', 'method', *columns],
    rows,
    "recalled: found in no source, not to be quoted as the paper's.",
  )
